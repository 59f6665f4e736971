"""Which updates of operations are plainly as the Lambda model has them; of others the model has to say it."""

from __future__ import annotations

import re
from typing import Any, Final

from engine.core.durable.values import OperationAction, OperationType

_ID: Final = re.compile(r"[a-zA-Z0-9-_]{1,64}", re.ASCII)
_NAME: Final = re.compile(r"[\x20-\x7E]{1,256}", re.ASCII)
_SUB_TYPE: Final = re.compile(r"[a-zA-Z0-9-_]{1,32}", re.ASCII)
_MAX_PAYLOAD: Final = 6_291_456
_TYPES: Final = frozenset(str(kind) for kind in OperationType)
_ACTIONS: Final = frozenset(str(action) for action in OperationAction)


def is_plain_update(update: Any) -> bool:
    """Whether `update`, a document of the API, has the types and bounds of the model, and nothing unusual."""
    if type(update) is not dict:
        return False
    for key, value in update.items():
        match key:
            case "Id" | "ParentId":
                plain = _matches(_ID, value)
            case "Name":
                plain = _matches(_NAME, value)
            case "SubType":
                plain = _matches(_SUB_TYPE, value)
            case "Type":
                plain = type(value) is str and value in _TYPES
            case "Action":
                plain = type(value) is str and value in _ACTIONS
            case "Payload":
                plain = type(value) is str and len(value) <= _MAX_PAYLOAD and _is_encodable(value)
            case "ContextOptions":
                plain = value in ({"ReplayChildren": False}, {"ReplayChildren": True})
            case _:
                plain = False
        if not plain:
            return False
    return "Id" in update and "Type" in update and "Action" in update


def _is_encodable(text: str) -> bool:
    """Whether it has no lone surrogate, which only a client in this process can send."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return type(value) is str and pattern.fullmatch(value) is not None
