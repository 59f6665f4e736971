"""orjson, or where a handler's own interpreter has none, the standard library in its place.

And the engine's own writer in C, where it was built: `write(value, max_bytes)`, see `_json_writer.c`.
"""

from __future__ import annotations

__all__ = ["BUILT_IN_ONLY", "JSONDecodeError", "dumps", "loads", "write"]

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

try:
    from engine.core._json_writer import write
except ImportError:  # a pure build, or another Python than that of the wheel
    write = None  # type: ignore[assignment]
