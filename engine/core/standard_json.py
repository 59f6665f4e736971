"""orjson's `loads` and `dumps` by the standard library, with the same results.

For interpreters of handlers that have no orjson. What it takes and refuses decides which parser or encoder
has the last word: see `executors.marshal`.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

JSONDecodeError: Final = ValueError

_MAX_DEPTH: Final = 254
"""Levels that orjson writes at most. It keeps what contains itself from being followed for ever."""


def loads(payload: bytes) -> Any:
    """The document of JSON text in UTF-8, integers of any size. Raises ValueError, or RecursionError."""
    return _DECODER.decode(str(payload, "utf-8"))


def dumps(document: object, _default: None = None, _option: int | None = None) -> bytes:
    """`document` as compact JSON, with null for NaN and infinities.

    Raises TypeError for whatever is not built of dict with keys that are text, list, tuple, str, int, float,
    bool and None; ValueError for what has no UTF-8.
    """
    return _ENCODER.encode(_plain(document, _MAX_DEPTH)).encode()


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
)
_LEAVES: Final = frozenset((str, int, bool, type(None)))


def _plain(value: Any, depth: int) -> Any:
    """`value` itself, or a copy with None for the numbers that JSON does not have."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is float:
        return value if value - value == 0 else None
    if depth == 0:
        raise TypeError("nested too deeply")
    if kind is list or kind is tuple:
        return [_plain(item, depth - 1) for item in value]
    if kind is not dict or any(type(key) is not str for key in value):
        raise TypeError(f"{kind.__name__} is not built in, or has keys that are not text")
    return {key: _plain(item, depth - 1) for key, item in value.items()}
