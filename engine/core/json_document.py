"""JSON text to the document a handler gets: what Python's `json` reads, `NaN` and infinities refused.

Source: Lambda Developer Guide, "Define Lambda function handler in Python" (the event is `json.loads`).
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

from engine.errors import EngineError

_INT64_DIGITS: Final = 19
_LONG_NUMBER: Final = b"0" * _INT64_DIGITS
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")


class NotJson(EngineError):
    """A payload that is not JSON in UTF-8.

    Attributes:
        reason: What is wrong, in the words of Python's parser.
        text: The payload as text, without a byte order mark; None if it is not UTF-8.
        position: Index of the offending character in `text`, or of the byte in the payload if that is
            None; -1 if it is not known.
    """

    def __init__(self, reason: str, text: str | None, position: int) -> None:
        super().__init__(reason, text, position)
        self.reason, self.text, self.position = reason, text, position

    def __str__(self) -> str:
        return self.reason


def has_short_numbers(payload: bytes) -> bool:
    """Whether orjson can be trusted with it: it reads integers beyond 64 bits as floats.

    What has 19 digits in a row, in text too, is for another parser.
    """
    return len(payload) < _INT64_DIGITS or payload.translate(_DIGITS_TO_ZERO).find(_LONG_NUMBER) < 0


def loads(payload: bytes) -> Any:
    """The value `payload` holds, fresh: the caller may change it.

    Integers have no bound but Python's own (4,300 digits), the last of equal keys wins, a UTF-8 byte
    order mark and lone surrogates written as escapes are taken. UTF-16 and UTF-32 are not.

    Raises:
        NotJson: For anything else.
    """
    if has_short_numbers(payload):
        try:
            return orjson.loads(payload)
        except orjson.JSONDecodeError:
            pass  # not JSON, or one of the things only the other parser takes
    return _read_slowly(payload)


def _read_slowly(payload: bytes) -> Any:
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotJson("Invalid UTF-8", None, error.start) from None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _not_json(error, text) from None
    except RecursionError:
        raise NotJson("Nested too deeply", text, -1) from None
    except ValueError as error:  # an integer of too many digits, or a constant
        raise NotJson(str(error), text, -1) from None


def _not_json(error: json.JSONDecodeError, text: str) -> NotJson:
    """The same words and place on every Python: since 3.13 a trailing comma has words of its own."""
    if not error.msg.startswith("Illegal trailing comma"):
        return NotJson(error.msg, text, error.pos)
    behind = error.pos + 1
    position = behind + len(text[behind:]) - len(text[behind:].lstrip(" \t\n\r"))
    if error.msg.endswith("object"):
        return NotJson("Expecting property name enclosed in double quotes", text, position)
    return NotJson("Expecting value", text, position)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"Non-standard token {name!r}")
