"""How a mapping meets a backlog in virtual time: AWS's ramp of 5 batches, then 300 more a minute up to 1,250.

Run: `python tests/bench/mapping_ramp.py [messages]`; prints one JSON line. A handler takes a second; the
batches that run are looked at once a second, and compared with the closed form, while messages are left.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal

import anyio

from engine.core.event import Event
from engine.core.function import Account, Function
from engine.core.invocation import Reply
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.ports import Binding, Host, ServiceRegistry
from engine.services.sqs.service import SqsService
from engine.sources.sqs.settings import SqsEvent
from engine.sources.sqs.source import SqsSource
from engine.testing import VirtualTimeLoop

BATCH_SIZE = 5
"""So that a million messages are enough to reach the ceiling."""
FREE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))


class OneSecond:
    """A sink whose invocations all succeed after a second."""

    def __init__(self) -> None:
        self.running = 0

    def submit(self, event: Event, reply: Reply, /) -> None:
        """Accept."""
        self.running += 1
        asyncio.get_running_loop().call_later(1.0, self._end, event, reply)

    def _end(self, event: Event, reply: Reply) -> None:
        self.running -= 1
        reply(Outcome(Status.SUCCESS, b"null", event.request_id, FREE))


async def main(messages: int) -> bool:
    """Fill, let the mapping go, and look once a second; whether it kept to the closed form."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    clock, services = loop.clock, ServiceRegistry()
    host = Host(account=Account(), clock=clock, new_request_id=str, listen={}, services=services)
    service = services.add(SqsService(host))
    queue = service.queues.create("q", {}, {}, clock.now())
    for _ in range(messages):
        queue.send(clock.now(), "0f0e0d0c-0b0a-4908-8706-050403020100", "x")
    settings = SqsEvent(queue="q", batch_size=BATCH_SIZE)
    source = SqsSource.build([Binding(function=Function("f", handler="a.b"), settings=settings)], host)
    sink, stopping, seen = OneSecond(), anyio.Event(), list[int]()
    took_s = time.perf_counter()
    async with anyio.create_task_group() as group:
        await group.start(source.serve, sink, stopping)
        began_s = clock.now()
        while queue.messages.visible:
            await anyio.sleep(max(0.0, began_s + len(seen) + 0.05 - clock.now()))
            seen.append(sink.running)
        stopping.set()
    took_s = time.perf_counter() - took_s
    seen.pop()  # the last batches are fewer
    expected = [min(1250, 5 + 5 * second) for second in range(len(seen))]
    off_by = max(abs(a - b) for a, b in zip(seen, expected, strict=True))
    result = {
        "messages": messages,
        "virtual_s": len(seen),
        "real_s": round(took_s, 1),
        "off_by_at_most": off_by,
        "concurrency_each_30_s": seen[::30],
        "highest": max(seen),
    }
    print(json.dumps(result))
    return off_by <= 1


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        sys.exit(not runner.run(main(count)))
