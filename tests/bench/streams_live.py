"""A stream mapping reads one shard into a no-op handler: batches of 100, factor 10, from a scripted stream.

Run: `python -m tests.bench.streams_live [records]`; prints one JSON line, and exits with 1 if a handler takes
less than `AT_LEAST_PER_S` records a second: `async def` on loop, and `def` on the executor that `auto`
chooses. A thousand keys, 100 bytes of data; metrics are on, logs off.
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
from engine.services.partner.service import Partner
from engine.sources.streams.clients import StreamAccess
from engine.sources.streams.scripted import ScriptedStream
from engine.sources.streams.settings import KinesisEvent
from engine.sources.streams.source import KinesisSource

AT_LEAST_PER_S = 20_000
_HANDLERS = {"loop": "noop.on_loop", "auto": "noop.on_thread"}


async def taken_per_s(executor: str, records: int) -> tuple[float, float]:
    """Records a second, of time and of this process's CPU, from the first listing to the last checkpoint."""
    here = str(Path(__file__).parent)
    function = Function("noop", handler=_HANDLERS[executor], code=here, executor=executor)
    async with Engine([function]) as engine:
        await engine.invoke("noop")
        stream = ScriptedStream(engine.platform.clock.wall)
        for number in range(records):
            stream.put(f"key-{number % 997}", b"%0100d" % number)
        services = ServiceRegistry()
        account = engine.config.account
        partner = Partner(
            "none", account, None, clock=engine.platform.clock, spawn=lambda *_: None, say=lambda _: None
        )
        services.add(
            StreamAccess(
                partner=partner, senders={}, role_of=lambda name: name, client=lambda _settings: stream
            )
        )
        host = Host(
            account=account,
            clock=engine.platform.clock,
            new_request_id=engine.new_request_id,
            listen={},
            services=services,
        )
        settings = KinesisEvent(stream="s", starting_position="TRIM_HORIZON", parallelization_factor=10)
        source = KinesisSource.build([Binding(function=function, settings=settings)], host)
        assert isinstance(source, KinesisSource)
        [entry] = source.mappings
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            await group.start(source.serve, engine.sink, stopping)
            while entry.counts.succeeded < records:
                await anyio.sleep(0.005)
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
            stopping.set()
        return records / took_s, records / cpu_s


async def main(records: int) -> bool:
    """Measure both; whether each is quick enough."""
    figures = {executor: await taken_per_s(executor, records) for executor in _HANDLERS}
    slowest = min(per_s for per_s, _ in figures.values())
    result = {
        "records": records,
        "per_s": {executor: round(per_s) for executor, (per_s, _) in figures.items()},
        "per_cpu_s": {executor: round(per_cpu_s) for executor, (_, per_cpu_s) in figures.items()},
        "slowest_of_bound": round(slowest / AT_LEAST_PER_S, 2),
    }
    print(json.dumps(result))
    return slowest >= AT_LEAST_PER_S


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    sys.exit(not run(main(count)))
