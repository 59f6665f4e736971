"""What is awaited of a dispatcher.

These are coroutines, and modules with coroutines are not compiled: one that is cancelled while it waits calls
`throw` with three arguments then, of which Python warns from 3.12 on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from engine.core.event import Event
from engine.core.invocation import Reply
from engine.core.outcome import Outcome
from engine.runtime.replies import resolve


async def await_outcome(
    loop: asyncio.AbstractEventLoop, submit: Callable[[Event, Reply], None], event: Event
) -> Outcome:
    """Submit `event` and wait for its outcome. Cancelling the wait does not stop the invocation.

    `loop` is the running one: up to Python 3.11, to ask for it takes a system call.
    """
    future: asyncio.Future[Outcome] = loop.create_future()
    submit(event, partial(resolve, future))
    return await future


async def drained(
    stop: Callable[[], bool], is_idle: asyncio.Event, grace_s: float, abandon: Callable[[], None]
) -> bool:
    """Stop by `stop`, wait until `is_idle` is set, and `abandon` what is left.

    Returns whether nothing was left after `grace_s` seconds. `stop` returns False if all is over already.
    """
    if not stop():
        return True
    try:
        async with asyncio.timeout(grace_s):
            await is_idle.wait()
    except TimeoutError:
        return False
    finally:
        abandon()
    return True
