"""What a client sends as a message, checked: body, attributes, ids, and the size of it all.

Source: SQS API reference, "SendMessage"; SQS Developer Guide, "Amazon SQS message metadata", "message
quotas"; recorded answers.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_values import as_bytes
from engine.services.sqs.errors import invalid_parameter, invalid_value, missing, sqs_error
from engine.services.sqs.message import Attribute
from engine.services.sqs.parameters import Params, structure_map, text

_BAD_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BAD_CHARACTER_TEXT: Final = (
    "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to "
    "#xFFFD | #x10000 to #x10FFFF"
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}", re.ASCII)
_ATTRIBUTE_NAME: Final = re.compile(r"[\w.-]+")  # letters of any alphabet: AWS takes them (recorded)
_RESERVED_NAMES: Final = ("aws.", "amazon.")
_MAX_ATTRIBUTES: Final = 10
_LONGEST_NAME: Final = 256
_LONGEST_TYPE: Final = 256
_MAX_DIGITS: Final = 38
_LARGEST_EXPONENT: Final = 126
_SMALLEST_EXPONENT: Final = -128
_TRACE: Final = "AWSTraceHeader"


class Attributes(NamedTuple):
    """Attributes of a message, and the bytes they count for."""

    by_name: dict[str, Attribute]
    size: int


def body_of(params: Params) -> tuple[str, bytes]:
    """The body, and its UTF-8 bytes. Raises ServiceError: none, or with characters that XML has not."""
    body = text(params, "MessageBody")
    if not body:
        raise missing("MessageBody")
    if not body.isprintable() and _BAD_CHARACTER.search(body) is not None:
        raise sqs_error("InvalidMessageContents", _BAD_CHARACTER_TEXT)
    return body, body.encode()


def attributes_of(params: Params) -> Attributes | None:
    """`MessageAttributes`, None if there are none. Raises ServiceError."""
    given = structure_map(params, "MessageAttributes")
    if not given:
        return None
    if len(given) > _MAX_ATTRIBUTES:
        raise invalid_value(
            f"Number of message attributes [{len(given)}] exceeds the allowed maximum [{_MAX_ATTRIBUTES}]."
        )
    found, size = {}, 0
    for name, value in given.items():
        _check_name(name)
        attribute = found[name] = _attribute(name, value, "user")
        content = attribute.value if isinstance(attribute.value, bytes) else attribute.value.encode()
        size += len(name.encode()) + len(attribute.data_type.encode()) + len(content)
    return Attributes(found, size)


def trace_of(params: Params) -> str | None:
    """`AWSTraceHeader` of `MessageSystemAttributes`; there are no others. Raises ServiceError."""
    given = structure_map(params, "MessageSystemAttributes")
    if not given:
        return None
    for name, value in given.items():
        if name != _TRACE:
            raise invalid_value(f"Message system attribute name '{name[:256]}' is invalid.")
        attribute = _attribute(name, value, "system")
        if attribute.data_type != "String" or isinstance(attribute.value, bytes):
            raise invalid_value(f"The type of message (system) attribute '{_TRACE}' must be String.")
        return attribute.value
    return None


def token_of(params: Params, name: str) -> str | None:
    """`MessageGroupId` and its like; None if absent. Raises ServiceError."""
    token = text(params, name)
    if token is not None and _TOKEN.fullmatch(token) is None:
        reason = f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        raise invalid_parameter(name, token, reason)
    return token


def _check_name(name: str) -> None:
    if not name:
        raise invalid_value("The request must contain non-empty message (user) attribute names.")
    if len(name) > _LONGEST_NAME:
        raise invalid_value(f"Message (user) attribute name must be shorter than {_LONGEST_NAME} bytes.")
    if _ATTRIBUTE_NAME.fullmatch(name) is None or ".." in name or name[0] == "." or name[-1] == ".":
        raise invalid_value(
            f"The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, "
            "underscore (_), hyphen (-), and period (.) characters."
        )
    if name.lower().startswith(_RESERVED_NAMES):
        raise invalid_value(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are "
            "reserved for internal use."
        )


def _attribute(name: str, given: dict[str, Any], whose: str) -> Attribute:
    label = f"Message ({whose}) attribute '{name}'"
    data_type = text(given, "DataType")
    if not data_type:
        raise invalid_value(
            f"The message ({whose}) attribute '{name}' must contain a non-empty message attribute value."
        )
    if len(data_type) > _LONGEST_TYPE:
        raise invalid_value(f"Message ({whose}) attribute type must be shorter than {_LONGEST_TYPE} bytes.")
    kind = data_type.partition(".")[0]
    if given.get("StringListValues") or given.get("BinaryListValues"):
        reason = "Message attribute list values in SendMessage operation are not supported."
        raise sqs_error("UnsupportedOperation", reason)
    if kind not in ("String", "Number", "Binary"):
        raise invalid_value(
            f"The type of message ({whose}) attribute '{name}' is invalid. You must use only the "
            "following supported type prefixes: Binary, Number, String."
        )
    wrong = f"{label} must contain a non-empty value of type '{'Binary' if kind == 'Binary' else 'String'}'."
    if kind == "Binary":
        encoded = text(given, "BinaryValue")
        if not encoded:
            raise invalid_value(wrong)
        return Attribute(data_type, as_bytes(encoded))
    value = text(given, "StringValue")
    if not value:
        raise invalid_value(wrong)
    if not value.isprintable() and _BAD_CHARACTER.search(value) is not None:
        raise invalid_value(_BAD_CHARACTER_TEXT)
    if kind == "Number" and not _is_number(value):
        raise invalid_value(f"Can't cast the value of message ({whose}) attribute '{name}' to a number.")
    return Attribute(data_type, value)


def _is_number(value: str) -> bool:
    """Up to 38 digits, from 10**-128 to 10**126."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    if not number.is_finite():
        return False
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > _MAX_DIGITS:
        return False
    return not number or _SMALLEST_EXPONENT <= number.adjusted() <= _LARGEST_EXPONENT


def check_size(size: int, limit: int) -> None:
    """Raises ServiceError if `size` bytes are more than `limit`."""
    if size > limit:
        raise too_long(limit, "are invalid")


def too_long(limit: int, verb: str) -> ServiceError:
    """A message of more than `limit` bytes."""
    return invalid_value(
        f"One or more parameters {verb}. Reason: Message must be shorter than {limit} bytes."
    )
