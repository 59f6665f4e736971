"""Attributes of a topic: which there are, which values they may have, and what is shown of them.

Source: SNS API reference, "CreateTopic", "SetTopicAttributes", "GetTopicAttributes"; recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import orjson

from engine.core.function import Account
from engine.services.sns.errors import invalid

FIFO_SUFFIX: Final = ".fifo"
MAX_MESSAGE_BYTES: Final = 262_144
LARGEST_MESSAGE_BYTES: Final = 1_048_576
TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
FIFO_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,251}\.fifo")
TOPIC_NAME_RULE: Final = "has up to 256 letters, digits, '-' and '_' (FIFO topics: and then '.fifo')"

_FIFO_NAME_TEXT: Final = (
    "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, "
    "numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
)
_BOOLEANS: Final = frozenset({"FifoTopic", "ContentBasedDeduplication"})
_FIFO_ONLY: Final = frozenset({"ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy"})
_DOCUMENTS: Final = frozenset({"Policy", "DeliveryPolicy", "ArchivePolicy"})
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "TracingConfig": ("PassThrough", "Active"),
    "SignatureVersion": ("1", "2"),
    "FifoThroughputScope": ("Topic", "MessageGroup"),
}
_FREE: Final = frozenset({"DisplayName", "KmsMasterKeyId"})
_FEEDBACK: Final = re.compile(
    r"(?:HTTP|Firehose|Lambda|Application|SQS)(?:Success|Failure)Feedback(?:RoleArn|SampleRate)"
)
_LONGEST_DISPLAY_NAME: Final = 100
_SIZE: Final = "MaximumMessageSize"

DEFAULT_DELIVERY_POLICY: Final = {
    "http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 20,
            "maxDelayTarget": 20,
            "numRetries": 3,
            "numMaxDelayRetries": 0,
            "numNoDelayRetries": 0,
            "numMinDelayRetries": 0,
            "backoffFunction": "linear",
        },
        "disableSubscriptionOverrides": False,
        "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
    }
}
_OWNERS_ACTIONS: Final = (
    "SNS:GetTopicAttributes",
    "SNS:SetTopicAttributes",
    "SNS:AddPermission",
    "SNS:RemovePermission",
    "SNS:DeleteTopic",
    "SNS:Subscribe",
    "SNS:ListSubscriptionsByTopic",
    "SNS:Publish",
)


def check_name(name: str, attributes: Mapping[str, str]) -> None:
    """Raises ServiceError if a topic cannot be called so."""
    if attributes.get("FifoTopic") == "true":
        if FIFO_NAME.fullmatch(name) is None:
            raise invalid(_FIFO_NAME_TEXT)
    elif TOPIC_NAME.fullmatch(name) is None:
        raise invalid("Topic Name")


def check_attributes(attributes: Mapping[str, str], prefix: str, *, fifo: bool) -> None:
    """Raises ServiceError for an attribute that there is not, or not with that value.

    `prefix` is what the error says before the attribute's name.
    """
    for name, value in attributes.items():
        _check(name, value, prefix, fifo=fifo)


def _check(name: str, value: str, prefix: str, *, fifo: bool) -> None:
    choices = ("true", "false") if name in _BOOLEANS else _CHOICES.get(name)
    if choices is not None:
        if value not in choices:
            raise invalid(f"{prefix}{name}")
    elif name in _DOCUMENTS:
        if value and not _is_document(name, value):
            raise invalid(f"{prefix}{name}: failed to parse JSON.")
    elif name == _SIZE:
        if not value.isdecimal() or not 1024 <= int(value) <= LARGEST_MESSAGE_BYTES:
            raise invalid(f"{prefix}{name}")
    elif name == "DisplayName":
        if len(value) > _LONGEST_DISPLAY_NAME:
            raise invalid(f"{prefix}DisplayName")
    elif name not in _FREE and _FEEDBACK.fullmatch(name) is None:
        raise invalid("AttributeName" if not prefix else f"{prefix}Unknown attribute {name[:256]}")
    if name in _FIFO_ONLY and not fifo:
        raise invalid(f"{prefix}{name}")


def _is_document(name: str, text: str) -> bool:
    """Whether it is a JSON object; of an access policy, one with statements."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(document, dict):
        return False
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return name != "Policy" or all(isinstance(one, dict) for one in statements)


def default_policy(arn: str, account: Account) -> str:
    """The access policy of a topic that was given none."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(_OWNERS_ACTIONS),
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account.account_id}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return orjson.dumps(document).decode()


def effective_delivery_policy(attributes: Mapping[str, str]) -> dict[str, object]:
    """The default, with what the topic's own policy says instead."""
    own = orjson.loads(attributes["DeliveryPolicy"]) if attributes.get("DeliveryPolicy") else {}
    http = own.get("http")
    return {"http": {**DEFAULT_DELIVERY_POLICY["http"], **(http if isinstance(http, dict) else {})}}
