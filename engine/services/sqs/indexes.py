"""Indexes over messages that forget lazily: messages that left are skipped later, or swept out together."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Final

from engine.services.sqs.message import GONE, VISIBLE, Message

_FEW: Final = 64


class LazyIndex:
    """Visible messages in the order of `seq`: O(1) for new ones, O(log n) for those that came back."""

    def __init__(self) -> None:
        self.fresh: deque[Message] = deque()
        self.returned: list[tuple[int, Message]] = []
        self._dropped = 0

    def put(self, message: Message) -> None:
        """Add a message that became visible."""
        fresh = self.fresh
        if not fresh or fresh[-1].seq < message.seq:
            fresh.append(message)
        else:
            heapq.heappush(self.returned, (message.seq, message))

    def head(self) -> Message | None:
        """The first message; None if there is none."""
        fresh, returned = self.fresh, self.returned
        while returned and returned[0][1].state is not VISIBLE:
            heapq.heappop(returned)
        while fresh and fresh[0].state is not VISIBLE:
            fresh.popleft()
        if returned and (not fresh or returned[0][0] < fresh[0].seq):
            return returned[0][1]
        return fresh[0] if fresh else None

    def pop(self, head: Message) -> None:
        """Remove the message that `head` returned."""
        if self.returned and self.returned[0][1] is head:
            heapq.heappop(self.returned)
        else:
            self.fresh.popleft()

    def mark_gone(self) -> None:
        """Note that a message in the index is GONE; sweeps when half of the index is.

        Those at the front leave at once: where retention ends for half a million messages, oldest first, one
        sweep would hold the loop for 70 ms.
        """
        self._dropped += 1
        fresh = self.fresh
        while fresh and fresh[0].state is GONE:
            fresh.popleft()
            self._dropped -= 1
        if self._dropped > _FEW and self._dropped * 2 > len(self.fresh) + len(self.returned):
            self._dropped = 0
            self.fresh = deque(message for message in self.fresh if message.state is VISIBLE)
            self.returned = [entry for entry in self.returned if entry[1].state is VISIBLE]
            heapq.heapify(self.returned)


class Timers:
    """When messages become visible: delays and timeouts of visibility. O(log n) each.

    A timer is known by a number: a message's is set while `message.timer` is that number.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Message]] = []
        self._stale = 0

    def arm(self, message: Message, due_s: float, number: int) -> None:
        """Set the timer of `message`, in place of an earlier one. `number` must never have been used."""
        if message.timer:
            self._drop_if_empty()
        message.timer = number
        heapq.heappush(self._heap, (due_s, number, message))

    def disarm(self, message: Message) -> None:
        """Cancel the timer of `message`, if it has one."""
        if message.timer:
            message.timer = 0
            self._drop_if_empty()

    def next_due_s(self) -> float | None:
        """When the first timer is due; None if there is none."""
        heap = self._heap
        while heap and heap[0][1] != heap[0][2].timer:
            heapq.heappop(heap)
            self._stale -= 1
        return heap[0][0] if heap else None

    def due(self, now_s: float) -> Iterator[Message]:
        """Remove the timers that are due, and yield their messages in order of time."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            _, number, message = heapq.heappop(heap)
            if message.timer == number:
                message.timer = 0
                yield message
            else:
                self._stale -= 1

    def messages(self) -> list[Message]:
        """Messages with a timer, in no order."""
        return [message for _, number, message in self._heap if message.timer == number]

    def free(self, max_count: int) -> bool:
        """Free up to `max_count` timers; False if none is left."""
        del self._heap[-max_count:]
        return bool(self._heap)

    def _drop_if_empty(self) -> None:
        self._stale += 1
        if self._stale > _FEW and self._stale * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].timer == entry[1]]
            heapq.heapify(self._heap)
            self._stale = 0


class Ages:
    """Messages by the time they were sent, for retention."""

    def __init__(self) -> None:
        self._sent: deque[Message] = deque()
        self._late: list[tuple[float, int, Message]] = []  # sent before the last of `_sent`
        self._number = 0

    def add(self, message: Message) -> None:
        """Add a message."""
        sent = self._sent
        if not sent or sent[-1].sent_s <= message.sent_s:
            sent.append(message)
        else:
            self._number += 1
            heapq.heappush(self._late, (message.sent_s, self._number, message))

    def oldest_s(self) -> float | None:
        """When the oldest message was sent; None if there is none."""
        sent, late = self._sent, self._late
        while sent and sent[0].state is GONE:
            sent.popleft()
        while late and late[0][2].state is GONE:
            heapq.heappop(late)
        if late and (not sent or late[0][0] < sent[0].sent_s):
            return late[0][0]
        return sent[0].sent_s if sent else None

    def sent_until(self, until_s: float) -> Iterator[Message]:
        """Remove and yield, oldest first, the messages sent at or before `until_s`."""
        while (oldest_s := self.oldest_s()) is not None and oldest_s <= until_s:
            if self._late and self._late[0][0] == oldest_s:
                yield heapq.heappop(self._late)[2]
            else:
                yield self._sent.popleft()

    def trim(self, alive: int) -> None:
        """Sweep if most of the index is GONE; `alive` messages are left."""
        sent = self._sent
        while sent and sent[0].state is GONE:
            sent.popleft()
        if len(sent) + len(self._late) > 2 * alive + _FEW:
            self._sent = deque(message for message in sent if message.state is not GONE)
            self._late = [entry for entry in self._late if entry[2].state is not GONE]
            heapq.heapify(self._late)

    def messages(self) -> list[Message]:
        """Messages that are not GONE, in no order."""
        late = [entry[2] for entry in self._late]
        return [message for message in (*self._sent, *late) if message.state is not GONE]

    def free(self, max_count: int) -> bool:
        """Free up to `max_count` messages, and set them GONE; False if none is left."""
        sent, late = self._sent, self._late
        for _ in range(max_count):
            if not sent and not late:
                return False
            message = sent.popleft() if sent else late.pop()[2]
            message.state, message.timer = GONE, 0
        return True


class PurgedMessages:
    """The messages of a purged queue, freed in steps: all at once would block the event loop for too long."""

    def __init__(self, ages: Ages, timers: Timers) -> None:
        self._ages, self._timers = ages, timers

    def free(self, max_count: int) -> bool:
        """Free up to `max_count` messages; False if none is left."""
        timers_left = self._timers.free(max_count)
        return self._ages.free(max_count) or timers_left
