"""orjson, or where a handler's own interpreter has none, the standard library in its place."""

from __future__ import annotations

from typing import Final

__all__ = ["BUILT_IN_ONLY", "JSONDecodeError", "dumps", "has_short_numbers", "loads"]

_INT64_DIGITS: Final = 19
_LONG_NUMBER: Final = b"0" * _INT64_DIGITS
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")

try:
    from orjson import (
        OPT_PASSTHROUGH_DATACLASS,
        OPT_PASSTHROUGH_DATETIME,
        OPT_PASSTHROUGH_SUBCLASS,
        JSONDecodeError,
        dumps,
        loads,
    )

    BUILT_IN_ONLY = OPT_PASSTHROUGH_SUBCLASS | OPT_PASSTHROUGH_DATACLASS | OPT_PASSTHROUGH_DATETIME
    """Option of `dumps`: refuse what is not of built-in types all the way down."""
except ImportError:
    from engine.core.standard_json import JSONDecodeError, dumps, loads  # type: ignore[assignment]

    BUILT_IN_ONLY = 0


def has_short_numbers(payload: bytes) -> bool:
    """Whether orjson can be trusted with it: it reads integers beyond 64 bits as floats.

    What has 19 digits in a row, in text too, is for another parser.
    """
    return len(payload) < _INT64_DIGITS or payload.translate(_DIGITS_TO_ZERO).find(_LONG_NUMBER) < 0
