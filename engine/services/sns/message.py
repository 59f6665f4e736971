"""What a client publishes, checked: text, subject, attributes, ids, and the size of it all.

Source: SNS API reference, "Publish"; SNS Developer Guide, "Amazon SNS message attributes"; recorded answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Final, NamedTuple

import orjson

from engine.core.event_patterns.numbers import is_number
from engine.protocols.aws.json_values import as_bytes
from engine.services.sns.errors import invalid, invalid_value, no_topic

_TOKEN: Final = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}", re.ASCII)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_MAX_NAME: Final = 256
_SUBJECT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_KINDS: Final = ("Binary", "Number", "String")
_NO_DEFAULT: Final = "Message Structure - No default entry in JSON message body"
_NOT_JSON: Final = "Message Structure - JSON message body failed to parse"


class MessageAttribute(NamedTuple):
    """`String`, `Number`, `String.Array` or `Binary`; the value of a binary one is bytes."""

    data_type: str
    value: str | bytes


class PublishedMessage:
    """A message to a topic.

    Attributes:
        message_id: UUID.
        text: The message, JSON by protocol if it is structured.
        by_protocol: That JSON, parsed; None if it is not structured.
        subject: For people, or None.
        attributes: By name.
        group, dedup_id: `MessageGroupId` and `MessageDeduplicationId`.
        trace: X-Ray header of the request.
    """

    def __init__(
        self,
        message_id: str,
        text: str,
        *,
        by_protocol: Mapping[str, Any] | None = None,
        subject: str | None = None,
        attributes: Mapping[str, MessageAttribute] | None = None,
        group: str | None = None,
        dedup_id: str | None = None,
        trace: str | None = None,
    ) -> None:
        self.message_id, self.text, self.by_protocol = message_id, text, by_protocol
        self.subject, self.attributes = subject, attributes or {}
        self.group, self.dedup_id, self.trace = group, dedup_id, trace

    def for_protocol(self, protocol: str) -> str:
        """The text that subscribers by that protocol get."""
        if self.by_protocol is None:
            return self.text
        found = self.by_protocol.get(protocol)
        default: str = self.by_protocol["default"]
        return found if isinstance(found, str) else default

    @cached_property
    def filterable(self) -> dict[str, Any]:
        """Attributes as filter policies see them: text, numbers, lists; without binary ones."""
        found: dict[str, Any] = {}
        for name, (data_type, value) in self.attributes.items():
            if isinstance(value, bytes):
                continue
            if data_type == "String.Array":
                found[name] = _array(value)
            elif data_type.startswith("Number"):
                number = _number(value)
                if number is not None:
                    found[name] = number
            else:
                found[name] = value
        return found


def read_message(
    params: Mapping[str, Any], message_id: str, trace: str | None, *, fifo: bool, has_content_ids: bool
) -> tuple[PublishedMessage, int]:
    """The message of a request or of an entry of a batch, and how many bytes it counts for.

    Raises:
        ServiceError: In AWS's words.
    """
    text = params.get("Message") or ""
    if not text:
        raise invalid("Empty message")
    subject = params.get("Subject")
    if subject is not None and _SUBJECT.fullmatch(subject) is None:
        raise invalid("Subject")
    structure = params.get("MessageStructure")
    by_protocol = None
    if structure:
        if structure != "json":
            raise invalid("MessageStructure")
        by_protocol = _by_protocol(text)
    attributes, size = _attributes(params.get("MessageAttributes") or {})
    group, dedup_id = _ids(params, text, fifo=fifo, has_content_ids=has_content_ids)
    message = PublishedMessage(
        message_id,
        text,
        by_protocol=by_protocol,
        subject=subject,
        attributes=attributes,
        group=group,
        dedup_id=dedup_id,
        trace=trace,
    )
    return message, size + len(text.encode("utf-8", "replace"))


def topic_arn_of(params: Mapping[str, Any]) -> str:
    """The topic that a message is for. Raises ServiceError if there is none, or it is for something else."""
    for name in ("TopicArn", "TargetArn"):
        arn = params.get(name)
        if arn is not None:
            check_arn(arn, name)
            return str(arn)
    raise invalid("TopicArn or TargetArn Reason: no value for required parameter")


def check_arn(arn: str, name: str) -> None:
    """Raises ServiceError if it is no ARN of SNS."""
    parts = arn.split(":")
    if len(parts) < 6:
        raise invalid(f"{name} Reason: An ARN must have at least 6 elements, not {len(parts)}")
    if parts[0] != "arn" or parts[2] != "sns":
        raise no_topic()


# --- parts of a message


def _by_protocol(text: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid(_NOT_JSON) from None
    if not isinstance(document, dict):
        raise invalid(_NOT_JSON)
    if not isinstance(document.get("default"), str):
        raise invalid(_NO_DEFAULT)
    return document


def _ids(
    params: Mapping[str, Any], text: str, *, fifo: bool, has_content_ids: bool
) -> tuple[str | None, str | None]:
    """Group and deduplication id. Since 2025 a standard topic takes a group, and passes it on to queues."""
    group, dedup_id = params.get("MessageGroupId"), params.get("MessageDeduplicationId")
    for name, token in (("MessageGroupId", group), ("MessageDeduplicationId", dedup_id)):
        if token is not None and _TOKEN.fullmatch(token) is None:
            raise invalid(
                f"{name} Reason: {name} can only include alphanumeric and punctuation characters. "
                "1 to 128 in length"
            )
    if not fifo:
        if dedup_id is not None:
            raise invalid(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that "
                "is not valid for this topic type"
            )
        return group, None
    if group is None:
        raise invalid("The MessageGroupId parameter is required for FIFO topics")
    if dedup_id is None:
        if not has_content_ids:
            raise invalid(
                "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                "provided explicitly"
            )
        dedup_id = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return group, dedup_id


def _attributes(given: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, MessageAttribute], int]:
    found: dict[str, MessageAttribute] = {}
    size = 0
    for name, value in given.items():
        _check_name(name)
        attribute = found[name] = _attribute(name, value)
        content = attribute.value
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        size += len(name) + len(attribute.data_type) + len(raw)
    return found, size


def _check_name(name: str) -> None:
    """Raises ServiceError for a name that no attribute may have. Source: recorded, but for the empty name."""
    if not name:
        raise invalid_value("The message attribute name '' is invalid.")
    if len(name.encode("utf-8", "replace")) > _MAX_NAME:
        raise invalid_value("Length of message attribute name must be less than 256 bytes.")
    for place, is_there in (("starting", name[0] == "."), ("ending", name[-1] == ".")):
        if is_there:
            raise invalid_value(f"Invalid message attribute name {place} with character '.' was found.")
    wrong = _NOT_IN_NAMES.search(name)
    if wrong is not None:
        raise invalid_value(
            f"Invalid non-alphanumeric character '#x{ord(wrong[0]):X}' was found in the message attribute "
            "name. Can only include alphanumeric characters, hyphens, underscores, or dots."
        )
    if ".." in name:
        raise invalid_value("Message attribute name can not have successive '.' character.")


def _attribute(name: str, given: Mapping[str, Any]) -> MessageAttribute:
    data_type = given.get("DataType") or ""
    kind = data_type.partition(".")[0]
    if not data_type:
        raise invalid_value(f"The message attribute '{name}' must contain non-empty message attribute type.")
    if kind not in _KINDS:
        raise invalid_value(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported "
            "type prefixes is Binary, Number, and String."
        )
    field, other = ("Binary", "String") if kind == "Binary" else ("String", "Binary")
    value = given.get(f"{field}Value")
    if not value:
        if given.get(f"{other}Value"):
            raise invalid_value(
                f"The message attribute '{name}' with type '{data_type}' must use field '{field}'."
            )
        raise invalid_value(
            f"The message attribute '{name}' must contain non-empty message attribute value for message "
            f"attribute type '{data_type}'."
        )
    if kind == "Binary":
        return MessageAttribute(data_type, as_bytes(value))
    if kind == "Number" and _number(value) is None:
        raise invalid_value(f"Could not cast message attribute '{name}' value to number.")
    if data_type == "String.Array" and _array(value) is None:
        raise invalid_value(
            f"The message attribute '{name}' has invalid data: String.Array values must be a JSON array of "
            "strings, numbers, true, false and null."
        )
    return MessageAttribute(data_type, value)


def _array(text: str) -> list[Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, list) or any(isinstance(item, dict | list) for item in found):
        return None
    return found


def _number(text: str) -> int | float | None:
    """The number as JSON would have it."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = _decimal(text)
    return found if is_number(found) else None


def _decimal(text: str) -> float | None:
    """A number that JSON does not write so: `+1`, `.5`."""
    if "_" in text or not text.isascii():  # Python's own ways to write digits
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return float(number) if number.is_finite() else None
