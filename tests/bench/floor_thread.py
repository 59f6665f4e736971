"""The floor under the thread executor: a bare handoff to one worker thread and back, one call at a time.

A `SimpleQueue` there, `call_soon_threadsafe` back, one future to await and one timer. No handler contract.
Run: `python tests/bench/floor_thread.py`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from queue import SimpleQueue

import uvloop

CALLS = 30_000


def handler(event: object, context: object) -> None:
    """Do nothing."""


async def main() -> None:
    """Hand over, await, again."""
    loop = asyncio.get_running_loop()
    inbox: SimpleQueue[asyncio.Future[None] | None] = SimpleQueue()

    def work() -> None:
        while (future := inbox.get()) is not None:
            loop.call_soon_threadsafe(future.set_result, handler(None, None))

    thread = threading.Thread(target=work)
    thread.start()
    began_s = time.perf_counter()
    for _ in range(CALLS):
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(3, future.cancel)
        inbox.put(future)
        await future
        timer.cancel()
    print(json.dumps({"per_s": CALLS / (time.perf_counter() - began_s)}))
    inbox.put(None)
    thread.join()


if __name__ == "__main__":
    uvloop.run(main())
