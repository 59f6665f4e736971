"""Operations on log streams: making, listing, and what is put into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.logs.errors import invalid, stream_exists, too_many
from engine.services.logs.paging import list_page
from engine.services.logs.resources import Document, LogResources, sequence_token
from engine.services.logs.store import EVENT_BYTES, LogStream

_MAX_BATCH_BYTES: Final = 1_048_576
_DAY_MS: Final = 86_400_000
_OLDEST_MS: Final = 14 * _DAY_MS
_AHEAD_MS: Final = 2 * 3_600_000
_UNORDERED: Final = "Log events in a single PutLogEvents request must be in chronological order."
_TOO_LONG: Final = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
_PREFIX_BY_TIME: Final = "Cannot order by LastEventTime with a logStreamNamePrefix."


class Streams:
    """The operations, on one engine's groups."""

    def __init__(self, resources: LogResources) -> None:
        self._resources = resources
        self._store = resources.store

    @operation("CreateLogStream", writes=True)
    def create(self, params: Document) -> Document:
        """Make a stream."""
        group = self._resources.group_named(params["logGroupName"])
        name = params["logStreamName"]
        if name in group.streams:
            raise stream_exists()
        if self._store.is_full:
            raise too_many()
        self._store.create_stream(group, name, self._resources.now_ms())
        return {}

    @operation("DeleteLogStream", writes=True)
    def delete(self, params: Document) -> Document:
        """Drop a stream with its events."""
        group = self._resources.group_named(params["logGroupName"])
        self._store.delete_stream(group, self._resources.stream_of(group, params["logStreamName"]))
        return {}

    @operation("DescribeLogStreams")
    def describe(self, params: Document) -> Document:
        """Streams by name, or by the time of their last event; at most 50 a page."""
        group, prefix = self._resources.group_of(params), params.get("logStreamNamePrefix")
        by_time = params.get("orderBy") == "LastEventTime"
        if by_time and prefix is not None:
            raise invalid(_PREFIX_BY_TIME)
        page, token = list_page(
            [stream for stream in group.streams.values() if stream.name.startswith(prefix or "")],
            _by_last_event if by_time else _by_name,
            params.get("nextToken"),
            params.get("limit") or 50,
            descending=params.get("descending") or False,
        )
        answer: Document = {"logStreams": [self._resources.shown_stream(group, stream) for stream in page]}
        return answer if token is None else {**answer, "nextToken": token}

    @operation("PutLogEvents", writes=True)
    def put(self, params: Document) -> Document:
        """Add events in the order of their times; what is too old or too new is told, and left out."""
        group = self._resources.group_named(params["logGroupName"])
        stream = self._resources.stream_of(group, params["logStreamName"])
        events = params["logEvents"]
        _check_batch(events)
        now_ms = self._resources.now_ms()
        expires_ms, oldest_ms = group.expires_ms(now_ms), now_ms - _OLDEST_MS
        times = [event["timestamp"] for event in events]
        too_old = sum(time < oldest_ms for time in times)
        expired = sum(time < expires_ms for time in times)
        in_time = sum(time <= now_ms + _AHEAD_MS for time in times)
        for event in events[max(too_old, expired) : in_time]:
            self._resources.append(group, stream, event["timestamp"], event["message"], now_ms)
        answer: Document = {"nextSequenceToken": sequence_token(stream)}
        rejected: Document = {}
        if in_time < len(events):
            rejected["tooNewLogEventStartIndex"] = in_time
        if too_old:
            rejected["tooOldLogEventEndIndex"] = too_old
        if expired > too_old:
            rejected["expiredLogEventEndIndex"] = expired
        return {**answer, "rejectedLogEventsInfo": rejected} if rejected else answer


def _check_batch(events: Sequence[Document]) -> None:
    size = sum(len(event["message"].encode("utf-8", "replace")) + EVENT_BYTES for event in events)
    if size > _MAX_BATCH_BYTES:
        raise invalid(f"Upload too large: {size} bytes exceeds limit of {_MAX_BATCH_BYTES}")
    times = [event["timestamp"] for event in events]
    if times != sorted(times):
        raise invalid(_UNORDERED)
    if times[-1] - times[0] > _DAY_MS:
        raise invalid(_TOO_LONG)


def _by_name(stream: LogStream) -> list[Any]:
    return [stream.name]


def _by_last_event(stream: LogStream) -> list[Any]:
    """Those without events come first."""
    return [stream.events[-1].timestamp_ms if stream.events else 0, stream.name]
