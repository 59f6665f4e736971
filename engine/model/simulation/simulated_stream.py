"""A stream in front of a simulated function: its records, and the mapping that makes invocations of them.

What is read, invoked with, tried again and given up is decided by `core.streams`, as live. Reads follow the
limits of Kinesis: five calls a second of a shard, and 2 MB a second. Puts are taken as they come; what is
above the limits of a shard is counted.

Source: Kinesis Data Streams Developer Guide, "Quotas and limits".
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence, Set
from operator import attrgetter
from random import Random
from typing import Any, Final

from engine.core.late_dataclass import dataclass
from engine.core.streams.commands import (
    BatchResult,
    InvokeBatch,
    ListShards,
    ReadShard,
    ResultKind,
    StreamBatch,
    StreamCommand,
)
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import ShardInfo, StreamPage, StreamRecord
from engine.core.streams.settings import StreamSettings
from engine.model.simulation.run_statistics import Times, times_of
from engine.model.simulation.schedule import Schedule
from engine.model.simulation.simulated_mapping import MappedFunction
from engine.model.simulation.workload import AttemptEnding

_READ_EVERY_S: Final = 0.2
_READ_BYTES_PER_S: Final = 2_000_000
PUT_RECORDS_PER_S: Final = 1_000
PUT_BYTES_PER_S: Final = 1_000_000
"""What a shard of Kinesis takes. That AWS means 10^6 bytes by MB, also for reads, is not confirmed. Behind
a shard of a table is a partition: 1,000 write units a second, and a record is one or more of them (DynamoDB
Developer Guide, "Partitions and data distribution")."""
FOLLOWED_S: Final = 600.0
"""How long after the last record came what is not done with is followed, while nothing runs."""
_SAMPLES: Final = 300
_GROWN: Final = 1.25
_GROWN_S: Final = 1.0
"""A mapping is behind whose oldest record is older by a quarter in the last quarter of the time than in the
second, on average, and by these seconds, or by those of the batching window. As old as the time between two
reads a record is anyway, if one comes in the second quarter or not."""
_SPREAD: Final = 2_654_435_761  # of keys over shards: Knuth's multiplicative hash
_FAILED: Final = BatchResult(ResultKind.FAILED)
_REFUSED: Final = BatchResult(ResultKind.THROTTLED)
_GOOD: Final = BatchResult(ResultKind.SUCCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLoad:
    """Records of one stream, and the mapping that delivers them.

    Attributes:
        at_s: When records are put, ascending seconds.
        keys: The key of each, a number.
        batch_s: How long the invocation with the n-th batch takes (over again when there are more).
        endings: How it ends, likewise; empty = all succeed.
        poison: Places of records with which no invocation succeeds; with `report_batch_item_failures` the
            function names the first of them.
        shards: Open shards; keys are spread over them.
        record_bytes: What each adds to the event.
        data_bytes: What each has of the limits of a shard.
        settings: Of the mapping.
        page_bytes: Data that one read brings, at most.
        has_read_limits: Whether reads are limited as those of Kinesis are.
        has_put_limits: Whether a shard takes 1 MB a second at most, as of Kinesis; beside 1,000 records.
    """

    at_s: Sequence[float]
    keys: Sequence[int]
    batch_s: Sequence[float]
    settings: StreamSettings
    endings: Sequence[int] = ()
    poison: Set[int] = frozenset()
    shards: int = 1
    record_bytes: int = 1_000
    data_bytes: int = 1_000
    page_bytes: int = 10_000_000
    has_read_limits: bool = True
    has_put_limits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """What became of the records.

    Attributes:
        records: Put until the end of observation.
        counts: The kernel's counters, by name.
        waiting: Records that were not done with at the end.
        oldest_age_s: Age of the oldest of them in the last sample, 0 = there are none.
        early_age_s, late_age_s: Mean age of the oldest record not done with, in the second and in the last
            quarter of the time that is observed.
        window_s: The batching window.
        poll_interval_s: Between two reads of a shard that has nothing more.
        busiest_per_s: Most records that one shard got in one second.
        above_limits: Records above what a shard takes in a second.
        late_invocations: Invocations that began after the last record came, and after what is observed.
        iterator_age: Age of the last record of each batch when its invocation ended.
        record_age: Of each record that succeeded, from put to done.
        peak_concurrency: Most batches that ran at once: refused attempts are none.
        most_blocked: Most sub-shards that were blocked at once.
        blocked_share: Of the time, something was blocked.
        samples: `at_s`, and at each the age of the oldest record that is not done with, records that wait,
            sub-shards that are blocked, batches with the function.
    """

    records: int
    counts: dict[str, int]
    waiting: int
    oldest_age_s: float
    early_age_s: float
    late_age_s: float
    window_s: float
    poll_interval_s: float
    busiest_per_s: int
    above_limits: int
    late_invocations: int
    iterator_age: Times
    record_age: Times
    peak_concurrency: int
    most_blocked: int
    blocked_share: float
    samples: dict[str, list[float]]

    @property
    def dropped(self) -> int:
        """Records given up."""
        return self.counts["exhausted"] + self.counts["expired"]

    @property
    def is_behind(self) -> bool:
        """Whether records are not done with at the end, or their oldest grew older while they came."""
        early_s, late_s = max(self.early_age_s, self.poll_interval_s), self.late_age_s
        is_growing = late_s > max(_GROWN * early_s, early_s + max(_GROWN_S, self.window_s))
        return self.waiting > 0 or is_growing

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        batches = self.counts["batches"]
        return {
            "records": self.records,
            **{name: self.counts[name] for name in ("succeeded", "exhausted", "expired")},
            "waiting": self.waiting,
            **{name: self.counts[name] for name in ("batches", "bisects", "partial_failures", "throttles")},
            "records_each": round(self.counts["delivered"] / batches, 6) if batches else 0.0,
            "reads": self.counts["reads"],
            "iterator_age": self.iterator_age.document(),
            "record_age": self.record_age.document(),
            "peak_concurrency": self.peak_concurrency,
            "blocked": {"peak": self.most_blocked, "share_of_time": round(self.blocked_share, 6)},
            "oldest_age_at_the_end_s": round(self.oldest_age_s, 6),
            "busiest_shard_records_per_s": self.busiest_per_s,
            "above_shard_limits": self.above_limits,
            "is_behind": self.is_behind,
        }


class SimulatedStream:
    """A stream and its mapping during a run.

    Attributes:
        poller: The rules.
        invoked: When the function was invoked, and with how many records.
    """

    def __init__(
        self, simulated: MappedFunction, load: StreamLoad, at: Schedule, observed_s: float = 0.0
    ) -> None:
        """`observed_s`: how long it is looked at; at least until the last record comes."""
        self.simulated, self._load, self._at = simulated, load, at
        simulated.on_attempt_end = self._attempt_ended
        simulated.on_refused = self._refused
        self.poller = StreamPoller(load.settings)
        self._shards: list[list[StreamRecord]] = [[] for _ in range(load.shards)]
        self._cursors = [0] * load.shards
        for place, (at_s, key) in enumerate(zip(load.at_s, load.keys, strict=True)):
            record = StreamRecord(place + 1, str(place + 1), str(key), at_s, load.record_bytes, place)
            self._shards[(key * _SPREAD % 2**32) * load.shards >> 32].append(record)
        self._requests: list[ReadShard | None] = [None] * load.shards
        self._next_read_s = [0.0] * load.shards
        self._running: dict[int, StreamBatch] = {}
        self.invoked: list[tuple[float, int]] = []
        self._delivered = 0
        self._now_s = 0.0
        self._due_s = math.inf
        self._last_s = load.at_s[-1] if len(load.at_s) else 0.0
        self._end_s = max(self._last_s, observed_s)
        self._sample_every_s = max(1.0, self._end_s / _SAMPLES)
        self._iterator_ages_s: list[float] = []
        self._record_ages_s: list[float] = []
        self._active = self._peak = self._most_blocked = 0
        self._samples: dict[str, list[float]] = {
            name: [] for name in ("at_s", "oldest_age_s", "waiting", "blocked", "in_flight")
        }

    @property
    def has_work(self) -> bool:
        """Whether a record is not done with, and still followed."""
        if self._running:
            return True
        return self._open_records > 0 and self._now_s < self._last_s + FOLLOWED_S

    @property
    def _open_records(self) -> int:
        counts = self.poller.counts
        return len(self._load.at_s) - counts.succeeded - counts.dropped - counts.filtered

    def open(self, now_s: float) -> None:
        """The mapping is enabled."""
        self._obey(now_s, self.poller.open(now_s))
        self._sample(now_s, 0, 0)

    def summary(self) -> StreamSummary:
        """What became of the records until now."""
        counts = self.poller.counts
        names = [name for name in counts.__slots__ if name != "iterator_age_s"]
        blocked = self._samples["blocked"]
        most = PUT_RECORDS_PER_S
        if self._load.has_put_limits:
            most = min(most, PUT_BYTES_PER_S // max(1, self._load.data_bytes))
        busiest, above = _put_rates(self._shards, most)
        return StreamSummary(
            records=len(self._load.at_s),
            counts={**{name: getattr(counts, name) for name in names}, "delivered": self._delivered},
            waiting=self._open_records,
            oldest_age_s=self._samples["oldest_age_s"][-1] if self._open_records else 0.0,
            early_age_s=self._mean_age_s(0.25, 0.5),
            late_age_s=self._mean_age_s(0.75, 1.0),
            window_s=self._load.settings.batching_window_s,
            poll_interval_s=self._load.settings.poll_interval_s,
            busiest_per_s=busiest,
            above_limits=above,
            late_invocations=sum(at_s > self._end_s for at_s, _ in self.invoked),
            iterator_age=times_of(list(self._iterator_ages_s)),
            record_age=times_of(list(self._record_ages_s)),
            peak_concurrency=self._peak,
            most_blocked=self._most_blocked,
            blocked_share=sum(map(bool, blocked)) / len(blocked) if blocked else 0.0,
            samples=self._samples,
        )

    def _mean_age_s(self, begin: float, end: float) -> float:
        """Of the oldest record, over the samples between two parts of the time that is observed."""
        at_s, end_s = self._samples["at_s"], self._end_s
        first, after = bisect_right(at_s, begin * end_s), bisect_right(at_s, end * end_s)
        ages_s = self._samples["oldest_age_s"][first:after]
        return sum(ages_s) / len(ages_s) if ages_s else 0.0

    # ---------------------------------------------------------------- obeying the kernel

    def _obey(self, now_s: float, commands: Sequence[StreamCommand]) -> None:
        self._now_s = now_s
        for command in commands:
            match command:
                case ListShards():
                    self._at(now_s, self._list)
                case ReadShard(shard_id=shard_id, not_before_s=not_before_s):
                    number = int(shard_id)
                    self._requests[number] = command
                    self._at(max(now_s, not_before_s, self._next_read_s[number]), self._read, number)
                case InvokeBatch(batch=batch):
                    self._invoke(now_s, batch)
        due_s = self.poller.next_due_s
        if due_s is not None and due_s < self._due_s:
            self._due_s = due_s
            self._at(max(now_s, due_s), self._due)

    def _list(self, now_s: float, _a: int, _b: int) -> None:
        shards = [ShardInfo(str(number)) for number in range(self._load.shards)]
        self._obey(now_s, self.poller.shards_listed(now_s, shards))

    def _read(self, now_s: float, number: int, _b: int) -> None:
        request = self._requests[number]
        if request is None:
            return
        records, start = self._shards[number], self._cursors[number]
        most = min(request.limit, max(1, self._load.page_bytes // max(1, self._load.data_bytes)))
        end = _arrived(records, now_s, start, min(len(records), start + most))
        self._cursors[number] = end
        page = records[start:end]
        if self._load.has_read_limits:
            size_bytes = len(page) * self._load.data_bytes
            self._next_read_s[number] = now_s + max(_READ_EVERY_S, size_bytes / _READ_BYTES_PER_S)
        has_more = end < len(records) and records[end].arrived_s <= now_s
        answer = StreamPage(page, end, (), 1.0 if has_more else 0.0)
        self._obey(now_s, self.poller.read(now_s, request, answer))

    def _due(self, now_s: float, _a: int, _b: int) -> None:
        self._due_s = math.inf
        self._obey(now_s, self.poller.due(now_s))

    def _invoke(self, now_s: float, batch: StreamBatch) -> None:
        load, number = self._load, len(self.invoked)
        self.invoked.append((now_s, len(batch.records)))
        item = len(self.simulated.hold_s)
        self._running[item] = batch
        ending = load.endings[number % len(load.endings)] if load.endings else 0
        if not load.settings.report_batch_item_failures and self._poisoned(batch) is not None:
            ending = ending or AttemptEnding.ERROR
        self._active += 1
        self.simulated.add(
            now_s, load.batch_s[number % len(load.batch_s)], ending
        )  # refused within it, or not
        self._peak = max(self._peak, self._active)

    def _poisoned(self, batch: StreamBatch) -> StreamRecord | None:
        poison = self._load.poison
        if not poison:
            return None
        return next((record for record in batch.records if record.payload in poison), None)

    # ---------------------------------------------------------------- what the function did

    def _attempt_ended(self, now_s: float, item: int, well: bool, /) -> None:  # noqa: FBT001  # as `on_attempt_end` takes it
        self._active -= 1
        self._at(now_s, self._end, item, well)  # not within the moment in which the invocation ended

    def _refused(self, now_s: float, item: int, /) -> None:
        self._active -= 1
        self._at(now_s, self._throttle, item)

    def _end(self, now_s: float, item: int, well: int) -> None:
        batch = self._running.pop(item)
        records = batch.records  # which a part of them replaces
        self._delivered += len(records)
        if records:
            self._iterator_ages_s.append(now_s - records[-1].arrived_s)
        before = self.poller.counts.succeeded
        commands = self.poller.ended(now_s, batch, self._result(batch) if well else _FAILED)
        done = self.poller.counts.succeeded - before
        self._record_ages_s.extend(now_s - record.arrived_s for record in records[:done])
        self._obey(now_s, commands)

    def _throttle(self, now_s: float, item: int, _b: int) -> None:
        self._obey(now_s, self.poller.ended(now_s, self._running.pop(item), _REFUSED))

    def _result(self, batch: StreamBatch) -> BatchResult:
        """What the function answers, that ended well."""
        answer: dict[str, Any] = {}
        poisoned = self._poisoned(batch)
        if poisoned is not None:
            answer["batchItemFailures"] = [{"itemIdentifier": poisoned.sequence_number}]
        if batch.window is not None:
            answer["state"] = {}
        return BatchResult(ResultKind.SUCCEEDED, json.dumps(answer).encode()) if answer else _GOOD

    def _sample(self, now_s: float, _a: int, _b: int) -> None:
        """Write down what waits. What is in the stream and was not read yet counts as well."""
        report = self.poller.report(now_s)
        self._now_s = now_s
        oldest_age_s, unread = report.oldest_age_s, 0
        for records, cursor in zip(self._shards, self._cursors, strict=True):
            arrived = _arrived(records, now_s, cursor, len(records))
            unread += arrived - cursor
            if arrived > cursor:
                oldest_age_s = max(oldest_age_s, now_s - records[cursor].arrived_s)
        self._most_blocked = max(self._most_blocked, report.blocked)
        levels = (now_s, oldest_age_s, report.waiting + unread, report.blocked, report.in_flight)
        for name, level in zip(self._samples, levels, strict=True):
            self._samples[name].append(level)
        if now_s < self._end_s or (now_s < self._last_s + FOLLOWED_S and self.has_work):
            self._at(now_s + self._sample_every_s, self._sample)


def _arrived(records: Sequence[StreamRecord], now_s: float, low: int, high: int) -> int:
    """How many of the records up to `high` are there; the first `low` are."""
    return bisect_right(records, now_s, low, high, key=attrgetter("arrived_s"))


def _put_rates(shards: Sequence[Sequence[StreamRecord]], most: int) -> tuple[int, int]:
    """The most records of a shard in one second, and the records above what it takes."""
    busiest = above = 0
    for records in shards:
        for number in Counter(int(record.arrived_s) for record in records).values():
            busiest = max(busiest, number)
            above += max(0, number - most)
    return busiest, above


def keys_of(count: int, keys: int, draw: Random) -> list[int]:
    """The keys of `count` records, each of `keys` as likely."""
    return [draw.randrange(keys) for _ in range(count)]
