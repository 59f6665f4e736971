"""The time of streams, and where reading of a shard begins as long as nothing was read of it."""

from __future__ import annotations

import math
from typing import Any, Final

from engine.core.streams.records import TRIM_HORIZON, PositionType, StreamPosition
from engine.ports import Clock
from engine.sources.streams.port import StreamClient

_NEWEST: Final = (PositionType.LATEST, PositionType.AT_TIMESTAMP)
_READ_LIMIT: Final = 1_000
_EMPTY_PAGES: Final = 3
"""DynamoDB Streams may answer with no records, and more behind them: so many in a row are the end."""
_STEP_S: Final = 1.0
"""How far the wall clock may be from where it was before the times of the kernel follow it."""


class StreamClock:
    """Seconds since the epoch that never go back: a wall clock is followed only if it was set forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = clock.wall() - clock.now()

    def now(self) -> float:
        """The time."""
        now_s = self._clock.now()
        offset_s = self._clock.wall() - now_s
        if offset_s > self._offset_s + _STEP_S:
            self._offset_s = offset_s
        return now_s + self._offset_s

    def engine_s(self, at_s: float) -> float:
        """The engine clock at that time."""
        return at_s - self._offset_s


class Starts:
    """Keeps the place in a shard where the newest records come, as long as none has come.

    There is no sequence number to go on from then. `LATEST` is another place each time it is asked for, and a
    time is not exact: so the cursor that was had last is used again, until it is too old.
    """

    def __init__(self, client: StreamClient, *, by_time: bool) -> None:
        """`by_time`: the stream can be read from a time on."""
        self._client, self._by_time = client, by_time
        self._cursors: dict[str, Any] = {}

    async def cursor(self, shard_id: str, position: StreamPosition) -> Any:
        """A cursor for the position. Raises StreamError."""
        if position.type not in _NEWEST:
            self._cursors.pop(shard_id, None)
            return await self._client.cursor(shard_id, position)
        known = self._cursors.get(shard_id)
        if known is None:
            known = self._cursors[shard_id] = await self._first(shard_id, position)
        return known

    async def _first(self, shard_id: str, position: StreamPosition) -> Any:
        since_s = position.timestamp_s
        if self._by_time or since_s is None:
            return await self._client.cursor(shard_id, position)
        return await self._since(shard_id, math.floor(since_s))

    async def _since(self, shard_id: str, since_s: int) -> Any:
        """A cursor for the first record of that second or a later one, in a stream that cannot tell by time.

        It is looked for from the oldest record on; if there is none yet, it is where the newest will come.
        """
        client = self._client
        cursor = await client.cursor(shard_id, TRIM_HORIZON)
        empty = 0
        while empty < _EMPTY_PAGES:
            page = await client.read(shard_id, cursor, _READ_LIMIT)
            for record in page.records:
                if record.arrived_s >= since_s:
                    at = StreamPosition(PositionType.AT_SEQUENCE_NUMBER, record.sequence_number)
                    return await client.cursor(shard_id, at)
            if page.cursor is None:
                return cursor
            cursor = page.cursor
            empty = 0 if page.records else empty + 1
        return cursor

    def came_to(self, shard_id: str, position: StreamPosition, cursor: Any) -> None:
        """A page was read; it ends there."""
        if position.type not in _NEWEST:
            self._cursors.pop(shard_id, None)
        elif shard_id in self._cursors and cursor is not None:
            self._cursors[shard_id] = cursor

    def expired(self, shard_id: str) -> None:
        """Its cursor is too old."""
        self._cursors.pop(shard_id, None)
