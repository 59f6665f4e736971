"""What mappings (sources that poll) tell of themselves, read at each scrape and sorted by function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from engine.telemetry.histogram import BATCH_BOUNDS
from engine.telemetry.label_values import OVERFLOW_LABEL

SOURCE_LABEL_CAP: Final = 200
"""How many mappings have a value of the label `source` of their own; the others share `__other__`."""


class StreamReading(NamedTuple):
    """What a mapping of a stream has besides.

    Attributes:
        iterator_age_s: How old the last record of the batch that ended last was then (AWS: IteratorAge).
        records: Records, by what became of them (`label_values.STREAM_FATES`).
        batches: Attempts to invoke with a batch, by how they ended (`label_values.BATCH_OUTCOMES`).
        bisects: Batches that were split in two after an error.
        shards: Shards, by state (`label_values.SHARD_STATES`).
        blocked: Shards, or parts of one, whose batch failed or was throttled and is not done with.
        deliveries: Records of discarded batches, by whether they could be delivered.
        lost_windows: Tumbling windows whose last invocation was given up.
    """

    iterator_age_s: float
    records: dict[str, int]
    batches: dict[str, int]
    bisects: int
    shards: dict[str, int]
    blocked: int
    deliveries: dict[str, int]
    lost_windows: int


class MappingReading(NamedTuple):
    """One mapping at one moment. Counters only rise for as long as it lives.

    Attributes:
        function: The function it feeds.
        source: Its label value: queue and function, say.
        records: Messages, by what became of them (`label_values.RECORD_RESULTS`; of a stream none is
            deleted).
        batches: Batches by size: up to each of `histogram.BATCH_BOUNDS`, and above.
        batched: Messages in these batches.
        backlog: Messages that could be received now.
        oldest_age_s: How long ago the oldest of them was sent, seconds.
        pollers: Batches that may run at a time, as its scaling policy wants it.
        running: Batches that do.
        stream: What it has besides if it reads a stream; else None.
    """

    function: str
    source: str
    records: dict[str, int]
    batches: Sequence[int]
    batched: int
    backlog: int = 0
    oldest_age_s: float = 0.0
    pollers: int = 0
    running: int = 0
    stream: StreamReading | None = None


Readings = Mapping[str, Mapping[str, MappingReading]]
"""By function, and by source."""


class Mappings:
    """Asks whoever has mappings.

    Attributes:
        overflowed: The most mappings there were above the cap.
    """

    def __init__(self, cap: int = SOURCE_LABEL_CAP) -> None:
        self._cap = cap
        self._readers: list[Callable[[], Iterable[MappingReading]]] = []
        self.overflowed = 0

    def watch(self, read: Callable[[], Iterable[MappingReading]]) -> None:
        """Have `read` called at each scrape; it must be quick."""
        self._readers.append(read)

    def read(self) -> Readings:
        """All of them now. Those of one function that share a name are added up."""
        sorted_out: dict[str, dict[str, MappingReading]] = {}
        number = 0
        for read in self._readers:
            for one in read():
                number += 1
                source = one.source if number <= self._cap else OVERFLOW_LABEL
                of_function = sorted_out.setdefault(one.function, {})
                known = of_function.get(source)
                of_function[source] = one if known is None else _sum(known, one)
        self.overflowed = max(self.overflowed, number - self._cap)
        return sorted_out


def _sum(one: MappingReading, other: MappingReading) -> MappingReading:
    return MappingReading(
        one.function,
        one.source,
        _added(one.records, other.records),
        [a + b for a, b in zip(one.batches, other.batches, strict=True)],
        one.batched + other.batched,
        one.backlog + other.backlog,
        max(one.oldest_age_s, other.oldest_age_s),
        one.pollers + other.pollers,
        one.running + other.running,
        one.stream if other.stream is None else _sum_of_streams(one.stream, other.stream),
    )


def _sum_of_streams(one: StreamReading | None, other: StreamReading) -> StreamReading:
    if one is None:
        return other
    return StreamReading(
        max(one.iterator_age_s, other.iterator_age_s),
        _added(one.records, other.records),
        _added(one.batches, other.batches),
        one.bisects + other.bisects,
        _added(one.shards, other.shards),
        one.blocked + other.blocked,
        _added(one.deliveries, other.deliveries),
        one.lost_windows + other.lost_windows,
    )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in dict.fromkeys((*one, *other))}


NO_BATCHES: Final = (0,) * (len(BATCH_BOUNDS) + 1)
"""`MappingReading.batches` before the first one."""
