"""orjson, or where a handler's own interpreter has none, the standard library in its place."""

from __future__ import annotations

__all__ = ["BUILT_IN_ONLY", "JSONDecodeError", "dumps", "loads"]

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
