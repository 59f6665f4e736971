"""A stream that is written by a test, and a driver of the kernel on a virtual clock."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from engine.core.streams.commands import (
    BatchResult,
    DiscardedBatch,
    InvokeBatch,
    ListShards,
    ReadShard,
    ResultKind,
    SendToDestination,
    StreamBatch,
    StreamCommand,
    StreamNotice,
    TumblingWindow,
)
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import (
    PositionType,
    ReadFailure,
    ShardCheckpoint,
    ShardInfo,
    StreamPage,
    StreamRecord,
)
from engine.core.streams.settings import StreamSettings

START_S = 1_767_225_480.0
"""When a scripted run begins: 2025-12-31T23:58:00Z."""

_SPACE = 2**32

GOOD = BatchResult(ResultKind.SUCCEEDED, b"null", "good")
BAD = BatchResult(ResultKind.FAILED, b'{"errorMessage":"no"}', "bad")
THROTTLED = BatchResult(ResultKind.THROTTLED)

Handler = Callable[[StreamBatch], BatchResult]


def answer(text: str) -> BatchResult:
    """The function returned this JSON."""
    return BatchResult(ResultKind.SUCCEEDED, text.encode(), "answer")


@dataclass
class ScriptedShard:
    """One shard: the part of the keys' hashes that is its own, and its records."""

    shard_id: str
    low: int
    high: int
    parents: tuple[str, ...] = ()
    records: list[StreamRecord] = field(default_factory=list)
    is_closed: bool = False
    trimmed: int = 0


class ScriptedStream:
    """A stream whose shards split and merge.

    Attributes:
        shards: By id.
        names_children: Whether reads name children, as Kinesis does and DynamoDB does not.
        is_like_moto: Closed shards take the records, their reads never end.
        is_gone: There is no such stream.
        knows_delay: Whether reads say how far behind they are.
        failures: Taken from the front for the next reads, None = it works.
    """

    def __init__(self, shards: int = 1, *, names_children: bool = True, is_like_moto: bool = False) -> None:
        self.shards: dict[str, ScriptedShard] = {}
        self.names_children, self.is_like_moto = names_children, is_like_moto
        self.is_gone = False
        self.knows_delay = True
        self.failures: list[ReadFailure | None] = []
        self.reads: list[ReadShard] = []
        self._sequence = 100
        for number in range(shards):
            self._add(_SPACE * number // shards, _SPACE * (number + 1) // shards)

    def put(self, key: str, now_s: float, payload: Any = None, size_bytes: int = 100) -> StreamRecord:
        """Add a record to the shard of its key."""
        self._sequence += 1
        place = crc32(key.encode()) ^ 0x5BD1E995  # not what spreads keys over sub-shards
        takers = [shard for shard in self.shards.values() if shard.low <= place < shard.high]
        shard = takers[0] if self.is_like_moto else next(each for each in takers if not each.is_closed)
        record = StreamRecord(
            self._sequence, str(self._sequence), key, now_s, size_bytes, key if payload is None else payload
        )
        shard.records.append(record)
        return record

    def split(self, shard_id: str) -> list[str]:
        """Close a shard for two children."""
        parent = self.shards[shard_id]
        parent.is_closed = True
        middle = (parent.low + parent.high) // 2
        return [
            self._add(parent.low, middle, shard_id),
            self._add(middle, parent.high, shard_id),
        ]

    def merge(self, first: str, second: str) -> str:
        """Close two neighbours for one child."""
        low, high = sorted((self.shards[first], self.shards[second]), key=lambda each: each.low)
        assert low.high == high.low
        low.is_closed = high.is_closed = True
        return self._add(low.low, high.high, first, second)

    @property
    def open_shards(self) -> list[ScriptedShard]:
        """In the order of what is theirs."""
        return sorted(
            (each for each in self.shards.values() if not each.is_closed), key=lambda each: each.low
        )

    def trim(self, shard_id: str, count: int) -> None:
        """Forget its first records."""
        self.shards[shard_id].trimmed = count

    def listed(self) -> Sequence[ShardInfo] | ReadFailure:
        """As ListShards."""
        return ReadFailure.GONE if self.is_gone else list(map(self._info, self.shards.values()))

    def read(self, request: ReadShard) -> StreamPage | ReadFailure:
        """As GetShardIterator and GetRecords."""
        self.reads.append(request)
        failure = self.failures.pop(0) if self.failures else None
        shard = self.shards.get(request.shard_id)
        if failure is not None or shard is None or self.is_gone:
            return failure or ReadFailure.GONE
        start = request.cursor if request.cursor is not None else self._place(shard, request)
        is_horizon = request.position.type is PositionType.TRIM_HORIZON
        if start is None or (start < shard.trimmed and not is_horizon):
            return ReadFailure.TRIMMED
        start = max(start, shard.trimmed)
        end = min(start + request.limit, len(shard.records))
        is_end = shard.is_closed and end == len(shard.records) and not self.is_like_moto
        children = [self._info(each) for each in self.shards.values() if shard.shard_id in each.parents]
        return StreamPage(
            shard.records[start:end],
            None if is_end else end,
            children if is_end and self.names_children else (),
            (1.0 if end < len(shard.records) else 0.0) if self.knows_delay else None,
        )

    def _place(self, shard: ScriptedShard, request: ReadShard) -> int | None:
        type_, text, timestamp_s = request.position
        if type_ is PositionType.TRIM_HORIZON:
            return shard.trimmed
        if type_ is PositionType.LATEST:
            return len(shard.records)
        if type_ is PositionType.AT_TIMESTAMP:
            assert timestamp_s is not None
            return sum(record.arrived_s < timestamp_s for record in shard.records)
        assert text is not None
        after = type_ is PositionType.AFTER_SEQUENCE_NUMBER
        if shard.trimmed and int(text) < shard.records[shard.trimmed - 1].sequence:
            return None
        return sum(record.sequence < int(text) + after for record in shard.records)

    def _add(self, low: int, high: int, *parents: str) -> str:
        shard_id = f"shardId-{len(self.shards):012d}"
        self.shards[shard_id] = ScriptedShard(shard_id, low, high, parents)
        return shard_id

    def _info(self, shard: ScriptedShard) -> ShardInfo:
        last = shard.records[-1].sequence if shard.records else 0
        return ShardInfo(shard.shard_id, shard.parents, last if shard.is_closed else None)


@dataclass(frozen=True)
class Delivery:
    """One invocation, when it began."""

    at_s: float
    shard_id: str
    records: tuple[StreamRecord, ...]
    attempt: int
    window: TumblingWindow | None

    @property
    def payloads(self) -> list[Any]:
        """Of its records."""
        return [record.payload for record in self.records]


class ScriptedDriver:
    """Does what the kernel asks, on a clock that jumps.

    Attributes:
        deliveries: All invocations, in order.
        discarded: What went to the destination.
        notices: What was told.
        succeeded: Records of invocations that ended well wholly.
    """

    def __init__(
        self,
        stream: ScriptedStream,
        settings: StreamSettings,
        handler: Handler = lambda _: GOOD,
        *,
        service_s: Callable[[StreamBatch], float] = lambda _: 0.0,
        read_s: Callable[[], float] = lambda: 0.0,
        checkpoints: Iterable[ShardCheckpoint] = (),
        now_s: float = START_S,
        after: StreamPoller | None = None,
    ) -> None:
        self.stream, self.settings, self.now_s = stream, settings, now_s
        self.poller = StreamPoller(settings, checkpoints)
        if after is not None:
            self.poller = StreamPoller(settings, after.checkpoints(), after.counts, after.tried())
        self.deliveries: list[Delivery] = []
        self.discarded: list[DiscardedBatch] = []
        self.notices: list[StreamNotice] = []
        self.most_in_flight: dict[str, int] = defaultdict(int)
        self.is_crashed = False
        self.after_each: Callable[[], None] = lambda: None
        self._in_flight: dict[str, int] = defaultdict(int)
        self._handler, self._service_s, self._read_s = handler, service_s, read_s
        self._agenda: list[tuple[float, int, Callable[[], list[StreamCommand] | None]]] = []
        self._entries = 0
        self._due_s: float | None = None

    def at(self, at_s: float, step: Callable[[], list[StreamCommand] | None]) -> None:
        """Do something then, seconds of the clock."""
        self._entries += 1
        heapq.heappush(self._agenda, (at_s, self._entries, step))

    def open(self) -> None:
        """Enable the mapping."""
        self.obey(self.poller.open(self.now_s))

    def pause(self) -> None:
        """Disable it."""
        self.obey(self.poller.pause(self.now_s))

    def changed(self, *, ends_s: float = 20, **settings: Any) -> ScriptedDriver:
        """Pause, let batches that run end for `ends_s`, and go on as another driver with these settings."""
        self.pause()
        self.run(ends_s)
        made = ScriptedDriver(
            self.stream,
            replace(self.settings, **settings),
            self._handler,
            service_s=self._service_s,
            read_s=self._read_s,
            now_s=self.now_s,
            after=self.poller,
        )
        made.deliveries, made.discarded, made.notices = self.deliveries, self.discarded, self.notices
        made.after_each = self.after_each
        return made

    def run(self, for_s: float) -> None:
        """Let time go by."""
        until_s = self.now_s + for_s
        while self._agenda and self._agenda[0][0] <= until_s and not self.is_crashed:
            at_s, _, step = heapq.heappop(self._agenda)
            self.now_s = max(self.now_s, at_s)
            self.obey(step() or [])
        self.now_s = until_s

    def obey(self, commands: list[StreamCommand]) -> None:
        """Do what the kernel asks."""
        for command in commands:
            match command:
                case ListShards(not_before_s=at_s):
                    self.at(max(at_s, self.now_s) + self._read_s(), self._list)
                case ReadShard():
                    at_s = max(command.not_before_s, self.now_s) + self._read_s()
                    self.at(at_s, lambda request=command: self._read(request))  # type: ignore[misc]
                case InvokeBatch(batch=batch):
                    self._invoke(batch)
                case SendToDestination(discarded=discarded):
                    self.discarded.append(discarded)
                case StreamNotice():
                    self.notices.append(command)
        due_s = self.poller.next_due_s
        if due_s is not None and (self._due_s is None or due_s < self._due_s):
            self._due_s = due_s
            self.at(due_s, self._due)
        self.after_each()

    def _due(self) -> list[StreamCommand]:
        self._due_s = None
        return self.poller.due(self.now_s)

    def _list(self) -> list[StreamCommand]:
        listed = self.stream.listed()
        if isinstance(listed, ReadFailure):
            return self.poller.listing_failed(self.now_s, listed)
        return self.poller.shards_listed(self.now_s, listed)

    def _read(self, request: ReadShard) -> list[StreamCommand]:
        page = self.stream.read(request)
        if isinstance(page, ReadFailure):
            return self.poller.read_failed(self.now_s, request, page)
        return self.poller.read(self.now_s, request, page)

    def _invoke(self, batch: StreamBatch) -> None:
        shard_id = batch.shard_id
        self._in_flight[shard_id] += 1
        self.most_in_flight[shard_id] = max(self.most_in_flight[shard_id], self._in_flight[shard_id])
        delivery = Delivery(self.now_s, shard_id, tuple(batch.records), batch.attempt, batch.window)
        self.deliveries.append(delivery)
        result = self._handler(batch)

        def end() -> list[StreamCommand]:
            self._in_flight[shard_id] -= 1
            return self.poller.ended(self.now_s, batch, result)

        self.at(self.now_s + self._service_s(batch), end)
