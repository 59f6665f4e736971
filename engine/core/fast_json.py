"""orjson, or where a handler's own interpreter has none, the standard library in its place.

And what is written in C for this engine, where it was built, else None: `_fast_json.c`.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BUILT_IN_ONLY", "JSONDecodeError", "dumps", "has_short_numbers", "loads", "write"]

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

write: Callable[[object, int], bytes | None] | None
has_short_numbers: Callable[[bytes], bool] | None
try:
    from engine.core import _fast_json
except ImportError:  # a pure build, or another Python than that of the wheel
    write = has_short_numbers = None
else:
    write, has_short_numbers = _fast_json.write, _fast_json.has_short_numbers
