"""A mapping drains a full queue into a no-op `async def` handler, batch 10, in process.

Run: `python tests/bench/mapping_drain.py [messages] [reporting]`; prints one JSON line, and exits with 1 if
it is slower than `AT_LEAST_PER_S`. Metrics are on, logs off. The concurrency is
AWS's: five batches at the start, and five more each second. With `reporting` the mapping asks for partial
answers.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import anyio

from engine import Engine, Function
from engine.cli.options import run
from engine.ports import Binding, Host, ServiceRegistry
from engine.services.sqs.service import SqsService
from engine.sources.sqs.settings import SqsEvent
from engine.sources.sqs.source import SqsSource

AT_LEAST_PER_S = 80_000


async def main(messages: int, *, reporting: bool) -> bool:
    """Fill, then measure from the first look to the last delete; whether it is quick enough."""
    here = str(Path(__file__).parent)
    function = Function("noop", handler="noop.on_loop", code=here, executor="loop")
    async with Engine([function]) as engine:
        await engine.invoke("noop")
        clock = engine.platform.clock
        services = ServiceRegistry()
        host = Host(
            account=engine.config.account,
            clock=clock,
            new_request_id=engine.new_request_id,
            listen={},
            services=services,
        )
        service = services.add(SqsService(host))
        queue = service.queues.create("q", {}, {}, clock.now())
        for number in range(messages):
            queue.send(clock.now(), engine.new_request_id(), f'{{"order": {number}}}')
        settings = SqsEvent(queue="q", report_batch_item_failures=reporting)
        source = SqsSource.build([Binding(function=function, settings=settings)], host)
        assert isinstance(source, SqsSource)
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            await group.start(source.serve, engine.sink, stopping)
            while queue.messages.visible + queue.messages.in_flight:
                await anyio.sleep(0.005)
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
            stopping.set()
        [entry] = source
        assert entry.counts.deleted == messages
        assert engine.stats.functions["noop"].triggers["sqs"].ended["success"] == messages / 10
        result = {
            "messages": messages,
            "per_s": round(messages / took_s),
            "per_cpu_s": round(messages / cpu_s),
        }
        print(json.dumps(result))
        return result["per_s"] >= AT_LEAST_PER_S


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sys.exit(not run(main(count, reporting="reporting" in sys.argv)))
