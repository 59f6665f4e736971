"""Callback ids: opaque to users, and enough to find the operation without an index."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import NamedTuple


class CallbackAddress(NamedTuple):
    """Which operation of which execution waits: the one at `position` in the order of starts."""

    execution_id: str
    position: int


def make_callback_id(execution_id: str, position: int) -> str:
    """Base64, unique for the operation and its execution: ids of operations repeat in every execution."""
    return b64encode(f"{execution_id}:{position}".encode()).decode()


def read_callback_id(callback_id: str) -> CallbackAddress | None:
    """What `make_callback_id` was given, or None for text that it did not make."""
    try:
        execution_id, _, position = b64decode(callback_id, validate=True).decode("ascii").partition(":")
    except ValueError:
        return None
    if not execution_id or not position.isdecimal() or len(position) > 9:
        return None
    address = CallbackAddress(execution_id, int(position))
    return address if make_callback_id(*address) == callback_id else None  # one id each: no zeros before
