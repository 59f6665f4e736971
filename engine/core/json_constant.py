"""A constant that is delivered instead of an event: any JSON value, or JSON text as it was written.

Source: EventBridge API reference, "Target" (`Input`): the text of a template is delivered as it is.
"""

from __future__ import annotations

from typing import Any

import orjson

from engine.core.json_document import NotJson, loads


class JsonText(str):
    """JSON text that was given as text, as CloudFormation has it; any other `str` is a value."""

    __slots__ = ()


def json_constant(value: Any) -> Any:
    """`value`, for a `Check`. Raises ValueError if it is no JSON."""
    try:
        loads(constant_text(value).encode("utf-8", "surrogatepass"))
    except NotJson:
        raise ValueError("JSON syntax error in input (AWS)") from None
    except TypeError:
        raise ValueError("is no JSON value") from None
    return value


def constant_text(value: Any) -> str:
    """What is delivered. Raises TypeError if that is no JSON value."""
    return str(value) if isinstance(value, JsonText) else orjson.dumps(value).decode()
