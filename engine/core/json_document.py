"""JSON text to the document a handler gets: what Python's `json` reads, `NaN` and infinities refused.

Source: Lambda Developer Guide, "Define Lambda function handler in Python" (the event is `json.loads`).
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from engine.core.fast_json import JSONDecodeError
from engine.core.fast_json import has_short_numbers as has_short_numbers_in_c
from engine.core.fast_json import loads as fast_loads
from engine.errors import EngineError

BOM: Final = b"\xef\xbb\xbf"
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

    def __init__(
        self, reason: str, text: str | None, position: int, beginning: str = "", start: int = 0
    ) -> None:
        super().__init__(reason, text, position)
        self.reason, self.text, self.position = reason, text, position
        self._beginning, self._start = beginning, start

    @property
    def before(self) -> str:
        """Text that ends at `position` and leaves the same container open; shorter than all before it."""
        return self._beginning + (self.text or "")[self._start : self.position]

    def __str__(self) -> str:
        return self.reason


def has_short_numbers(payload: bytes) -> bool:
    """Whether orjson can be trusted with it: it reads integers beyond 64 bits as floats.

    What has 19 digits in a row, in text too, is for another parser.
    """
    if has_short_numbers_in_c is not None:
        return has_short_numbers_in_c(payload)
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
            return fast_loads(payload)
        except JSONDecodeError:
            pass  # not JSON, or one of the things only the other parser takes
    return read_text(text_of(payload))


def text_of(payload: bytes) -> str:
    """The text without its byte order mark. Raises `NotJson` if it is not UTF-8."""
    start = len(BOM) if payload.startswith(BOM) else 0
    try:
        return str(memoryview(payload)[start:], "utf-8")
    except UnicodeDecodeError as error:
        raise NotJson("Invalid UTF-8", None, start + error.start) from None


def read_text(text: str) -> Any:
    """The same of text, by the slower parser, which says what is wrong and where. Raises `NotJson`."""
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
