"""Operations that read events: of one stream, and of a group's streams by a filter pattern."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from engine.core.json_pieces import Steps
from engine.protocols.aws.operation import operation
from engine.services.logs.errors import invalid
from engine.services.logs.filter_patterns import BadPattern, compiled
from engine.services.logs.paging import (
    PageBounds,
    Position,
    group_position,
    group_token,
    stream_position,
    stream_token,
)
from engine.services.logs.resources import Document, LogResources
from engine.services.logs.store import LogEvent, LogGroup, LogStream, by_id, first_id

_LAST_ID: Final = 10**56 - 1
_CHARACTERS_A_STEP: Final = 100_000
_CHARACTERS_OF_AN_EVENT: Final = 500
"""What each costs besides its message, which patterns read."""
_NAMES_OR_PREFIX: Final = "LogStream names and LogStream name prefix are mutually exclusive parameters."


class Events:
    """The operations, on one engine's groups."""

    def __init__(self, resources: LogResources) -> None:
        self._resources = resources

    @operation("GetLogEvents")
    def get(self, params: Document) -> Document:
        """A page of one stream's events, in the order of their times.

        The token of the direction in which there is nothing more is the one that was given.
        """
        group = self._resources.group_of(params)
        stream = self._resources.stream_of(group, params["logStreamName"])
        token = params.get("nextToken")
        low, high = _first(params.get("startTime")), _first(params.get("endTime"), _LAST_ID)
        if token is None:
            position = Position("f", low - 1) if params.get("startFromHead") else Position("b", high)
        else:
            position = stream_position(token)
        is_forward = position.direction == "f"
        if is_forward:
            found = stream.between(max(low, position.event_id + 1), high)
        else:
            found = stream.between(low, min(high, position.event_id))
        bounds, page = PageBounds(params.get("limit")), []
        for event in found if is_forward else reversed(found):
            if not bounds.takes(event):
                break
            page.append(event)
        if not is_forward:
            page.reverse()
        before, after = _ends(page, position)
        return {
            "events": [
                {
                    "timestamp": event.timestamp_ms,
                    "message": event.message,
                    "ingestionTime": event.ingestion_ms,
                }
                for event in page
            ],
            "nextForwardToken": stream_token(Position("f", after)),
            "nextBackwardToken": stream_token(Position("b", before)),
        }

    @operation("FilterLogEvents")
    def filter(self, params: Document) -> Steps[Document]:
        """A page of the events of a group that match a pattern, in the order of their times."""
        group = self._resources.group_of(params)
        streams = self._streams(group, params)
        try:
            matches = compiled(params.get("filterPattern") or "")
        except BadPattern as error:
            raise invalid(str(error)) from None
        events, is_forward = _candidates(streams, params)
        bounds, page, token = PageBounds(params.get("limit")), list[Document](), None
        left = _CHARACTERS_A_STEP
        for event in events:
            left -= len(event.message) + _CHARACTERS_OF_AN_EVENT
            if left < 0:
                left = _CHARACTERS_A_STEP
                yield
            if event.stream is None or not matches(event.message):
                continue
            if not bounds.takes(event):
                # The next page begins with this one.
                token = group_token(
                    Position("f", event.id - 1) if is_forward else Position("b", event.id + 1)
                )
                break
            page.append(_shown(event, event.stream))
        answer: Document = {"events": page, "searchedLogStreams": []}
        return answer if token is None else {**answer, "nextToken": token}

    def _streams(self, group: LogGroup, params: Document) -> list[LogStream]:
        names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
        if names is not None and prefix is not None:
            raise invalid(_NAMES_OR_PREFIX)
        if names is not None:
            return [self._resources.stream_of(group, name) for name in dict.fromkeys(names)]
        return [stream for stream in group.streams.values() if stream.name.startswith(prefix or "")]


def _candidates(streams: Sequence[LogStream], params: Document) -> tuple[Iterable[LogEvent], bool]:
    """The events that may match, in the order in which they are shown, and whether time goes forward."""
    end_ms = params.get("endTime")
    low, high = _first(params.get("startTime")), _first(None if end_ms is None else end_ms + 1, _LAST_ID)
    token = params.get("nextToken")
    is_forward = params.get("startFromHead") is not False
    if token is not None:
        position = group_position(token)
        is_forward = position.direction == "f"
        low = max(low, position.event_id + 1) if is_forward else low
        high = high if is_forward else min(high, position.event_id)
    found = [stream.between(low, high) for stream in streams]
    if not is_forward:
        for events in found:
            events.reverse()
    return heapq.merge(*found, key=by_id, reverse=not is_forward), is_forward


def _first(time_ms: int | None, default: int = 0) -> int:
    return default if time_ms is None else min(first_id(time_ms), _LAST_ID)


def _ends(page: Sequence[LogEvent], position: Position) -> tuple[int, int]:
    """Before which id, and behind which, reading goes on from a page that was read at `position`."""
    if page:
        return page[0].id, page[-1].id
    if position.direction == "f":
        after = max(position.event_id, 0)
        return after + 1, after
    return position.event_id, position.event_id - 1


def _shown(event: LogEvent, stream: LogStream) -> Document:
    return {
        "logStreamName": stream.name,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingestion_ms,
        "eventId": event.event_id,
    }
