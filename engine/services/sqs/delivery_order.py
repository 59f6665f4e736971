"""In which order a queue gives its visible messages out: standard queues with fairness, FIFO by group.

Source: SQS Developer Guide, "How Amazon SQS fair queues work", "FIFO queue delivery logic".
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final, Protocol

from engine.services.sqs.indexes import LazyIndex
from engine.services.sqs.message import IN_FLIGHT, VISIBLE, Message

NOISY_IN_FLIGHT: Final = 30
"""A tenant that holds fewer messages in flight is never noisy."""
NOISY_SHARE: Final = 10
"""A tenant is noisy when it holds more than a tenth of what is in flight."""

_NEVER: Final = 1 << 62


class DeliveryOrder(Protocol):
    """Holds the visible messages of one queue."""

    def put(self, message: Message) -> None:
        """Add a message that became visible."""

    def take(self, max_count: int) -> list[Message]:
        """Remove up to `max_count` messages in the order of delivery, and set them IN_FLIGHT."""

    def took(self, message: Message) -> None:
        """Note a message that became IN_FLIGHT without `take`."""

    def released(self, message: Message) -> None:
        """Note that a message is IN_FLIGHT no longer. Called before `put` if it becomes visible again."""

    def dropped(self, message: Message) -> None:
        """Note that a visible message is GONE."""

    def ready(self) -> bool:
        """Whether `take` would return a message."""


class Tenant:
    """The messages of one `MessageGroupId` on a standard queue."""

    __slots__ = ("entry_seq", "in_flight", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Message]] = []
        self.in_flight = 0
        self.entry_seq = _NEVER  # its one valid entry in the heap of quiet tenants

    def head_seq(self) -> int:
        """`seq` of its first visible message; `_NEVER` if there is none."""
        waiting = self.waiting
        while waiting and waiting[0][1].state is not VISIBLE:
            heapq.heappop(waiting)
        return waiting[0][0] if waiting else _NEVER


class FairDeliveryOrder:
    """In order of sending; but messages of tenants that hold too much wait for those of all others.

    A message without a group is a tenant of its own. Time that consumers spent on a tenant's messages,
    which AWS looks at too, is not looked at.
    """

    __slots__ = ("_entries", "_in_flight", "_noisy", "_order", "_quiet", "_tenants")

    def __init__(self) -> None:
        self._order = LazyIndex()
        self._tenants: dict[str, Tenant] = {}
        self._quiet: list[tuple[int, int, Tenant]] = []  # seq of the head, number of the entry
        self._entries = 0
        self._noisy: list[Tenant] = []  # fewer than ten, once `_requeue_quiet` has looked
        self._in_flight = 0

    def put(self, message: Message) -> None:
        """Add a message that became visible."""
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
        """Remove up to `max_count` messages in the order of delivery, and set them IN_FLIGHT."""
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
            while len(taken) < max_count and (one := self._next()) is not None:
                one.state = IN_FLIGHT
                self._in_flight += 1
                taken.append(one)
            return taken
        self._in_flight += len(taken)
        return taken

    def took(self, message: Message) -> None:
        """Note a message that became IN_FLIGHT without `take`."""
        self._in_flight += 1
        if message.group is not None:
            self._tenants.setdefault(message.group, Tenant()).in_flight += 1

    def released(self, message: Message) -> None:
        """Note that a message is IN_FLIGHT no longer."""
        self._in_flight -= 1
        if message.group is not None:
            tenant = self._tenants[message.group]
            tenant.in_flight -= 1
            self._drop_if_empty(message.group, tenant)

    def dropped(self, message: Message) -> None:
        """Note that a visible message is GONE."""
        if message.group is None:
            self._order.dropped()
        else:
            self._drop_if_empty(message.group, self._tenants[message.group])

    def ready(self) -> bool:
        """Whether `take` would return a message."""
        if self._order.head() is not None:
            return True
        quiet = self._quiet
        while quiet:
            seq, _, tenant = quiet[0]
            if seq == tenant.entry_seq:
                if tenant.head_seq() != _NEVER:
                    return True
                tenant.entry_seq = _NEVER
            heapq.heappop(quiet)
        return any(tenant.head_seq() != _NEVER for tenant in self._noisy)

    def _is_noisy(self, tenant: Tenant) -> bool:
        held = tenant.in_flight
        return held >= NOISY_IN_FLIGHT and held * NOISY_SHARE > self._in_flight

    def _enter(self, tenant: Tenant, seq: int) -> None:
        tenant.entry_seq = seq
        self._entries += 1
        heapq.heappush(self._quiet, (seq, self._entries, tenant))

    def _requeue_quiet(self) -> None:
        """Move tenants that are noisy no longer back to the ordered heap."""
        for tenant in [one for one in self._noisy if not self._is_noisy(one)]:
            self._noisy.remove(tenant)
            if (seq := tenant.head_seq()) != _NEVER:
                self._enter(tenant, seq)

    def _next(self) -> Message | None:
        tenant = self._first_quiet()
        head = self._order.head()
        if head is not None and (tenant is None or head.seq < tenant.entry_seq):
            self._order.pop(head)
            return head
        if tenant is None:
            waiting = [one for one in self._noisy if one.head_seq() != _NEVER]
            if not waiting:
                return None
            tenant = min(waiting, key=lambda one: (one.in_flight, one.waiting[0][0]))
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
            head_seq = tenant.head_seq()
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
        if not tenant.in_flight and tenant.head_seq() == _NEVER:
            del self._tenants[group]
            tenant.entry_seq = _NEVER
            if tenant in self._noisy:
                self._noisy.remove(tenant)


class Group:
    """The messages of one `MessageGroupId` on a FIFO queue."""

    __slots__ = ("held", "queued", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Message]] = []
        self.held: list[tuple[int, Message]] = []
        self.queued = False  # whether it is in `FifoDeliveryOrder._order`

    def head_seq(self) -> int:
        """`seq` of its first visible message; `_NEVER` if there is none."""
        waiting = self.waiting
        while waiting and waiting[0][1].state is not VISIBLE:
            heapq.heappop(waiting)
        return waiting[0][0] if waiting else _NEVER

    def barrier_seq(self) -> int:
        """`seq` of its first message in flight: messages after it are not delivered. `_NEVER` for none."""
        held = self.held
        while held and held[0][1].state is not IN_FLIGHT:
            heapq.heappop(held)
        return held[0][0] if held else _NEVER


class FifoDeliveryOrder:
    """Groups in the order in which they became available, the messages of each in order of sending."""

    __slots__ = ("_groups", "_order")

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._order: deque[Group] = deque()

    def put(self, message: Message) -> None:
        """Add a message that became visible."""
        key = message.group or ""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group()
        heapq.heappush(group.waiting, (message.seq, message))
        if not group.queued and message.seq < group.barrier_seq():
            group.queued = True
            self._order.append(group)

    def take(self, max_count: int) -> list[Message]:
        """Remove up to `max_count` messages in the order of delivery, and set them IN_FLIGHT."""
        taken: list[Message] = []
        while self._order and len(taken) < max_count:
            group = self._order.popleft()
            group.queued = False
            barrier_seq = group.barrier_seq()
            while len(taken) < max_count and group.head_seq() < barrier_seq:
                entry = heapq.heappop(group.waiting)
                entry[1].state = IN_FLIGHT
                heapq.heappush(group.held, entry)
                taken.append(entry[1])
        return taken

    def took(self, message: Message) -> None:
        """Note a message that became IN_FLIGHT without `take`."""
        group = self._groups.setdefault(message.group or "", Group())
        heapq.heappush(group.held, (message.seq, message))

    def released(self, message: Message) -> None:
        """Note that a message is IN_FLIGHT no longer."""
        self._update_group(message.group or "")

    def dropped(self, message: Message) -> None:
        """Note that a visible message is GONE."""
        self._update_group(message.group or "")

    def ready(self) -> bool:
        """Whether `take` would return a message."""
        order = self._order
        while order:
            if order[0].head_seq() < order[0].barrier_seq():
                return True
            order.popleft().queued = False
        return False

    def _update_group(self, key: str) -> None:
        """Queue the group if it became available; remove it if it is empty."""
        group = self._groups.get(key)
        if group is None:
            return
        head_seq, barrier_seq = group.head_seq(), group.barrier_seq()
        if head_seq < barrier_seq and not group.queued:
            group.queued = True
            self._order.append(group)
        elif head_seq == barrier_seq == _NEVER:
            del self._groups[key]
