"""Texts that clients are given and bring back: checkpoint tokens and markers of pages.

They are base64 of what they mean, made without randomness: the same facts lead to the same texts.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import b2a_base64

from engine.core.durable.refusals import CheckpointRefused


def make_token(execution_id: str, sequence: int) -> str:
    """The CheckpointToken number `sequence` of an execution."""
    return b2a_base64(f"{execution_id}/{sequence}".encode(), newline=False).decode()


def make_marker(kind: str, execution_id: str, position: int) -> str:
    """Where a page of `kind` (`state`, `history`, …) goes on."""
    return b2a_base64(f"{kind}/{execution_id}/{position}".encode(), newline=False).decode()


def read_marker(kind: str, execution_id: str, marker: str | None) -> int:
    """The position in a marker of this kind and execution; 0 without one.

    Raises:
        CheckpointRefused: `Invalid marker`, for anything that `make_marker` did not make of these.
    """
    if not marker:
        return 0
    try:
        text = b64decode(marker, validate=True).decode("ascii")
    except ValueError:
        text = ""
    beginning = f"{kind}/{execution_id}/"
    position = text.removeprefix(beginning)
    if not (text.startswith(beginning) and position.isdecimal() and len(position) < 10):
        raise CheckpointRefused("Invalid marker")
    return int(position)
