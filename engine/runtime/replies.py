"""Replies that answer whoever awaits a future."""

from __future__ import annotations

import asyncio

from engine.core.outcome import Outcome


def resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    """Reply to whoever waits for `future`, if somebody still does."""
    try:
        future.set_result(outcome)
    except asyncio.InvalidStateError:
        pass
