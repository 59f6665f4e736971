"""The floor under in-process invocation: one task, one timer and one context object per call, on one core.

What any engine pays that runs a handler as a task of its own, with a deadline and something to ask it by.
Run: `python tests/bench/floor_inprocess.py`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
import time

import uvloop

CALLS = 100_000
current: contextvars.ContextVar[object] = contextvars.ContextVar("current")


class Context:
    """What a handler may ask."""

    __slots__ = ("aws_request_id", "deadline_s")

    def __init__(self, aws_request_id: str, deadline_s: float) -> None:
        self.aws_request_id = aws_request_id
        self.deadline_s = deadline_s


async def handler(event: object, context: Context) -> None:
    """Do nothing."""


async def call(context: Context) -> None:
    """Run the handler in a context of its own."""
    current.set(context)
    await handler(None, context)


async def main() -> None:
    """Call one after the other, as a caller does who awaits each."""
    loop, ids, now = asyncio.get_running_loop(), itertools.count(), time.monotonic
    began_s = time.perf_counter()
    for _ in range(CALLS):
        task = loop.create_task(call(Context(str(next(ids)), now() + 3)))
        timer = loop.call_later(3, task.cancel)
        await task
        timer.cancel()
    print(json.dumps({"per_s": CALLS / (time.perf_counter() - began_s)}))


if __name__ == "__main__":
    uvloop.run(main())
