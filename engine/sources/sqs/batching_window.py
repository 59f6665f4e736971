"""The batching window of a mapping: messages are gathered until a batch is full, or its time is over.

Source: Lambda Developer Guide, "Batching behavior": a batch is sent when its window is over, when it has
as many messages as a batch may have, or when it is as large as a payload may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.ports import Clock
from engine.sources.sqs.batch import Batch
from engine.timer import Timer


class BatchingWindow:
    """Keeps the one batch of a mapping that is not complete yet.

    Args:
        batch_size: Messages of a batch, at most.
        window_s: How long they are gathered, from the first one on; 0 = not at all.
        loop, clock: Where the time of a window is watched.
        over: Called when it is over.
    """

    def __init__(
        self,
        batch_size: int,
        window_s: float,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        over: Callable[[], None],
    ) -> None:
        self._batch_size = batch_size
        self._window_s = window_s
        self._over = over
        self._batch: Batch | None = None
        self._timer = Timer(loop, clock, self._on_due)

    @property
    def is_open(self) -> bool:
        """Whether messages are being gathered."""
        return self._batch is not None

    @property
    def room(self) -> int:
        """How many messages the batch may still get."""
        return self._batch_size if self._batch is None else self._batch_size - len(self._batch)

    def take_complete(self, now_s: float) -> Batch | None:
        """Give out the batch if it is to be sent now."""
        batch = self._batch
        if batch is None or not (len(batch) >= self._batch_size or now_s >= batch.due_s or batch.too_large()):
            return None
        self._batch = None
        return batch

    def gather(self, received: Batch, now_s: float) -> Batch | None:
        """Return `received` if there is no window; else add it to the batch, or begin one with it."""
        if not self._window_s:
            return received
        if self._batch is not None:
            self._batch.add(received)
            return None
        self._batch = received
        received.due_s = now_s + self._window_s
        self._timer.at(received.due_s)
        return None

    def end(self) -> None:
        """Have the batch sent as far as it came: the next `take_complete` gives it out."""
        if self._batch is not None:
            self._batch.due_s = 0.0

    def close(self) -> Batch | None:
        """Stop watching the time, and give out the batch as far as it came."""
        self._timer.cancel()
        batch, self._batch = self._batch, None
        return batch

    def _on_due(self, now_s: float) -> float | None:
        """Call `over` if the window is over: the timer may have been that of a batch sent before its time.

        Returns when the window is over, unless it is: then `over` sees to it.
        """
        if self._batch is not None and now_s >= self._batch.due_s:
            self._over()
        batch = self._batch
        return batch.due_s if batch is not None and batch.due_s > now_s else None
