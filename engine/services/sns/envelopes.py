"""What subscribers get of a message: the event of a function, the body of a queue's message and of a POST.

Source: SNS Developer Guide, "Fanout to Lambda functions", "Amazon SNS raw message delivery", "HTTP/HTTPS
notification JSON format"; recorded events and bodies. Layout of the text and order in events: unverified.
Signatures are none: nobody has AWS's keys.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from engine.core.function import Account
from engine.services.sns.message import MessageAttribute, PublishedMessage
from engine.services.sns.topic import Subscription, Topic

API_VERSION: Final = "2010-03-31"
_SIGNATURE: Final = base64.b64encode(b"not signed: this is not AWS").decode()
_SUBSCRIBE_TEXT: Final = (
    "You have chosen to subscribe to the topic {}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message."
)
_UNSUBSCRIBE_TEXT: Final = (
    "You have chosen to deactivate subscription {}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
)


class Envelopes:
    """Makes them, for one engine."""

    def __init__(self, account: Account, endpoint_url: str | None) -> None:
        """`endpoint_url` is where links lead; None for AWS's own address."""
        self._account = account
        aws = f"https://sns.{account.region}.amazonaws.com"
        self._base = (endpoint_url or aws).rstrip("/")
        self._certificate = f"{aws}/SimpleNotificationService-0000000000000000000000000000000.pem"

    def event(self, message: PublishedMessage, subscription: Subscription, wall_s: float) -> bytes:
        """The event of a function."""
        topic = subscription.topic
        sns = {
            "Type": "Notification",
            "MessageId": message.message_id,
            "TopicArn": topic.arn,
            "Subject": message.subject,
            "Message": message.for_protocol(subscription.protocol),
            "Timestamp": _timestamp(wall_s),
            "SignatureVersion": _signature_version(topic),
            "Signature": _SIGNATURE,
            "SigningCertUrl": self._certificate,
            "UnsubscribeUrl": self._unsubscribe_url(subscription),
            "MessageAttributes": _shown(message.attributes),
        }
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription.arn,
            "Sns": sns,
        }
        return orjson.dumps({"Records": [record]})

    def notification(
        self,
        message: PublishedMessage,
        subscription: Subscription,
        wall_s: float,
        sequence_number: str | None = None,
    ) -> bytes:
        """The body of a queue's message, of a POST, and of a dead letter.

        FIFO topics number messages and do not sign them.
        """
        topic = subscription.topic
        document: dict[str, Any] = {"Type": "Notification", "MessageId": message.message_id}
        if sequence_number is not None:
            document["SequenceNumber"] = sequence_number
        document["TopicArn"] = topic.arn
        if message.subject is not None:
            document["Subject"] = message.subject
        document["Message"] = message.for_protocol(subscription.protocol)
        document["Timestamp"] = _timestamp(wall_s)
        if not topic.fifo:
            document |= self._signed(topic)
        document["UnsubscribeURL"] = self._unsubscribe_url(subscription)
        if message.attributes:
            document["MessageAttributes"] = _shown(message.attributes)
        return _laid_out(document)

    def confirmation(
        self, subscription: Subscription, message_id: str, token: str, wall_s: float, *, ends: bool = False
    ) -> bytes:
        """What asks an HTTP endpoint to confirm its subscription; or, if it `ends`, to restore it."""
        topic = subscription.topic
        text = _UNSUBSCRIBE_TEXT.format(subscription.arn) if ends else _SUBSCRIBE_TEXT.format(topic.arn)
        document = {
            "Type": "UnsubscribeConfirmation" if ends else "SubscriptionConfirmation",
            "MessageId": message_id,
            "Token": token,
            "TopicArn": topic.arn,
            "Message": text,
            "SubscribeURL": self._url("ConfirmSubscription", TopicArn=topic.arn, Token=token),
            "Timestamp": _timestamp(wall_s),
            **self._signed(topic),
        }
        return _laid_out(document)

    def _signed(self, topic: Topic) -> dict[str, str]:
        return {
            "SignatureVersion": _signature_version(topic),
            "Signature": _SIGNATURE,
            "SigningCertURL": self._certificate,
        }

    def _unsubscribe_url(self, subscription: Subscription) -> str:
        return self._url("Unsubscribe", SubscriptionArn=subscription.arn)

    def _url(self, action: str, **parameters: str) -> str:
        """A link that does `action`; AWS's has no Version, which says here that it is for SNS."""
        more = "".join(f"&{name}={quote(value, safe=':')}" for name, value in parameters.items())
        return f"{self._base}/?Action={action}{more}&Version={API_VERSION}"


def _signature_version(topic: Topic) -> str:
    return topic.attributes.get("SignatureVersion", "1")


def _shown(attributes: Mapping[str, MessageAttribute]) -> dict[str, dict[str, str]]:
    return {
        name: {
            "Type": data_type,
            "Value": base64.b64encode(value).decode() if isinstance(value, bytes) else value,
        }
        for name, (data_type, value) in attributes.items()
    }


def _timestamp(wall_s: float) -> str:
    wall = datetime.fromtimestamp(wall_s, UTC)
    return wall.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _laid_out(document: Mapping[str, Any]) -> bytes:
    """JSON with a member a line, as AWS writes it."""
    lines = [f"  {_text(name)} : {_value(value)}" for name, value in document.items()]
    return "{{\n{}\n}}".format(",\n".join(lines)).encode("utf-8", "replace")


def _value(value: Any) -> str:
    if not isinstance(value, dict):
        return _text(value)
    inner = (f"    {_text(name)} : {_compact(one)}" for name, one in value.items())
    return "{{\n{}\n  }}".format(",\n".join(inner))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
