"""Awaits what a sink answers by a callback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from engine.core.event import Event
from engine.core.invocation import Reply
from engine.core.outcome import Outcome


async def await_outcome(
    loop: asyncio.AbstractEventLoop, submit: Callable[[Event, Reply], None], event: Event
) -> Outcome:
    """Submit `event` and wait for its outcome. Cancelling the wait does not stop the invocation.

    `loop` is the running one: up to Python 3.11, to ask for it takes a system call.
    """
    future: asyncio.Future[Outcome] = loop.create_future()
    submit(event, partial(resolve, future))
    return await future


def resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    """Reply to whoever waits for `future`, if somebody still does."""
    try:
        future.set_result(outcome)
    except asyncio.InvalidStateError:
        pass
