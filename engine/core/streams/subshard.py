"""A sub-shard: the records of a shard whose keys share a number; one batch of them is in work at a time.

Each key belongs to one sub-shard, so its order is kept while `parallelization_factor` batches run. It is
blocked alone when its batch has to be tried again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from engine.core.streams.commands import StreamBatch, TumblingWindow
from engine.core.streams.records import StreamRecord
from engine.core.streams.settings import MAX_PAYLOAD_BYTES, StreamSettings

sizes_of: Final = itemgetter(StreamRecord._fields.index("size_bytes"))


class Tried(NamedTuple):
    """What is known of a batch that was tried, when its records come again.

    Attributes:
        batch: As it was, without its records.
        retry_s: When it may be tried again.
    """

    batch: StreamBatch
    retry_s: float


class Subshard:
    """Buffer, batches in work and progress of one sub-shard.

    Attributes:
        number: Which of its shard.
        buffer: Records in no batch yet, in order.
        buffer_bytes: Their sizes together.
        since_s: When the first of them came: the batching window begins.
        pending: Batches in work, in order. Only the first is tried; parts of a batch that was split stand
            one after the other.
        running: That first batch, while the function is invoked with it.
        retry_s: When it may be tried again.
        due_s: When to look again; infinite = something will happen before.
        done_through: Highest sequence number done with; no record of the sub-shard below is open.
        taken_through: Highest sequence number taken from the stream.
        window: The tumbling window that is open.
    """

    __slots__ = (
        "buffer",
        "buffer_bytes",
        "done_through",
        "due_s",
        "last_came_s",
        "number",
        "pending",
        "retry_s",
        "running",
        "since_s",
        "taken_through",
        "window",
    )

    def __init__(self, number: int, done_through: int) -> None:
        self.number = number
        self.buffer: list[StreamRecord] = []
        self.buffer_bytes = 0
        self.since_s = self.last_came_s = math.inf
        self.pending: deque[StreamBatch] = deque()
        self.running: StreamBatch | None = None
        self.retry_s = -math.inf
        self.due_s = math.inf
        self.done_through = self.taken_through = done_through
        self.window: OpenWindow | None = None

    @property
    def is_idle(self) -> bool:
        """Whether all that was taken is done with."""
        return not self.pending and not self.buffer

    @property
    def first_open(self) -> StreamRecord | None:
        """The first record that is not done with."""
        for batch in self.pending:
            if batch.records:
                return batch.records[0]
        return self.buffer[0] if self.buffer else None

    @property
    def is_blocked(self) -> bool:
        """Whether its batch was tried before, and is not done with."""
        if not self.pending:
            return False
        first = self.pending[0]
        return first.seen or first.failures > 0 or first.throttles > 0

    @property
    def unseen(self) -> int:
        """Records the function was not invoked with yet."""
        return len(self.buffer) + sum(len(batch.records) for batch in self.pending if not batch.seen)

    def take(self, records: Sequence[StreamRecord], size_bytes: int, now_s: float) -> None:
        """Records came, one or more."""
        if not self.buffer:
            self.since_s = now_s
        self.last_came_s = now_s
        self.buffer.extend(records)
        self.buffer_bytes += size_bytes
        self.taken_through = records[-1].sequence

    def cut(self, most: int) -> list[StreamRecord]:
        """The next records for one batch: at most `most` (one or more), and what fits in one event."""
        buffer = self.buffer
        if len(buffer) <= most and self.buffer_bytes <= MAX_PAYLOAD_BYTES:
            self.buffer = []
            self.buffer_bytes = 0
            return buffer
        records = buffer[:most]
        size_bytes = sum(map(sizes_of, records))
        while size_bytes > MAX_PAYLOAD_BYTES and len(records) > 1:
            size_bytes -= records.pop().size_bytes
        del buffer[: len(records)]
        self.buffer_bytes -= size_bytes
        self.since_s = self.last_came_s
        return records

    def is_ripe(self, settings: StreamSettings, now_s: float) -> bool:
        """Whether what is in the buffer, one record or more, is to be sent now."""
        return (
            not settings.batching_window_s
            or len(self.buffer) >= settings.batch_size
            or self.buffer_bytes >= MAX_PAYLOAD_BYTES
            or now_s >= self.since_s + settings.batching_window_s
        )

    def tried(self) -> Iterator[tuple[int, Tried]]:
        """Of the batches in work, but the one that runs: for each record, or end of a window."""
        retry_s = self.retry_s
        for batch in self.pending:
            if batch is not self.running:
                known = Tried(StreamBatch(batch.shard_id, batch.subshard, ()), retry_s)
                known.batch.go_on_from(batch)
                for record in batch.records:
                    yield record.sequence, known
                if not batch.records and batch.window is not None:
                    yield -batch.window.end_s, known
            retry_s = -math.inf  # only the first waits

    def give_back(self) -> int:
        """Forget what is not with the function; how many of its records were never invoked with."""
        running = self.running
        unseen = len(self.buffer)
        for batch in self.pending:
            if batch is not running and not batch.seen:
                unseen += len(batch.records)
        self.buffer, self.buffer_bytes = [], 0
        self.pending = deque() if running is None else deque([running])
        self.retry_s, self.due_s = -math.inf, math.inf
        self.taken_through = self.done_through
        if running is not None and running.records:
            self.taken_through = running.records[-1].sequence
        return unseen


class OpenWindow:
    """A tumbling window that has begun.

    Attributes:
        start_s, end_s: Seconds since the epoch.
        state: JSON text.
        is_terminated: Its state became too large: it ends before its time.
    """

    __slots__ = ("end_s", "is_terminated", "start_s", "state")

    def __init__(self, start_s: int, length_s: int, state: str = "{}") -> None:
        self.start_s, self.end_s, self.state = start_s, start_s + length_s, state
        self.is_terminated = False

    def shown(self, *, is_final: bool = False) -> TumblingWindow:
        """As an event says it."""
        return TumblingWindow(self.start_s, self.end_s, self.state, is_final, is_final and self.is_terminated)
