"""What a queue is set to: its attributes as values, checked, and the redrive policies among them.

Source: SQS API reference, "SetQueueAttributes"; recorded answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from engine.core.late_dataclass import dataclass
from engine.protocols.aws.errors import ServiceError
from engine.services.sqs.errors import invalid_attribute, invalid_parameter, sqs_error, unknown_attribute
from engine.services.sqs.limits import (
    DEFAULT_RETENTION_S,
    DEFAULT_VISIBILITY_S,
    MAX_DELAY_S,
    MAX_MESSAGE_BYTES,
    MAX_VISIBILITY_S,
    MAX_WAIT_S,
)

MAX_STATEMENTS: Final = 20
"""Of a queue's policy."""
_MAX_SOURCES: Final = 10
_MAX_RECEIVES: Final = 1_000
_COUNT: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_ARN: Final = re.compile(r"arn:[^:]+:[^:]+:[^:]*:\d{12}:.+")
_REDRIVE_NAMES: Final = ("maxReceiveCount", "deadLetterTargetArn")
_NO_ALLOW: Final = "Amazon SQS can't create the redrive allow policy"


class Redrive(NamedTuple):
    """`RedrivePolicy`: where messages go that were received too often."""

    arn: str
    max_receives: int


class RedriveAllow(NamedTuple):
    """`RedriveAllowPolicy`: which queues may name this one as theirs for dead letters."""

    permission: str
    sources: tuple[str, ...]

    def allows(self, source_arn: str) -> bool:
        """Whether the queue `source_arn` may name this one."""
        if self.permission == "byQueue":
            return source_arn in self.sources
        return self.permission == "allowAll"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAttributes:
    """The attributes of a queue. Seconds, and bytes; texts are kept as they were given.

    Attributes:
        fifo: `FifoQueue`; never changes.
        deduplication_scope: `queue` or `messageGroup`, of a FIFO queue.
        redrive, redrive_allow: What is meant by the `texts` of the two redrive policies.
        texts: What is shown as it was given, by AWS's names.
    """

    fifo: bool = False
    visibility_s: int = DEFAULT_VISIBILITY_S
    delay_s: int = 0
    retention_s: int = DEFAULT_RETENTION_S
    wait_s: int = 0
    max_bytes: int = MAX_MESSAGE_BYTES
    content_deduplication: bool = False
    deduplication_scope: str = "queue"
    throughput_limit: str = "perQueue"
    redrive: Redrive | None = None
    redrive_allow: RedriveAllow | None = None
    managed_encryption: bool = True
    texts: tuple[tuple[str, str], ...] = ()

    def attributes(self) -> dict[str, str]:
        """The attributes by AWS's names, as text."""
        document = {key: str(getattr(self, field)) for key, (field, _, _) in _NUMBERS.items()}
        document["SqsManagedSseEnabled"] = _bool_text(self.managed_encryption)
        if self.fifo:
            document["FifoQueue"] = "true"
            document["ContentBasedDeduplication"] = _bool_text(self.content_deduplication)
            document["DeduplicationScope"] = self.deduplication_scope
            document["FifoThroughputLimit"] = self.throughput_limit
        document.update(self.texts)
        if "KmsMasterKeyId" in document:
            document.setdefault(_KEY_REUSE, _DEFAULT_KEY_REUSE)
        return document

    def text(self, name: str) -> str:
        """A value of `texts`; empty if it is not set."""
        return dict(self.texts).get(name, "")

    def with_text(self, name: str, text: str) -> QueueAttributes:
        """The same with one of `texts` set, or removed if it is empty."""
        texts = {key: value for key, value in self.texts if key != name}
        if text:
            texts[name] = text
        return replace(self, texts=tuple(texts.items()))


_NUMBERS: Final = {
    "VisibilityTimeout": ("visibility_s", 0, MAX_VISIBILITY_S),
    "DelaySeconds": ("delay_s", 0, MAX_DELAY_S),
    "MessageRetentionPeriod": ("retention_s", 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": ("wait_s", 0, MAX_WAIT_S),
    "MaximumMessageSize": ("max_bytes", 1_024, MAX_MESSAGE_BYTES),
}
_KEY_REUSE: Final = "KmsDataKeyReusePeriodSeconds"
_DEFAULT_KEY_REUSE: Final = "300"
_TEXTS: Final = ("Policy", "KmsMasterKeyId", _KEY_REUSE)
_CHOICES: Final = {
    "DeduplicationScope": ("deduplication_scope", ("queue", "messageGroup")),
    "FifoThroughputLimit": ("throughput_limit", ("perQueue", "perMessageGroupId")),
}
_FIFO_ONLY: Final = ("FifoQueue", "ContentBasedDeduplication", *_CHOICES)
READ_ONLY: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
)
KNOWN: Final = frozenset(
    {
        *_NUMBERS,
        *_TEXTS,
        *_FIFO_ONLY,
        *READ_ONLY,
        "SqsManagedSseEnabled",
        "RedrivePolicy",
        "RedriveAllowPolicy",
    }
)
"""Names that GetQueueAttributes takes, besides `All`."""


def changed(policy: QueueAttributes, given: Mapping[str, str]) -> QueueAttributes:
    """`policy` with the attributes of a request. An empty text removes what can be removed.

    What belongs together is judged together, after all of the changes.

    Raises:
        ServiceError: A name or a value is wrong.
    """
    if given.get("KmsMasterKeyId") and given.get("SqsManagedSseEnabled", "").lower() == "true":
        raise sqs_error(
            "InvalidAttributeName",
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE "
            "or SQS SSE.",
        )
    for name, text in given.items():
        if name not in KNOWN or name in READ_ONLY:
            raise unknown_attribute(name)
        if not policy.fifo and name in _FIFO_ONLY:
            raise _not_on_standard(name)
        policy = _with(policy, name, text)
    if policy.throughput_limit == "perMessageGroupId" and policy.deduplication_scope == "queue":
        # What AWS accepts together: SQS API reference, "CreateQueue", FifoThroughputLimit.
        raise invalid_attribute(
            "FifoThroughputLimit",
            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is "
            "messageGroup.",
        )
    return policy


def _not_on_standard(name: str) -> ServiceError:
    if name in _CHOICES:
        text = f"You can specify the {name} only when FifoQueue is set to true."
        return sqs_error("InvalidAttributeName", text)
    return unknown_attribute(name)


def _with(policy: QueueAttributes, name: str, text: str) -> QueueAttributes:
    changes: dict[str, Any]  # by fields
    if name in _NUMBERS:
        field, minimum, max_count = _NUMBERS[name]
        changes = {field: _number(name, text, minimum, max_count)}
        return replace(policy, **changes)
    if name == "RedrivePolicy":
        redrive = _redrive(text) if text else None
        return replace(policy.with_text(name, _shown(text, redrive) if redrive else ""), redrive=redrive)
    if name == "RedriveAllowPolicy":
        return replace(policy.with_text(name, text), redrive_allow=_allow(text) if text else None)
    if name in _TEXTS:
        return _with_text(policy, name, text)
    if name in _CHOICES:
        field, choices = _CHOICES[name]
        if text not in choices:
            raise invalid_attribute(name)
        changes = {field: text}
        return replace(policy, **changes)
    flag = _flag(name, text)
    if name == "FifoQueue":
        if not flag:
            raise invalid_attribute("FifoQueue", "Modifying queue type is not supported.")
        return policy
    if name == "ContentBasedDeduplication":
        return replace(policy, content_deduplication=flag)
    if flag:
        policy = policy.with_text("KmsMasterKeyId", "").with_text(_KEY_REUSE, "")
    return replace(policy, managed_encryption=flag)


def _with_text(policy: QueueAttributes, name: str, text: str) -> QueueAttributes:
    if name == _KEY_REUSE:
        _number(name, text, 60, 86_400)
        text = "" if text == _DEFAULT_KEY_REUSE else text
    elif name == "KmsMasterKeyId" and text:
        policy = replace(policy, managed_encryption=False)
    elif name == "Policy" and text:
        _check_policy(text)
    return policy.with_text(name, text)


def _check_policy(text: str) -> None:
    document = _json(text)
    if not isinstance(document, dict):
        raise invalid_attribute("Policy")
    statements = document.get("Statement")
    if isinstance(statements, list) and len(statements) > MAX_STATEMENTS:
        found = f"{len(statements)} statements were found in the submitted policy"
        raise sqs_error("OverLimit", f"{found}, max allowed is {MAX_STATEMENTS}")


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _redrive(text: str) -> Redrive:
    def wrong(reason: str) -> ServiceError:
        return invalid_parameter("RedrivePolicy", text, reason)

    policy = _json(text)
    if not isinstance(policy, dict):
        raise invalid_attribute("RedrivePolicy", "Redrive policy is not a valid JSON map.")
    for name in _REDRIVE_NAMES:
        if policy.get(name) is None:
            raise wrong(f"Redrive policy does not contain mandatory attribute: {name}.")
    if len(policy) > len(_REDRIVE_NAMES):
        raise wrong(f"Only following attributes are supported: [{', '.join(_REDRIVE_NAMES)}].")
    arn, max_count = policy["deadLetterTargetArn"], policy["maxReceiveCount"]
    digits = str(max_count)
    if isinstance(max_count, bool | float) or _COUNT.fullmatch(digits) is None:
        raise wrong("Invalid value for maxReceiveCount.")
    if not 1 <= int(digits) <= _MAX_RECEIVES:
        raise wrong(
            f"Invalid value for maxReceiveCount: {digits}, valid values are from 1 to 1000 both inclusive."
        )
    if not isinstance(arn, str) or _ARN.match(arn) is None:
        raise wrong("Invalid value for deadLetterTargetArn.")
    if arn.split(":")[2] != "sqs":
        raise wrong("Only SQS queues are valid resources for deadLetterTargetArn.")
    return Redrive(arn, int(digits))


def _shown(text: str, redrive: Redrive) -> str:
    """The policy as it was given, but its count is a number (Terraform: provider, aws_sqs_queue)."""
    document = json.loads(text)
    if not isinstance(document["maxReceiveCount"], str):
        return text
    return json.dumps({**document, "maxReceiveCount": redrive.max_receives}, separators=(",", ":"))


def _allow(text: str) -> RedriveAllow:
    def wrong(reason: str) -> ServiceError:
        return invalid_parameter("RedriveAllowPolicy", text, f"{_NO_ALLOW}. {reason}")

    policy = _json(text)
    if not isinstance(policy, dict) or not policy.keys() <= {"redrivePermission", "sourceQueueArns"}:
        raise _unsupported()
    permission, sources = policy.get("redrivePermission"), policy.get("sourceQueueArns")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise _unsupported()
    if not isinstance(sources, list | None) or not all(isinstance(source, str) for source in sources or ()):
        raise _unsupported()
    if permission == "byQueue" and not sources:
        raise wrong(
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns "
            "values."
        )
    if permission != "byQueue" and sources:
        raise wrong("To specify one or more source queue ARNs, you must set redrivePermission to byQueue.")
    if sources and len(sources) > _MAX_SOURCES:
        raise wrong(f"The maximum number of source queue ARNs you can specify is {_MAX_SOURCES}.")
    return RedriveAllow(permission, tuple(sources or ()))


def _unsupported() -> ServiceError:
    return invalid_attribute("RedriveAllowPolicy", f"{_NO_ALLOW}, as it’s in an unsupported format.")


def _number(name: str, text: str, minimum: int, max_count: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or not minimum <= int(text) <= max_count:
        raise invalid_attribute(name)
    return int(text)


def _flag(name: str, text: str) -> bool:
    lower = text.lower()
    if lower not in ("true", "false"):
        raise invalid_attribute(name)
    return lower == "true"


def _bool_text(flag: bool) -> str:  # noqa: FBT001  # one argument
    return "true" if flag else "false"
