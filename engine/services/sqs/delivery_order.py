"""In which order a queue delivers its visible messages: standard queues with fairness, FIFO by group.

Theory of operation. A delivery order knows visible messages in the order of `seq`, and what is in flight by
`MessageGroupId`. It forgets lazily: a message that leaves is passed over when it comes up.

A group of a **standard** queue is a tenant. Tenants with visible messages stand in one heap by their first
message, with the messages that have no group. When `take` meets a tenant with more in flight than its share,
it sets the tenant aside, and delivers its messages only when there are no others. Each `take` first puts back
tenants that have less in flight by now. A tenant with nothing visible has no place in either, and
keeps its count of messages in flight.

             a message is put              met by `take` with too much in flight
    ABSENT ───────────────────► QUIET ──────────────────────────────────────────► NOISY
      ▲                          │ ▲                                               │ │
      │                          │ └── less is in flight, seen by the next `take` ─┘ │
      └── nothing visible, and ──┴───────────────────────────────────────────────────┘
          nothing in flight

A group of a **FIFO** queue is available while its first visible message was sent before all that it has in
flight. Available groups stand in one line, and `take` empties the first group before it turns to the next.

             a message is put               all that may go is in flight
    ABSENT ───────────────────► AVAILABLE ──────────────────────────────► BLOCKED
      ▲                          │     ▲                                   │  │
      │                          │     └─ a message in flight is deleted, ─┘  │
      │                          │        or visible again                    │
      └── nothing visible, and ──┴────────────────────────────────────────────┘
          nothing in flight

Source: SQS Developer Guide, "How Amazon SQS fair queues work", "FIFO queue delivery logic".
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final, Protocol

from engine.services.sqs.indexes import LazyIndex
from engine.services.sqs.message import IN_FLIGHT, VISIBLE, Message, MessageState

NOISY_IN_FLIGHT: Final = 30
"""A tenant with fewer messages in flight is never noisy."""
NOISY_SHARE: Final = 10
"""A tenant is noisy if more than one in this many messages in flight is its own."""

_NEVER: Final = 1 << 62


class DeliveryOrder(Protocol):
    """Holds the visible messages of one queue."""

    def put(self, message: Message) -> None:
        """Add a message that became visible."""

    def take(self, max_count: int) -> list[Message]:
        """Remove up to `max_count` messages in the order of delivery, and set them IN_FLIGHT."""

    def mark_not_in_flight(self, message: Message) -> None:
        """Note that a message is no longer IN_FLIGHT. Called before `put` if it becomes visible again."""

    def mark_gone(self, message: Message) -> None:
        """Note that a visible message is GONE."""

    def ready(self) -> bool:
        """Whether `take` would return a message."""


def _first_seq(entries: list[tuple[int, Message]], state: MessageState) -> int:
    """`seq` of the first entry of a heap in that state, `_NEVER` for none. Drops the entries before it."""
    while entries and entries[0][1].state is not state:
        heapq.heappop(entries)
    return entries[0][0] if entries else _NEVER


class Tenant:
    """The messages of one `MessageGroupId` on a standard queue: visible ones, and how many are in flight."""

    __slots__ = ("entry_seq", "in_flight", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Message]] = []
        self.in_flight = 0
        self.entry_seq = _NEVER  # its one valid entry in the heap of quiet tenants


class FairDeliveryOrder:
    """In order of sending; but messages of tenants with too much in flight come after those of all others.

    A message without a group is a tenant of its own. AWS also weighs how long consumers work on a tenant's
    messages; this order does not.
    """

    def __init__(self) -> None:
        self._order = LazyIndex()
        self._tenants: dict[str, Tenant] = {}
        self._quiet: list[tuple[int, int, Tenant]] = []  # seq of the head, number of the entry
        self._entries = 0
        self._noisy: list[Tenant] = []  # fewer than ten, once `_requeue_quiet` has looked
        self._in_flight = 0

    def put(self, message: Message) -> None:
        if message.group is None:
            self._order.put(message)
            return
        tenant = self._tenants.get(message.group)
        if tenant is None:
            tenant = self._tenants[message.group] = Tenant()
        heapq.heappush(tenant.waiting, (message.seq, message))
        if message.seq < tenant.entry_seq and tenant not in self._noisy:
            self._enter(tenant, message.seq)

    def take(self, max_count: int) -> list[Message]:
        taken: list[Message] = []
        order = self._order
        if not self._tenants and not order.returned:  # the common case
            fresh = order.fresh
            while fresh and len(taken) < max_count:
                message = fresh.popleft()
                if message.state is VISIBLE:
                    message.state = IN_FLIGHT
                    taken.append(message)
        else:
            self._requeue_quiet()
            while len(taken) < max_count and (following := self._next()) is not None:
                following.state = IN_FLIGHT
                self._in_flight += 1
                taken.append(following)
            return taken
        self._in_flight += len(taken)
        return taken

    def mark_not_in_flight(self, message: Message) -> None:
        self._in_flight -= 1
        if message.group is not None:
            tenant = self._tenants[message.group]
            tenant.in_flight -= 1
            self._drop_if_empty(message.group, tenant)

    def mark_gone(self, message: Message) -> None:
        if message.group is None:
            self._order.mark_gone()
        else:
            self._drop_if_empty(message.group, self._tenants[message.group])

    def ready(self) -> bool:
        if self._order.head() is not None:
            return True
        quiet = self._quiet
        while quiet:
            seq, _, tenant = quiet[0]
            if seq == tenant.entry_seq:
                if _first_seq(tenant.waiting, VISIBLE) != _NEVER:
                    return True
                tenant.entry_seq = _NEVER
            heapq.heappop(quiet)
        return any(_first_seq(tenant.waiting, VISIBLE) != _NEVER for tenant in self._noisy)

    def _is_noisy(self, tenant: Tenant) -> bool:
        held = tenant.in_flight
        return held >= NOISY_IN_FLIGHT and held * NOISY_SHARE > self._in_flight

    def _enter(self, tenant: Tenant, seq: int) -> None:
        tenant.entry_seq = seq
        self._entries += 1
        heapq.heappush(self._quiet, (seq, self._entries, tenant))

    def _requeue_quiet(self) -> None:
        """Move tenants that are noisy no longer back to the ordered heap."""
        for tenant in [tenant for tenant in self._noisy if not self._is_noisy(tenant)]:
            self._noisy.remove(tenant)
            if (seq := _first_seq(tenant.waiting, VISIBLE)) != _NEVER:
                self._enter(tenant, seq)

    def _next(self) -> Message | None:
        tenant = self._first_quiet()
        head = self._order.head()
        if head is not None and (tenant is None or head.seq < tenant.entry_seq):
            self._order.pop(head)
            return head
        if tenant is None:
            waiting = [tenant for tenant in self._noisy if _first_seq(tenant.waiting, VISIBLE) != _NEVER]
            if not waiting:
                return None
            tenant = min(waiting, key=lambda tenant: (tenant.in_flight, tenant.waiting[0][0]))
        _, message = heapq.heappop(tenant.waiting)
        tenant.in_flight += 1
        return message

    def _first_quiet(self) -> Tenant | None:
        """The quiet tenant with the first message, or None. Moves noisy tenants that it meets to `_noisy`."""
        quiet = self._quiet
        while quiet:
            seq, number, tenant = quiet[0]
            if seq != tenant.entry_seq:
                heapq.heappop(quiet)
                continue
            head_seq = _first_seq(tenant.waiting, VISIBLE)
            if head_seq == seq and not self._is_noisy(tenant):
                return tenant
            if head_seq == _NEVER or self._is_noisy(tenant):
                heapq.heappop(quiet)
                tenant.entry_seq = _NEVER
                if head_seq != _NEVER:
                    self._noisy.append(tenant)
            else:
                tenant.entry_seq = head_seq
                heapq.heapreplace(quiet, (head_seq, number, tenant))
        return None

    def _drop_if_empty(self, group: str, tenant: Tenant) -> None:
        """Remove a tenant without messages; its stale entry in the heap is skipped later."""
        if not tenant.in_flight and _first_seq(tenant.waiting, VISIBLE) == _NEVER:
            del self._tenants[group]
            tenant.entry_seq = _NEVER
            if tenant in self._noisy:
                self._noisy.remove(tenant)


class Group:
    """The messages of one `MessageGroupId` on a FIFO queue: visible ones, and those in flight.

    Messages that were sent after the first one in flight are not delivered.
    """

    __slots__ = ("held", "queued", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Message]] = []
        self.held: list[tuple[int, Message]] = []
        self.queued = False  # whether it is in `FifoDeliveryOrder._order`


class FifoDeliveryOrder:
    """Groups in the order in which they became available, the messages of each in order of sending."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._order: deque[Group] = deque()

    def put(self, message: Message) -> None:
        key = message.group or ""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group()
        heapq.heappush(group.waiting, (message.seq, message))
        if not group.queued and message.seq < _first_seq(group.held, IN_FLIGHT):
            group.queued = True
            self._order.append(group)

    def take(self, max_count: int) -> list[Message]:
        taken: list[Message] = []
        while self._order and len(taken) < max_count:
            group = self._order.popleft()
            group.queued = False
            barrier_seq = _first_seq(group.held, IN_FLIGHT)
            while len(taken) < max_count and _first_seq(group.waiting, VISIBLE) < barrier_seq:
                entry = heapq.heappop(group.waiting)
                entry[1].state = IN_FLIGHT
                heapq.heappush(group.held, entry)
                taken.append(entry[1])
        return taken

    def mark_not_in_flight(self, message: Message) -> None:
        self._update_group(message.group or "")

    def mark_gone(self, message: Message) -> None:
        self._update_group(message.group or "")

    def ready(self) -> bool:
        order = self._order
        while order:
            if _first_seq(order[0].waiting, VISIBLE) < _first_seq(order[0].held, IN_FLIGHT):
                return True
            order.popleft().queued = False
        return False

    def _update_group(self, key: str) -> None:
        """Queue the group if it became available; remove it if it is empty."""
        group = self._groups.get(key)
        if group is None:
            return
        head_seq, barrier_seq = _first_seq(group.waiting, VISIBLE), _first_seq(group.held, IN_FLIGHT)
        if head_seq < barrier_seq and not group.queued:
            group.queued = True
            self._order.append(group)
        elif head_seq == barrier_seq == _NEVER:
            del self._groups[key]
