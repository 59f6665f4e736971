"""A shard during a mapping: where its reading stands, and its sub-shards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, Final
from zlib import crc32

from engine.core.streams.commands import ReadShard
from engine.core.streams.records import (
    PositionType,
    ShardCheckpoint,
    StreamPosition,
    StreamRecord,
)
from engine.core.streams.settings import StreamSettings
from engine.core.streams.subshard import OpenWindow, Subshard, Tried, sizes_of


class ShardState(StrEnum):
    """HELD: its parents are not done with. OPEN: it is read, or has records in hand. FINISHED: done with."""

    HELD = "held"
    OPEN = "open"
    FINISHED = "finished"


_MISSES: Final = 3
"""After so many listings in a row without it a shard is not kept any more: expired."""


class Shard:
    """One shard.

    Attributes:
        shard_id: Its id.
        parents: Ids of its parents.
        state: Whether it is read.
        ending_sequence: Where it ends, None = it is open, or not known.
        misses: Listings in a row without it.
        is_listed: Whether it was in one, so that its parents would have been too.
        position: From where to read when there is no cursor.
        cursor: From where to read.
        request: The read that is under way.
        read_s: When the next read may be.
        read_failures: Failed reads in a row.
        last_sequence: Sequence number of the last record read, or below that of the first at `position`; 0 =
            none.
        reread_through: Up to here records may come again.
        others: How far sub-shards of other numbers were, that it had before: see `ShardCheckpoint`.
        tried: Of records that will come again, the batch that was tried with them; of the end of a window
            too, by its time, negative.
        at_end: It was read to its end.
        is_passed: What was listed as its end was read, and it is read on: see `closed_shards_grow`.
        empty_s: When a read brought nothing for the last time.
        buffered, buffered_bytes: What waits in the buffers of its sub-shards.
        closed_window_s: End of the last tumbling window that ended in time.
    """

    def __init__(self, shard_id: str, parents: Sequence[str], start: StreamPosition, subshards: int) -> None:
        self.shard_id, self.parents = shard_id, tuple(parents)
        self.state = ShardState.HELD
        self.ending_sequence: int | None = None
        self.misses = 0
        self.is_listed = False
        self.position = start
        self.cursor: Any = None
        self.request: ReadShard | None = None
        self.read_s = -math.inf
        self.read_failures = 0
        self.last_sequence = self.reread_through = 0
        self.at_end = self.is_passed = False
        self.empty_s = -math.inf
        self.buffered = self.buffered_bytes = 0
        self.closed_window_s = 0
        self.subshards = [Subshard(number, 0) for number in range(subshards)]
        self.others: tuple[tuple[int, ...], ...] = ()
        self.tried: dict[int, Tried] = {}

    @classmethod
    def resumed(
        cls, checkpoint: ShardCheckpoint, settings: StreamSettings, tried: Mapping[int, Tried]
    ) -> Shard:
        """As it was at the checkpoint; its parents are not known until it is listed."""
        shard = cls(checkpoint.shard_id, (), checkpoint.position, settings.subshards)
        shard.tried = dict(tried)
        if checkpoint.finished:
            shard.state = ShardState.FINISHED
        type_, sequence_number, _ = checkpoint.position
        if sequence_number is not None:
            shard.last_sequence = int(sequence_number) - (type_ is PositionType.AT_SEQUENCE_NUMBER)
        shard._go_on((*checkpoint.others, checkpoint.subshards))
        length_s = settings.tumbling_window_s
        if length_s and checkpoint.window is not None and not checkpoint.window[0] % length_s:
            shard.subshards[0].window = OpenWindow(checkpoint.window[0], length_s, checkpoint.window[1])
        return shard

    def _go_on(self, known: Iterable[tuple[int, ...]]) -> None:
        """Its sub-shards, and those of other numbers that it had, were as far as this."""
        by_count: dict[int, tuple[int, ...]] = {}
        for each in filter(None, known):
            before = by_count.get(len(each), each)
            by_count[len(each)] = tuple(map(max, each, before))
        own = by_count.pop(len(self.subshards), ())
        self.others = tuple(by_count.values())
        self.reread_through = max((max(each) for each in (own, *self.others) if each), default=0)
        for subshard, through in zip(self.subshards, own, strict=False):
            subshard.done_through = subshard.taken_through = through

    @property
    def is_drained(self) -> bool:
        """Whether all that was read is done with."""
        return all(subshard.is_idle and subshard.window is None for subshard in self.subshards)

    @property
    def is_expired(self) -> bool:
        """Whether it is not listed any more."""
        return self.misses >= _MISSES

    def saw(self, records: Sequence[StreamRecord], now_s: float, asked_s: float) -> None:
        """A page was read, which was asked for no sooner than `asked_s`."""
        if records:
            last = records[-1]
            self.last_sequence = last.sequence
            self.position = StreamPosition(PositionType.AFTER_SEQUENCE_NUMBER, last.sequence_number)
            return
        self.empty_s = now_s
        if self.position.type is PositionType.LATEST:  # what comes from now on is wanted, whenever it is read
            self.position = StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=asked_s)

    def take(self, records: Sequence[StreamRecord], now_s: float) -> list[Subshard]:
        """Put wanted records into the buffers; the sub-shards that got some."""
        self.buffered += len(records)
        size_bytes = sum(map(sizes_of, records))
        self.buffered_bytes += size_bytes
        subshards = self.subshards
        count = len(subshards)
        if count == 1:
            subshards[0].take(records, size_bytes, now_s)
            return subshards
        parts: list[list[StreamRecord]] = [[] for _ in subshards]
        for record in records:
            parts[crc32(record[2].encode("utf-8", "surrogatepass")) % count].append(record)
        taken = []
        for subshard, part in zip(subshards, parts, strict=True):
            if part:
                subshard.take(part, sum(map(sizes_of, part)), now_s)
                taken.append(subshard)
        return taken

    def without_repeated(self, records: Sequence[StreamRecord]) -> list[StreamRecord]:
        """The records that were not taken before a pause or restart."""
        partitions = [tuple(each.taken_through for each in self.subshards), *self.others]
        fresh = []
        for record in records:
            place = crc32(record.key.encode("utf-8", "surrogatepass"))
            if all(record.sequence > each[place % len(each)] for each in partitions):
                fresh.append(record)
        return fresh

    def together(self, subshard: Subshard, most: int) -> tuple[int, Tried | None]:
        """How many of the first records of its buffer may be one batch; and what is known if it was tried."""
        tried, buffer = self.tried, subshard.buffer
        if not tried:
            return most, None
        first = tried.get(buffer[0].sequence)
        for place, record in enumerate(islice(buffer, most)):
            if tried.get(record.sequence) is not first:
                return place, first
        return most, first

    def checkpoint(self) -> ShardCheckpoint:
        """How far it is."""
        first = self._first_open()
        position = self.position
        if (
            first is not None and first.sequence <= self.last_sequence
        ):  # else `position` is before it: see `rewind`
            position = StreamPosition(PositionType.AT_SEQUENCE_NUMBER, first.sequence_number)
        window = self.subshards[0].window
        return ShardCheckpoint(
            self.shard_id,
            position,
            self.state is ShardState.FINISHED,
            tuple(self._through()),
            None if window is None else (window.start_s, window.state),
            self._others(),
        )

    def _others(self) -> tuple[tuple[int, ...], ...]:
        if not self.others:
            return ()
        through = min(self._through())
        return tuple(each for each in self.others if max(each) > through)

    def rewind(self) -> int:
        """Forget what is not with the function; how many of its records were never invoked with."""
        self.request = None
        self.read_s = -math.inf
        if self.state is not ShardState.OPEN:
            return 0
        through = list(self._through())
        if any(each.buffer or len(each.pending) > bool(each.running) for each in self.subshards):
            self.position, self.cursor, self.at_end = self.checkpoint().position, None, False
            self.last_sequence = min(through)
            self.empty_s = -math.inf
        unseen = 0
        for subshard, done_through in zip(self.subshards, through, strict=True):
            subshard.done_through = done_through
            self.tried.update(subshard.tried())
            unseen += subshard.give_back()
        self.reread_through = max(self.reread_through, *(each.taken_through for each in self.subshards))
        self.buffered = self.buffered_bytes = 0
        return unseen

    def _through(self) -> Iterator[int]:
        """For each sub-shard, up to where all of its records are done with."""
        for subshard in self.subshards:
            if subshard.is_idle:
                yield max(subshard.done_through, self.last_sequence)
            else:
                yield subshard.done_through

    def _first_open(self) -> StreamRecord | None:
        found = [record for subshard in self.subshards if (record := subshard.first_open) is not None]
        return min(found) if found else None
