"""Callback ids: opaque to users, and enough to find the operation without an index."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import NamedTuple


class CallbackAddress(NamedTuple):
    """Which operation of which execution waits."""

    execution_id: str
    operation_id: str


def make_callback_id(execution_id: str, operation_id: str) -> str:
    """Base64, unique for the operation and its execution: operation ids alone repeat in every execution."""
    return b64encode(f"{execution_id}/{operation_id}".encode()).decode()


def read_callback_id(callback_id: str) -> CallbackAddress | None:
    """What `make_callback_id` was given, or None for text that it did not make."""
    try:
        execution_id, _, operation_id = b64decode(callback_id, validate=True).decode("ascii").partition("/")
    except ValueError:
        return None
    return CallbackAddress(execution_id, operation_id) if execution_id and operation_id else None
