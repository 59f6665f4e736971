"""Groups, streams and events of CloudWatch Logs, kept in memory up to a bound: the oldest events go first."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Final

from engine.services.logs.subscription_filters import SubscriptionFilter

EVENT_BYTES: Final = 26
"""What AWS adds to the size of each message (API reference, PutLogEvents)."""
_KEPT_BYTES: Final = 300
"""What an event takes in memory besides its message, about."""
_WIDE_BYTES: Final = 4
"""What a character takes, at most, in a message with one that is not ASCII."""
MAX_NAMES: Final = 100_000
"""Groups, streams and tags that clients may make: about 1 kB each, which no eviction frees."""
_ID_SHIFT: Final = 144
_FEW: Final = 1000
_DAY_MS: Final = 86_400_000

by_id: Final = attrgetter("id")


def first_id(timestamp_ms: int) -> int:
    """The lowest id that an event of that time can have: ids sort as times do, as on AWS."""
    return timestamp_ms << _ID_SHIFT


class LogEvent:
    """One event.

    Attributes:
        id: Unique in its store; of several, the later time or else the later arrival has the higher one.
        timestamp_ms: When it happened, milliseconds since the Unix epoch.
        ingestion_ms: When it came.
        message: Its text.
        stream: Whose it is; None once it is dropped.
    """

    __slots__ = ("id", "ingestion_ms", "message", "stream", "timestamp_ms")

    def __init__(
        self, number: int, timestamp_ms: int, ingestion_ms: int, message: str, stream: LogStream
    ) -> None:
        self.id = first_id(timestamp_ms) + number
        self.timestamp_ms = timestamp_ms
        self.ingestion_ms = ingestion_ms
        self.message = message
        self.stream: LogStream | None = stream

    @property
    def event_id(self) -> str:
        """The id as AWS writes it: 56 digits."""
        return f"{self.id:056d}"

    @property
    def kept_bytes(self) -> int:
        """What it counts against the store's bound."""
        width = 1 if self.message.isascii() else _WIDE_BYTES
        return len(self.message) * width + _KEPT_BYTES


class LogStream:
    """One stream.

    Attributes:
        name: Unique in its group.
        created_ms: When it was made, milliseconds since the Unix epoch.
        is_functions: A function's environment made it by logging; it goes with its last event.
        events: Sorted by id.
        last_ingestion_ms: When the last event came; None if none ever did.
        stored_bytes: Messages, and `EVENT_BYTES` for each.
    """

    def __init__(self, name: str, created_ms: int, *, is_functions: bool) -> None:
        self.name = name
        self.created_ms = created_ms
        self.is_functions = is_functions
        self.events: list[LogEvent] = []
        self.last_ingestion_ms: int | None = None
        self.stored_bytes = 0

    def between(self, low: int, high: int) -> list[LogEvent]:
        """The events with ids from `low` on and below `high`."""
        events = self.events
        return events[bisect_left(events, low, key=by_id) : bisect_left(events, high, key=by_id)]

    def add(self, event: LogEvent) -> None:
        """Put it in its place, which nearly always is the last."""
        if self.events and event.id < self.events[-1].id:
            insort(self.events, event, key=by_id)
        else:
            self.events.append(event)
        self.last_ingestion_ms = event.ingestion_ms
        self.stored_bytes += len(event.message) + EVENT_BYTES

    def remove(self, event: LogEvent) -> None:
        """Take it out: nearly always the first."""
        del self.events[bisect_left(self.events, event.id, key=by_id)]
        self.stored_bytes -= len(event.message) + EVENT_BYTES


class LogGroup:
    """One group.

    Attributes:
        name: Unique in the store.
        created_ms: When it was made, milliseconds since the Unix epoch.
        tags: By key; `LogStore.tag` changes them.
        log_class: `STANDARD`, `INFREQUENT_ACCESS` or `DELIVERY`.
        kms_key_id: Kept and shown.
        is_protected: It cannot be deleted.
        retention_days: How long events are kept; None for as long as there is room.
        streams: By name.
        subscriptions: Its subscription filters, by name.
    """

    def __init__(self, name: str, created_ms: int) -> None:
        self.name = name
        self.created_ms = created_ms
        self.subscriptions: dict[str, SubscriptionFilter] = {}
        self.tags: dict[str, str] = {}
        self.log_class = "STANDARD"
        self.kms_key_id: str | None = None
        self.is_protected = False
        self.retention_days: int | None = None
        self.streams: dict[str, LogStream] = {}

    @property
    def stored_bytes(self) -> int:
        """Of all its streams."""
        return sum(stream.stored_bytes for stream in self.streams.values())

    def expires_ms(self, now_ms: int) -> int:
        """Events before that time are past the retention period."""
        return 0 if self.retention_days is None else now_ms - self.retention_days * _DAY_MS


class LogStore:
    """All groups of one engine.

    Attributes:
        groups: By name.
        evicted: Events that were dropped to make room.
    """

    def __init__(self, max_bytes: int, max_names: int = MAX_NAMES) -> None:
        """`max_bytes` bounds what events take, besides the newest one; `max_names` see `is_full`."""
        self.groups: dict[str, LogGroup] = {}
        self.evicted = 0
        self._max_bytes, self._max_names = max_bytes, max_names
        self._kept_bytes = 0
        self._next_number = 1
        self._by_arrival: deque[tuple[LogGroup, LogEvent]] = deque()  # dropped ones among them
        self._live = 0
        self._names = 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many groups, streams and tags as clients may make."""
        return self._names >= self._max_names

    def tag(self, group: LogGroup, tags: Mapping[str, str]) -> None:
        """Add tags to a group, or change them."""
        before = len(group.tags)
        group.tags.update(tags)
        self._names += len(group.tags) - before

    def untag(self, group: LogGroup, keys: Iterable[str]) -> None:
        """Drop those tags of a group that are there."""
        for key in keys:
            if group.tags.pop(key, None) is not None:
                self._names -= 1

    def create_group(self, name: str, now_ms: int) -> LogGroup:
        """Make a group; there must be none of that name."""
        group = self.groups[name] = LogGroup(name, now_ms)
        self._names += 1
        return group

    def create_stream(
        self, group: LogGroup, name: str, now_ms: int, *, is_functions: bool = False
    ) -> LogStream:
        """Make a stream; there must be none of that name in `group`."""
        stream = group.streams[name] = LogStream(name, now_ms, is_functions=is_functions)
        self._names += 1
        return stream

    def delete_group(self, group: LogGroup) -> None:
        """Drop a group with all that is in it."""
        for stream in list(group.streams.values()):
            self.delete_stream(group, stream)
        del self.groups[group.name]
        self._names -= 1 + len(group.tags)

    def delete_stream(self, group: LogGroup, stream: LogStream) -> None:
        """Drop a stream with its events."""
        del group.streams[stream.name]
        self._names -= 1
        for event in stream.events:
            self._forget(event)
        stream.events.clear()

    def append(
        self, group: LogGroup, stream: LogStream, timestamp_ms: int, message: str, now_ms: int
    ) -> LogEvent:
        """Add an event to a stream of `group`, and drop the oldest ones if there is no room for it."""
        event = LogEvent(self._next_number, timestamp_ms, now_ms, message, stream)
        self._next_number += 1
        stream.add(event)
        self._by_arrival.append((group, event))
        self._live += 1
        self._kept_bytes += event.kept_bytes
        while self._kept_bytes > self._max_bytes and self._live > 1:
            self._evict()
        if len(self._by_arrival) > _FEW + 2 * self._live:
            self._by_arrival = deque(one for one in self._by_arrival if one[1].stream is not None)
        return event

    def expire(self, group: LogGroup, now_ms: int) -> None:
        """Drop the events of a group that are past its retention period."""
        low = first_id(group.expires_ms(now_ms))
        for stream in group.streams.values():
            expired = stream.between(0, low)
            del stream.events[: len(expired)]
            for event in expired:
                stream.stored_bytes -= len(event.message) + EVENT_BYTES
                self._forget(event)

    def _evict(self) -> None:
        group, event = self._by_arrival.popleft()
        stream = event.stream
        if stream is None:
            return  # its stream was deleted
        stream.remove(event)
        self._forget(event)
        self.evicted += 1
        if stream.is_functions and not stream.events:
            del group.streams[stream.name]
            self._names -= 1

    def _forget(self, event: LogEvent) -> None:
        """Let go of an event's text. Its place among the arrivals goes when its turn comes."""
        self._live -= 1
        self._kept_bytes -= event.kept_bytes
        event.stream, event.message = None, ""
