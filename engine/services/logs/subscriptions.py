"""Delivers what is logged to the functions that subscribe, in batches of one stream each.

Theory of operation. While no group has a filter, nothing here runs. From the first filter on, functions that
log, and clients that put events, set a timer; when it is due, what functions have logged is taken into the
store, as a client's request does, and each event that a filter matches goes into the batch of its stream.
Then all batches are delivered. A batch that is full is delivered at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from engine.core.json_pieces import Steps
from engine.core.logged_line import UnreadLines
from engine.core.payload_limits import MAX_ASYNC_EVENT_BYTES
from engine.ports import Clock
from engine.services.logs.store import LogEvent, LogGroup, LogStore, LogStream
from engine.services.logs.subscribers import Subscribers
from engine.services.logs.subscription_events import DeliveredEvent, subscription_event
from engine.services.logs.subscription_filters import SubscriptionFilter, delivers_own_logs
from engine.timer import Timer

_log = logging.getLogger("engine.logs")

BATCH_S: Final = 0.5
"""How long events wait for others of their stream. AWS publishes no number."""
MAX_BATCH_CHARACTERS: Final = 262_144
"""Of the messages of a batch, with `_EVENT_CHARACTERS` for each: what packs within some milliseconds."""
_EVENT_CHARACTERS: Final = 120
OFF_MS: Final = 600_000
"""A filter whose function is not there is off for so long (CloudWatch Logs User Guide)."""
_NONE: Final[Mapping[str, SubscriptionFilter]] = MappingProxyType({})
_MAX_TOLD: Final = 1000


class _StreamEvents:
    """Events of one stream that one filter matches."""

    __slots__ = ("events", "size")

    def __init__(self) -> None:
        self.events: list[DeliveredEvent] = []
        self.size = 0


class LogSubscriptions:
    """The subscription filters of one engine's log groups.

    Attributes:
        subscribers: The functions.
    """

    def __init__(
        self,
        store: LogStore,
        owner: str,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        function_log: UnreadLines,
        subscribers: Subscribers,
        take_in: Callable[[], Steps[None]],
    ) -> None:
        """`owner` is the account of all groups. `take_in` adds to the store what functions have logged."""
        self.subscribers = subscribers
        self._store = store
        self._owner = owner
        self._clock = clock
        self._loop = loop
        self._function_log = function_log
        self._take_in = take_in
        self._timer = Timer(loop, clock, self._on_due)
        self._batches: dict[tuple[SubscriptionFilter, str, str], _StreamEvents] = {}  # filter, group, stream
        self._noted = False
        self._steps: Steps[None] | None = None
        self._told: set[str] = set()

    # ---------------------------------------------------------------- filters

    def filters_of(self, group: str) -> Mapping[str, SubscriptionFilter]:
        """Those of the group of that name; none if there is no such group."""
        found = self._store.groups.get(group)
        return _NONE if found is None else found.subscriptions

    def delivers_own_logs(self, group: str, destination_arn: str) -> bool:
        """Whether what the function gets of `group` would come back to it."""
        return delivers_own_logs(group, destination_arn, self.filters_of, self.subscribers)

    def put(self, group: LogGroup, made: SubscriptionFilter) -> None:
        """Add a filter, or put it in the place of the one with its name."""
        group.subscriptions[made.name] = made
        self._function_log.watch(self._note)

    def remove(self, group: LogGroup, name: str) -> None:
        """Take a filter away; what it has matched already is delivered."""
        del group.subscriptions[name]
        self.look_again()

    def look_again(self) -> None:
        """A group is gone, or a filter: without any, nothing of what functions log is looked at."""
        if not any(group.subscriptions for group in self._store.groups.values()):
            self._function_log.watch(None)

    def close(self) -> None:
        """Deliver nothing more."""
        self._function_log.watch(None)
        self._timer.cancel()
        self._batches.clear()

    # ---------------------------------------------------------------- what is logged

    def take(self, group: LogGroup, stream: LogStream, event: LogEvent) -> None:
        """An event came into a group that has filters."""
        now_ms = int(self._clock.wall() * 1000)
        for one in group.subscriptions.values():
            if one.off_until_ms > now_ms or not one.matches(event.message):
                continue
            key = one, group.name, stream.name
            batch = self._batches.get(key) or self._batches.setdefault(key, _StreamEvents())
            batch.events.append(DeliveredEvent(event.event_id, event.timestamp_ms, event.message))
            batch.size += len(event.message) + _EVENT_CHARACTERS
            if batch.size >= MAX_BATCH_CHARACTERS:
                self._deliver(key, self._batches.pop(key))
            else:
                self._arm()

    def _note(self) -> None:
        """A function has logged. Called on the thread that logs."""
        if not self._noted:
            self._noted = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._arm)

    def _arm(self) -> None:
        self._timer.at(self._clock.now() + BATCH_S)

    def _on_due(self, now_s: float) -> float | None:
        if self._steps is not None:
            return now_s + BATCH_S  # functions log faster than it is taken in
        self._noted = False
        self._steps = self._take_in_and_deliver()
        self._advance()
        return None

    def _advance(self) -> None:
        """One step in each turn of the loop."""
        assert self._steps is not None
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None
        else:
            self._loop.call_soon(self._advance)

    def _take_in_and_deliver(self) -> Steps[None]:
        yield from self._take_in()
        batches, self._batches = self._batches, {}
        for key, batch in batches.items():
            self._deliver(key, batch)
            yield

    # ---------------------------------------------------------------- deliveries

    def _deliver(self, key: tuple[SubscriptionFilter, str, str], batch: _StreamEvents) -> None:
        made, group, stream = key
        arn = made.destination_arn
        if self.delivers_own_logs(group, arn):  # it has been given that log group since
            self._tell(arn, f"{group} has what it logs itself")
            return
        if self.subscribers.log_group_of(arn) is None:
            made.off_until_ms = int(self._clock.wall() * 1000) + OFF_MS
        event = subscription_event(self._owner, group, stream, made.name, batch.events)
        if len(event["awslogs"]["data"]) + 64 > MAX_ASYNC_EVENT_BYTES:
            self._tell(arn, f"an event of {group} is too large")
            return
        self.subscribers.deliver(arn, event)

    def _tell(self, arn: str, reason: str) -> None:
        """Log the first that is not delivered to each function."""
        if arn not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(arn)
            _log.warning("logs are not delivered to %s: %s", arn, reason)
