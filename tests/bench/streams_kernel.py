"""Records of a stream that the kernel of a mapping takes a CPU second: one shard, batches of 100, factor 10.

Run: `python -m tests.bench.streams_kernel [records]`; prints one JSON line, and fails below a million. Each
invocation ends at once and well; reads bring 1,000 records of 1,000 keys, which are made before.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque

from engine.core.streams.commands import (
    BatchResult,
    InvokeBatch,
    ListShards,
    ReadShard,
    ResultKind,
    StreamCommand,
)
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import ShardInfo, StreamPage, StreamRecord
from engine.core.streams.settings import StreamSettings

FLOOR_PER_CPU_S = 1_000_000
_PAGE = 1_000
_GOOD = BatchResult(ResultKind.SUCCEEDED, b"null", "id")


def pages(records: int) -> list[list[StreamRecord]]:
    """All records, by the page."""
    return [
        [
            StreamRecord(number, str(number), f"key-{number % 997}", 0.0, 300, None)
            for number in range(first + 1, first + _PAGE + 1)
        ]
        for first in range(0, records, _PAGE)
    ]


def taken(content: list[list[StreamRecord]], *, reporting: bool) -> int:
    """Let a mapping take all pages; how many records its function was invoked with."""
    settings = StreamSettings(
        batch_size=100, parallelization_factor=10, report_batch_item_failures=reporting, read_limit=_PAGE
    )
    poller = StreamPoller(settings)
    agenda: deque[StreamCommand] = deque(poller.open(0.0))
    invoked = read = 0
    while agenda and invoked < len(content) * _PAGE:
        command = agenda.popleft()
        match command:
            case InvokeBatch(batch=batch):
                invoked += len(batch.records)
                agenda += poller.ended(0.0, batch, _GOOD)
            case ReadShard():
                records = content[read] if read < len(content) else []
                read += 1
                agenda += poller.read(0.0, command, StreamPage(records, read, (), 1.0))
            case ListShards():
                agenda += poller.shards_listed(0.0, [ShardInfo("shardId-000000000000")])
    return invoked


def main(records: int) -> bool:
    """Measure; whether it was fast enough."""
    content = pages(records)
    figures = {}
    for name, reporting in (("plain", False), ("reporting", True)):
        began_s = time.process_time()
        invoked = taken(content, reporting=reporting)
        figures[name] = round(invoked / (time.process_time() - began_s))
    print(json.dumps({"records": records, "records_per_cpu_s": figures, "floor": FLOOR_PER_CPU_S}))
    return min(figures.values()) >= FLOOR_PER_CPU_S


if __name__ == "__main__":
    raise SystemExit(not main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
