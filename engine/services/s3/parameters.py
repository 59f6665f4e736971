"""Checks the parameters of listings and the ids of versions, in S3's own words.

Source: answers of S3, measured in 2026 (brekkylab/backlot, versity/versitygw#1794, #1809, #1811): a number
that is none is told before anything is looked up, what is out of its range after that.
"""

from __future__ import annotations

import re
from typing import Final

from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import NULL_VERSION
from engine.services.s3.request import S3Request

MAX_LISTED: Final = 1000
_MAX_INT: Final = 0x7FFFFFFF
_NUMBER: Final = re.compile(r"(-?)0*([0-9]{1,10})")
_VERSION_ID: Final = re.compile(r"[0-9a-f]{32}")


def whole_number(call: S3Request, name: str, default: int = MAX_LISTED) -> int:
    """A number of 32 bits in the query, which may be negative; `default` if it is absent or empty.

    Raises S3Error InvalidArgument.
    """
    sent = call.query.get(name, "")
    if not sent:
        return default
    found = _NUMBER.fullmatch(sent)
    number = int(found[1] + found[2]) if found else _MAX_INT + 1
    if not -_MAX_INT - 1 <= number <= _MAX_INT:
        raise invalid_argument(f"Provided {name} not an integer or within integer range", name, sent)
    return number


def check_not_negative(number: int, name: str) -> None:
    """Raise S3Error InvalidArgument for a negative number; `name` is what S3 calls it there."""
    if number < 0:
        message = f"Argument {name} must be an integer between 0 and {_MAX_INT}"
        raise invalid_argument(message, name, str(number))


def encoding_asked(call: S3Request) -> str | None:
    """`encoding-type` as it was sent, in any case. Raises S3Error InvalidArgument for another than `url`."""
    encoding = call.query.get("encoding-type")
    if encoding is not None and encoding.lower() != "url":
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding)
    return encoding


def check_text(call: S3Request, *names: str) -> None:
    """Raise S3Error InvalidArgument if one of these parameters holds a zero byte, which no key can."""
    for name in names:
        value = call.query.get(name, "")
        if "\0" in value:
            message = "Value must be a sequence of Unicode characters and cannot include Null."
            raise invalid_argument(message, name, value)


def check_version_id(version_id: str, argument: str = "versionId") -> None:
    """Raise S3Error InvalidArgument for an id that no version can have."""
    if not is_version_id(version_id):
        raise invalid_argument("Invalid version id specified", argument, version_id)


def is_version_id(version_id: str) -> bool:
    """Whether a version can have that id."""
    return version_id == NULL_VERSION or _VERSION_ID.fullmatch(version_id) is not None


def incorrect_token(parameter: str) -> S3Error:
    """A continuation token that no answer had; S3 does not repeat it."""
    return invalid_argument("The continuation token provided is incorrect", parameter)
