"""The kernel of a mapping on a stream: what is read, invoked with, tried again and given up, and when.

Each method takes a fact and its time, `now_s`, and returns the commands that follow; the package's docstring
lists them. What it does with lists of records it does a page or a batch at a time.

Theory of operation. A `Shard` is held until its parents are done with (`lineage.py`), then read a page at a
time while its buffers have room. A page is filtered and spread over the shard's sub-shards by key. Each
`Subshard` has at most one batch with the function; from its buffer the next is cut when it is ripe
(`batches.py`), and when it fails it waits, is split, or shrinks to the records that are left. A wait of a
sub-shard is its `due_s`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.core.retry import backoff_s
from engine.core.streams.batches import StreamBatches
from engine.core.streams.commands import (
    BatchResult,
    ListShards,
    ReadShard,
    StreamBatch,
    StreamCommand,
    StreamNotice,
    StreamNoticeKind,
)
from engine.core.streams.counts import StreamCounts, StreamReport
from engine.core.streams.lineage import Lineage
from engine.core.streams.records import (
    LATEST,
    TRIM_HORIZON,
    PositionType,
    ReadFailure,
    ShardCheckpoint,
    ShardInfo,
    StreamPage,
    StreamPosition,
    StreamRecord,
)
from engine.core.streams.settings import MAX_PAYLOAD_BYTES, StreamSettings
from engine.core.streams.shard import Shard, ShardState
from engine.core.streams.subshard import Subshard, Tried

_FIRST_READ_RETRY_S: Final = 0.25
_LONGEST_READ_RETRY_S: Final = 30.0


class StreamPoller:
    """One mapping on one stream.

    Attributes:
        counts: What was done.
        is_paused: Whether nothing is read; at first it is.
        is_gone: Whether the stream was not there when it was looked for.
    """

    def __init__(
        self,
        settings: StreamSettings,
        checkpoints: Iterable[ShardCheckpoint] = (),
        counts: StreamCounts | None = None,
        tried: Mapping[str, Mapping[int, Tried]] | None = None,
    ) -> None:
        """Paused.

        Args:
            settings: Of the mapping.
            checkpoints: Those of an earlier poller of the mapping; none = `starting_position` counts.
            counts: Of that poller, to be gone on with.
            tried: Of that poller, what its `tried` was: attempts and waits go on.
        """
        self._settings = settings
        self._lineage = Lineage(settings, checkpoints, tried)
        self.counts = counts or StreamCounts()
        self.is_paused = True
        self.is_gone = False
        self._batches = StreamBatches(settings, self.counts)
        self._list_s = math.inf
        self._is_listing = False
        self._listing_failures = 0
        self._most_records = max(settings.buffer_records, settings.subshards * settings.batch_size)
        self._most_bytes = max(settings.buffer_bytes, settings.subshards * MAX_PAYLOAD_BYTES)

    # ---------------------------------------------------------------- facts

    def open(self, now_s: float) -> list[StreamCommand]:
        """The mapping is enabled: it begins, or goes on from where it was."""
        if not self.is_paused:
            return []
        self.is_paused = False
        commands: list[StreamCommand] = []
        self._list(now_s, commands)
        if not self.is_gone:
            for shard in self._lineage.shards.values():
                self._advance_all(shard, now_s, commands)
        return commands

    def pause(self, now_s: float) -> list[StreamCommand]:
        """It is disabled: what is not with the function is forgotten, and read again after `open`."""
        del now_s
        self.is_paused = True
        self._is_listing = False  # who obeys may drop what is under way
        self._list_s = math.inf
        for shard in self._lineage.shards.values():
            self.counts.given_back += shard.rewind()
        return []

    def shards_listed(
        self,
        now_s: float,
        shards: Sequence[ShardInfo],
        *,
        is_other: bool = False,
        retention_s: float | None = None,
    ) -> list[StreamCommand]:
        """All shards of the stream, as `ListShards` asked.

        `is_other`: it is another stream than the one that the checkpoints, or earlier listings, are of.
        `retention_s`: how long it keeps a record now; None = as before.
        """
        self._is_listing = False
        self._listing_failures = 0
        self.counts.listings += 1
        if retention_s is not None:
            self._batches.keep_for(retention_s)
        commands: list[StreamCommand] = []
        if self.is_gone or is_other:
            self._come_back(commands)
        self._lineage.listed(shards)
        if not self.is_paused:
            self._list_s = min(self._list_s, now_s + self._settings.list_interval_s)
            self._open_readable(now_s, commands)
            self._list_if_due(now_s, commands)
        return commands

    def listing_failed(self, now_s: float, failure: ReadFailure) -> list[StreamCommand]:
        """The shards could not be listed. GONE: there is no such stream."""
        self._is_listing = False
        self._listing_failures += 1
        self._lineage.not_listed(now_s)
        commands: list[StreamCommand] = []
        if failure is ReadFailure.GONE and not self.is_gone:
            self.is_gone = True
            for shard in self._lineage.shards.values():
                shard.request = None
            text = "the stream is not there: nothing is read until it is"
            commands.append(StreamNotice(StreamNoticeKind.STREAM_GONE, text))
        if not self.is_paused:
            wait_s = backoff_s(self._listing_failures, _FIRST_READ_RETRY_S, self._settings.list_interval_s)
            self._list_s = now_s + (self._settings.list_interval_s if self.is_gone else wait_s)
        return commands

    def read(self, now_s: float, request: ReadShard, page: StreamPage) -> list[StreamCommand]:
        """A page was read."""
        shard = self._lineage.shards.get(request.shard_id)
        if shard is None or shard.request is not request:
            return []
        shard.request = None
        shard.read_failures = 0
        records = page.records
        self.counts.reads += 1
        self.counts.empty_reads += not records
        shard.saw(records, now_s, request.not_before_s)
        shard.cursor = page.cursor
        commands: list[StreamCommand] = []
        has_more = bool(records) and (page.behind_s is None or page.behind_s > 0)
        shard.read_s = now_s if has_more else now_s + self._settings.poll_interval_s
        if page.cursor is None or self._is_past_its_end(shard, records):
            are_known = self._lineage.children(page.children) and bool(page.children)
            self._reach_end(shard, now_s, has_children=are_known, is_said=page.cursor is None)
        touched = self._take(shard, records, now_s) if records else ()
        if shard.at_end or shard.is_passed or self._settings.tumbling_window_s:
            self._advance_all(shard, now_s, commands)
        else:
            for subshard in touched:
                if subshard.running is None:
                    self._batches.advance(shard, subshard, now_s, commands)
            self._read_on(shard, now_s, commands)
        self._list_if_due(now_s, commands)
        return commands

    def read_failed(self, now_s: float, request: ReadShard, failure: ReadFailure) -> list[StreamCommand]:
        """A page could not be read."""
        shard = self._lineage.shards.get(request.shard_id)
        if shard is None or shard.request is not request:
            return []
        shard.request = None
        shard.cursor = None
        if shard.position is LATEST:  # what comes from now on is wanted, however long this takes
            shard.position = StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=request.not_before_s)
        self.counts.failed_reads += 1
        commands: list[StreamCommand] = []
        if failure is ReadFailure.EXPIRED and request.cursor is not None:
            shard.read_s = now_s
        elif failure is ReadFailure.TRIMMED and shard.position != TRIM_HORIZON:
            self.counts.trimmed += 1
            shard.position, shard.read_s = TRIM_HORIZON, now_s
            text = f"{shard.shard_id}: records were trimmed before they were read; it goes on with the oldest"
            commands.append(StreamNotice(StreamNoticeKind.TRIMMED, text))
        else:
            shard.read_failures += 1
            shard.read_s = now_s + backoff_s(shard.read_failures, _FIRST_READ_RETRY_S, _LONGEST_READ_RETRY_S)
            if failure is ReadFailure.GONE:
                self._list_s = min(self._list_s, now_s)
                if shard.is_expired:
                    self._reach_end(shard, now_s, has_children=True, is_said=True)
                    self._advance_all(shard, now_s, commands)
        self._read_on(shard, now_s, commands)
        self._list_if_due(now_s, commands)
        return commands

    def ended(self, now_s: float, batch: StreamBatch, result: BatchResult) -> list[StreamCommand]:
        """The invocation with a batch ended."""
        commands: list[StreamCommand] = []
        shard, subshard = self._batches.ended(now_s, batch, result, commands)
        if self.is_paused:
            self.counts.given_back += shard.rewind()
        else:
            self._batches.advance(shard, subshard, now_s, commands)
            self._read_on(shard, now_s, commands)
            if shard.at_end or shard.is_passed:
                self._finish_if_drained(shard, now_s, commands)
        return commands

    def due(self, now_s: float) -> list[StreamCommand]:
        """Time went by."""
        commands: list[StreamCommand] = []
        if self.is_paused:
            return commands
        for shard, subshard in self._batches.due(now_s):
            if subshard.running is None:
                self._batches.advance(shard, subshard, now_s, commands)
                self._read_on(shard, now_s, commands)
                self._finish_if_drained(shard, now_s, commands)
        self._list_if_due(now_s, commands)
        return commands

    # ---------------------------------------------------------------- questions

    @property
    def in_flight(self) -> int:
        """Batches that are with the function."""
        return self._batches.in_flight

    @property
    def next_due_s(self) -> float | None:
        """When `due` has to be told; None = only after another fact."""
        if self.is_paused:
            return None
        due_s = self._batches.next_due_s
        if not self._is_listing:
            due_s = min(due_s, self._list_s)
        return None if due_s == math.inf else due_s

    def checkpoints(self) -> list[ShardCheckpoint]:
        """How far each shard is: what a later poller goes on from."""
        return [shard.checkpoint() for shard in self._lineage.shards.values()]

    def tried(self) -> Mapping[str, Mapping[int, Tried]]:
        """While it is paused and nothing is in flight: by shard, the batches that a later poller tries on."""
        return {shard.shard_id: shard.tried for shard in self._lineage.shards.values() if shard.tried}

    def report(self, now_s: float) -> StreamReport:
        """What is at work, and waits."""
        shards = list(self._lineage.shards.values())
        states = [shard.state for shard in shards]
        subshards = [subshard for shard in shards for subshard in shard.subshards]
        firsts = [record for subshard in subshards if (record := subshard.first_open) is not None]
        return StreamReport(
            shards=states.count(ShardState.OPEN),
            held_shards=states.count(ShardState.HELD),
            finished_shards=states.count(ShardState.FINISHED),
            in_flight=self._batches.in_flight,
            blocked=sum(subshard.is_blocked for subshard in subshards),
            waiting=sum(subshard.unseen for subshard in subshards),
            oldest_age_s=max(0.0, now_s - min((record.arrived_s for record in firsts), default=now_s)),
        )

    # ---------------------------------------------------------------- shards and reads

    def _list(self, now_s: float, commands: list[StreamCommand]) -> None:
        if not self._is_listing:
            self._is_listing = True
            self._list_s = math.inf
            commands.append(ListShards(now_s))

    def _list_if_due(self, now_s: float, commands: list[StreamCommand]) -> None:
        if self._list_s <= now_s and not self.is_paused:
            self._list(now_s, commands)

    def _come_back(self, commands: list[StreamCommand]) -> None:
        """The stream is there, as another one: what was open of the old one can no longer be read."""
        was_gone, self.is_gone = self.is_gone, False
        for shard in self._lineage.forget():
            for subshard in shard.subshards:
                self.counts.given_back += subshard.give_back()
        what = "the stream is there now" if was_gone else "the stream was made anew since it was read"
        text = f"{what}: it is read from its beginning"
        commands.append(StreamNotice(StreamNoticeKind.STREAM_BACK, text))

    def _open_readable(self, now_s: float, commands: list[StreamCommand]) -> None:
        for shard in list(self._lineage.readable()):
            shard.state = ShardState.OPEN
            self._read_on(shard, now_s, commands)

    def _read_on(self, shard: Shard, now_s: float, commands: list[StreamCommand]) -> None:
        """Read the next page, if it has to be and there is room for it."""
        if (
            shard.request is not None
            or shard.at_end
            or shard.state is not ShardState.OPEN
            or self.is_paused
            or self.is_gone
            or shard.buffered >= self._most_records
            or shard.buffered_bytes >= self._most_bytes
        ):
            return
        limit = self._settings.read_limit
        request = ReadShard(shard.shard_id, shard.cursor, shard.position, limit, max(now_s, shard.read_s))
        shard.request = request
        commands.append(request)

    def _is_past_its_end(self, shard: Shard, records: Sequence[StreamRecord]) -> bool:
        """Some sources never say that a closed shard ends."""
        end = shard.ending_sequence
        return end is not None and not records and shard.last_sequence >= end

    def _reach_end(self, shard: Shard, now_s: float, *, has_children: bool, is_said: bool) -> None:
        """All of the shard was read: the source `is_said` to have told it, or it was listed so."""
        if self._settings.closed_shards_grow and not is_said:
            has_children = has_children or shard.is_passed  # else they were looked for before
            shard.is_passed = True
        else:
            shard.at_end = True
        if not has_children:
            self._list_s = min(self._list_s, now_s)

    def _take(self, shard: Shard, records: Sequence[StreamRecord], now_s: float) -> Sequence[Subshard]:
        """Filter a page and put it into the buffers."""
        counts, wanted = self.counts, self._settings.record_filter
        if records[0].sequence <= shard.reread_through:
            fresh = shard.without_repeated(records)
            counts.repeated += len(records) - len(fresh)
            records = fresh
        counts.polled += len(records)
        if wanted is not None:
            kept = list(filter(wanted, records))
            counts.filtered += len(records) - len(kept)
            records = kept
        return shard.take(records, now_s) if records else ()

    def _finish_if_drained(self, shard: Shard, now_s: float, commands: list[StreamCommand]) -> None:
        if not shard.is_drained:
            return
        if shard.at_end and shard.state is ShardState.OPEN:
            shard.state = ShardState.FINISHED
        elif not shard.is_passed:
            return
        self._open_readable(now_s, commands)

    def _advance_all(self, shard: Shard, now_s: float, commands: list[StreamCommand]) -> None:
        for subshard in shard.subshards:
            if subshard.running is None:
                self._batches.advance(shard, subshard, now_s, commands)
        self._read_on(shard, now_s, commands)
        if shard.at_end or shard.is_passed:
            self._finish_if_drained(shard, now_s, commands)
