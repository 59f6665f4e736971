"""What becomes of the batches of a mapping on a stream: cut, invoked with, tried again, split, given up.

The first of a sub-shard's `pending` is the one that is tried, until it is done with: succeeded, or discarded.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Final

from engine.core.retry import FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S, backoff_s
from engine.core.streams.batch_answers import WHOLE_BATCH, done_records, window_answer
from engine.core.streams.commands import (
    BatchResult,
    DiscardCondition,
    DiscardedBatch,
    InvokeBatch,
    ResultKind,
    SendToDestination,
    StreamBatch,
    StreamCommand,
    StreamNotice,
    StreamNoticeKind,
)
from engine.core.streams.counts import StreamCounts
from engine.core.streams.destination_record import iso_time
from engine.core.streams.records import StreamRecord
from engine.core.streams.settings import StreamSettings
from engine.core.streams.shard import Shard
from engine.core.streams.subshard import Subshard
from engine.core.streams.tumbling import next_window_batch, place_in_window

FIRST_RETRY_S: Final = 0.25
LONGEST_RETRY_S: Final = 60.0
"""Waits between attempts double from the one to the other. AWS publishes none: with this law a function that
fails at once is tried 8 times in 60 s, as was recorded; otherwise it is (unverified). After throttles they
are those of a queue's batches."""


class StreamBatches:
    """The batches of one mapping. Commands are added to a list that is passed in.

    Attributes:
        in_flight: Batches that are with the function.
    """

    def __init__(self, settings: StreamSettings, counts: StreamCounts) -> None:
        self._settings, self._counts = settings, counts
        self._oldest_s = settings.oldest_s(settings.retention_s)
        self.in_flight = 0
        self._owners: dict[StreamBatch, tuple[Shard, Subshard]] = {}  # of batches with the function
        self._agenda: list[tuple[float, int, Shard, Subshard]] = []
        self._entries = 0

    def keep_for(self, retention_s: float) -> None:
        """The stream keeps a record so long."""
        self._oldest_s = self._settings.oldest_s(retention_s)

    @property
    def next_due_s(self) -> float:
        """When a sub-shard has to be looked at again, or infinite."""
        agenda = self._agenda
        while agenda and agenda[0][3].due_s != agenda[0][0]:
            heapq.heappop(agenda)
        return agenda[0][0] if agenda else math.inf

    def due(self, now_s: float) -> Iterator[tuple[Shard, Subshard]]:
        """The sub-shards whose time has come, each once."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= now_s:
            due_s, _, shard, subshard = heapq.heappop(agenda)
            if subshard.due_s == due_s:
                subshard.due_s = math.inf
                yield shard, subshard

    def advance(self, shard: Shard, subshard: Subshard, now_s: float, commands: list[StreamCommand]) -> None:
        """Invoke with the next batch of a sub-shard that has none with the function, or see when."""
        pending, oldest_s = subshard.pending, self._oldest_s
        while True:
            if pending:
                batch = place_in_window(shard, subshard, pending[0])
            else:
                cut = self._cut(shard, subshard, now_s)
                if cut is None:
                    return
                batch = cut
                pending.append(batch)
            if now_s >= _oldest_arrival_s(batch) + oldest_s:
                self._expire(shard, subshard, batch, now_s, commands)
                continue
            if now_s < subshard.retry_s:
                expiry_s = _newest_arrival_s(batch) + oldest_s  # then there is nothing left to try
                is_before = now_s < expiry_s < subshard.retry_s
                self._wait(shard, subshard, expiry_s if is_before else subshard.retry_s)
                return
            subshard.running = batch
            self._owners[batch] = shard, subshard
            self.in_flight += 1
            commands.append(InvokeBatch(batch))
            return

    def _cut(self, shard: Shard, subshard: Subshard, now_s: float) -> StreamBatch | None:
        """A batch of what is in the buffer, or None: then it is known when to look again."""
        settings = self._settings
        held, held_bytes = len(subshard.buffer), subshard.buffer_bytes
        if not held:
            if not settings.tumbling_window_s:
                return None
            most, known = 0, None
        else:
            most, known = shard.together(subshard, settings.batch_size)
        if settings.tumbling_window_s:
            batch, due_s = next_window_batch(shard, subshard, settings, now_s, most, known)
        elif shard.at_end or known is not None or subshard.is_ripe(settings, now_s):
            batch = StreamBatch(shard.shard_id, subshard.number, subshard.cut(most))
        else:
            batch, due_s = None, subshard.since_s + settings.batching_window_s
        if batch is None:
            self._wait(shard, subshard, due_s)
            return None
        shard.buffered -= held - len(subshard.buffer)
        shard.buffered_bytes -= held_bytes - subshard.buffer_bytes
        subshard.retry_s = -math.inf
        if shard.tried:
            self._recall(shard, subshard, batch)
        return batch

    def _recall(self, shard: Shard, subshard: Subshard, batch: StreamBatch) -> None:
        """A batch was cut: if it was tried before a pause, it goes on from there."""
        window = batch.window
        places = [record.sequence for record in batch.records]
        if not places and window is not None:
            places = [-window.end_s]
        for place in places:
            known = shard.tried.pop(place, None)
            if known is not None:
                batch.go_on_from(known.batch)
                subshard.retry_s = known.retry_s

    def _wait(self, shard: Shard, subshard: Subshard, due_s: float) -> None:
        """Look at the sub-shard again then."""
        if subshard.due_s != due_s:
            subshard.due_s = due_s
            if due_s != math.inf:
                self._entries += 1
                heapq.heappush(self._agenda, (due_s, self._entries, shard, subshard))

    def ended(
        self, now_s: float, batch: StreamBatch, result: BatchResult, commands: list[StreamCommand]
    ) -> tuple[Shard, Subshard]:
        """The invocation with a batch ended: whose it is. What comes next is for `advance`."""
        shard, subshard = self._owners.pop(batch)
        self.in_flight -= 1
        subshard.running = None
        counts, records = self._counts, batch.records
        if result.kind is ResultKind.THROTTLED:
            counts.throttles += 1
            batch.throttles += 1
            wait_s = backoff_s(batch.throttles, FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S)
            subshard.retry_s = now_s + wait_s
            return shard, subshard
        counts.batches += 1
        batch.throttles = 0
        batch.request_id, batch.version = result.request_id, result.version
        if not batch.seen:
            batch.seen = True
            counts.invoked += len(records)
        if records:
            counts.iterator_age_s = max(0.0, now_s - records[-1].arrived_s)
        done = self._done(subshard, batch, result)
        if done == len(records):
            counts.succeeded += done
            self._leave(shard, subshard, batch)
        else:
            self._fail(shard, subshard, batch, done, result, now_s, commands)
        return shard, subshard

    def _done(self, subshard: Subshard, batch: StreamBatch, result: BatchResult) -> int:
        """How many records of the batch are done with now, or WHOLE_BATCH."""
        if result.kind is ResultKind.FAILED:
            return WHOLE_BATCH
        records = batch.records
        done = (
            done_records(result.body, records) if self._settings.report_batch_item_failures else len(records)
        )
        if batch.window is not None and not batch.window.is_final and done > 0:
            answer = window_answer(result.body)
            if answer.state is None:
                return WHOLE_BATCH
            if subshard.window is not None:
                subshard.window.state = answer.state
                subshard.window.is_terminated = answer.is_too_large
        return done

    def _leave(self, shard: Shard, subshard: Subshard, batch: StreamBatch) -> None:
        """The first batch in work is done with, one way or another."""
        subshard.pending.popleft()
        subshard.retry_s = -math.inf
        if batch.records:
            subshard.done_through = batch.records[-1].sequence
        if batch.window is not None and batch.window.is_final:
            self._end_window(shard, subshard)

    def _end_window(self, shard: Shard, subshard: Subshard) -> None:
        window = subshard.window
        if window is None:
            return
        self._counts.windows += 1
        if window.is_terminated:
            self._counts.terminated_windows += 1
        else:
            shard.closed_window_s = window.end_s
        subshard.window = None

    def _fail(
        self,
        shard: Shard,
        subshard: Subshard,
        batch: StreamBatch,
        done: int,
        result: BatchResult,
        now_s: float,
        commands: list[StreamCommand],
    ) -> None:
        """The batch failed, all but its first `done` records: try the rest again, in parts, or give it up."""
        counts, settings, records = self._counts, self._settings, batch.records
        counts.failed_batches += 1
        counts.failed += len(records) - max(done, 0)
        if done > 0:  # what is left is another batch: its attempts are counted anew
            counts.partial_failures += 1
            counts.succeeded += done
            subshard.done_through = records[done - 1].sequence
            self._replace(subshard, [(records[done:], 0)], now_s)
            return
        batch.failures += 1
        counts.partial_failures += done == 0
        if settings.bisect and done == WHOLE_BATCH and len(records) > 1:
            counts.bisects += 1
            middle = (len(records) + 1) // 2
            failures = batch.failures - 1  # the split takes no attempt
            self._replace(subshard, [(records[:middle], failures), (records[middle:], failures)], now_s)
            return
        if 0 <= settings.maximum_retry_attempts < batch.failures:
            counts.exhausted += len(records)
            by_error = result.kind is ResultKind.FAILED
            self._discard(
                batch, records, DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED, now_s, commands, by_error
            )
            self._leave(shard, subshard, batch)
            return
        batch.attempt = batch.failures + 1
        subshard.retry_s = now_s + backoff_s(batch.failures, FIRST_RETRY_S, LONGEST_RETRY_S)

    def _replace(
        self, subshard: Subshard, parts: Sequence[tuple[Sequence[StreamRecord], int]], now_s: float
    ) -> None:
        """In place of the first batch in work others come, with their failures."""
        batch = subshard.pending.popleft()
        window = None if subshard.window is None else subshard.window.shown()
        for records, failures in reversed(parts):
            part = StreamBatch(batch.shard_id, batch.subshard, records, window)
            part.failures, part.attempt, part.seen = failures, failures + 1, True
            part.request_id, part.version = batch.request_id, batch.version
            subshard.pending.appendleft(part)
        subshard.retry_s = now_s + FIRST_RETRY_S

    def _expire(
        self,
        shard: Shard,
        subshard: Subshard,
        batch: StreamBatch,
        now_s: float,
        commands: list[StreamCommand],
    ) -> None:
        """Give up the records at the beginning of the first batch in work that are too old, one or more."""
        records, count = batch.records, 0
        while count < len(records) and now_s >= records[count].arrived_s + self._oldest_s:
            count += 1
        counts = self._counts
        if count:
            counts.expired += count
            counts.dropped_unseen += 0 if batch.seen else count
            old = records[:count]
            self._discard(batch, old, DiscardCondition.RECORD_AGE_EXCEEDED, now_s, commands)
            subshard.done_through = old[-1].sequence
        elif not records:
            self._discard(batch, (), DiscardCondition.RECORD_AGE_EXCEEDED, now_s, commands)
        batch.records = records[count:]
        if not batch.records:
            self._leave(shard, subshard, batch)

    def _discard(
        self,
        batch: StreamBatch,
        records: Sequence[StreamRecord],
        condition: DiscardCondition,
        now_s: float,
        commands: list[StreamCommand],
        by_error: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self._counts.discards += 1
        window = batch.window
        if not records and window is not None:
            self._counts.lost_windows += 1
            text = (
                f"{batch.shard_id}: the last invocation of the window from {iso_time(window.start_s)} was "
                f"given up ({condition}): its state is lost"
            )
            commands.append(StreamNotice(StreamNoticeKind.WINDOW_LOST, text))
        if self._settings.on_failure and records:
            discarded = DiscardedBatch(
                shard_id=batch.shard_id,
                records=records,
                condition=condition,
                invoke_count=max(1, batch.failures),
                failed_by_error=by_error,
                request_id=batch.request_id,
                version=batch.version,
                at_s=now_s,
            )
            commands.append(SendToDestination(discarded))


def _oldest_arrival_s(batch: StreamBatch) -> float:
    """Of its first record; of the end of a window that end."""
    if batch.records:
        return batch.records[0].arrived_s
    return batch.window.end_s if batch.window is not None else math.inf


def _newest_arrival_s(batch: StreamBatch) -> float:
    return batch.records[-1].arrived_s if batch.records else _oldest_arrival_s(batch)
