"""A Kinesis stream in this process, for tests and benches: shards that split and merge, and faults on demand.

It is no service: nothing speaks its protocol. Hashes, sequence numbers and ends of shards are as Kinesis has
them. Source: Kinesis Data Streams API reference, "SplitShard", "MergeShards", "GetRecords".
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from engine.core.late_dataclass import dataclass
from engine.core.streams.records import (
    PositionType,
    ReadFailure,
    ShardInfo,
    StreamPage,
    StreamPosition,
)
from engine.sources.streams.kinesis import READ_LIMIT, members_of_all, record_of
from engine.sources.streams.port import StreamError

_FIRST_SEQUENCE: Final = 49590338271490256608559692538361571095921575989136588898
_HASHES: Final = 2**128


@dataclass(slots=True, kw_only=True)
class ScriptedShard:
    """One shard.

    Attributes:
        shard_id: Its id.
        first_hash, end_hash: The hashes of its keys; the end is not in it.
        parents: Ids of its parents.
        records: What was put, as GetRecords has it.
        trimmed: How many of them are no longer kept.
        ending_sequence: Of the last one of a closed shard; None while it is open.
        children: Of a closed shard.
    """

    shard_id: str
    first_hash: int
    end_hash: int
    parents: tuple[str, ...]
    records: list[dict[str, Any]]
    trimmed: int = 0
    ending_sequence: int | None = None
    children: tuple[str, ...] = ()


class ScriptedStream:
    """Implements `StreamClient`.

    Attributes:
        arn, closed_shards_grow, outlives_engine, identity, retention_s: See `StreamClient`.
        shards: All shards by id, those that are listed no more left out.
        is_gone: Every call answers that there is no such stream.
        faults: Raised by the next calls that read or list, one each.
        iterator_life_s: How long a cursor may be used.
        reads, listings: Calls that were answered.
    """

    closed_shards_grow = False
    outlives_engine = True
    retention_s: float | None = None

    def __init__(
        self,
        wall_s: Callable[[], float],
        *,
        shards: int = 1,
        arn: str = "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        role_arn: str = "arn:aws:iam::000000000000:role/r",
        iterator_life_s: float = 300.0,
        names_children: bool = True,
    ) -> None:
        """A stream of equal shards.

        Args:
            wall_s: Seconds since the epoch.
            shards: How many.
            arn: Its own.
            role_arn: `invokeIdentityArn` of its records.
            iterator_life_s: See there.
            names_children: Whether the last page of a shard does; else they have to be listed.
        """
        self.arn = arn
        self.iterator_life_s = iterator_life_s
        self.shards: dict[str, ScriptedShard] = {}
        self.faults: deque[StreamError] = deque()
        self.is_gone = False
        self.identity = "1"
        self.reads = self.listings = 0
        self._wall_s, self._rest, self._names_children = wall_s, members_of_all(arn, role_arn), names_children
        self._sequence, self._made = _FIRST_SEQUENCE, 0
        for number in range(shards):
            self._open_shard(_HASHES * number // shards, _HASHES * (number + 1) // shards, ())

    # --- what is done to it

    def put(self, key: str, data: bytes, *, arrived_s: float | None = None) -> str:
        """Put a record; its sequence number is returned."""
        shard = self._shard_of(key)
        self._sequence += 1
        number = str(self._sequence)
        at_s = self._wall_s() if arrived_s is None else arrived_s
        shard.records.append(
            {
                "SequenceNumber": number,
                "ApproximateArrivalTimestamp": at_s,
                "Data": b64encode(data).decode(),
                "PartitionKey": key,
            }
        )
        return number

    def split(self, shard_id: str) -> tuple[str, str]:
        """Close a shard, and open one for each half of its hashes: their ids."""
        shard = self.shards[shard_id]
        middle = (shard.first_hash + shard.end_hash) // 2
        lower = self._open_shard(shard.first_hash, middle, (shard_id,))
        upper = self._open_shard(middle, shard.end_hash, (shard_id,))
        self._close(shard, (lower, upper))
        return lower, upper

    def merge(self, shard_id: str, adjacent_id: str) -> str:
        """Close two shards whose hashes meet, and open one for both: its id."""
        first, second = sorted(
            (self.shards[shard_id], self.shards[adjacent_id]), key=lambda shard: shard.first_hash
        )
        if first.end_hash != second.first_hash:
            raise ValueError(f"{shard_id} and {adjacent_id} are not adjacent")
        child = self._open_shard(first.first_hash, second.end_hash, (shard_id, adjacent_id))
        self._close(first, (child,))
        self._close(second, (child,))
        return child

    def trim(self, shard_id: str, count: int) -> None:
        """Keep the oldest `count` records of a shard no longer."""
        self.shards[shard_id].trimmed += count

    def fail(self, kind: ReadFailure, reason: str = "scripted", times: int = 1) -> None:
        """Have the next `times` calls fail."""
        self.faults.extend(StreamError(kind, reason) for _ in range(times))

    def renew(self, shards: int = 1) -> None:
        """Another stream of the same name, empty: what was there is gone."""
        self.shards.clear()
        self.identity = str(int(self.identity) + 1)
        for number in range(shards):
            self._open_shard(_HASHES * number // shards, _HASHES * (number + 1) // shards, ())

    # --- what is asked of it

    async def is_there(self) -> bool:
        """As it is told."""
        self._check()
        return True

    async def list_shards(self) -> Sequence[ShardInfo]:
        """All shards."""
        self._check()
        self.listings += 1
        return [ShardInfo(one.shard_id, one.parents, one.ending_sequence) for one in self.shards.values()]

    async def cursor(self, shard_id: str, position: StreamPosition) -> Any:
        """Shard, place and time."""
        self._check()
        shard = self._found(shard_id)
        return shard_id, self._place(shard, position), self._wall_s()

    async def read(self, shard_id: str, cursor: Any, limit: int) -> StreamPage:
        """A page."""
        self._check()
        self.reads += 1
        _, place, made_s = cursor
        now_s = self._wall_s()
        if now_s - made_s >= self.iterator_life_s:
            raise StreamError(ReadFailure.EXPIRED, "the iterator is too old")
        shard = self._found(shard_id)
        if place < shard.trimmed:
            raise StreamError(ReadFailure.TRIMMED, "the position is no longer kept")
        found = shard.records[place : place + min(limit, READ_LIMIT)]
        place += len(found)
        is_end = shard.ending_sequence is not None and place >= len(shard.records)
        rest = shard.records[place : place + 1]
        return StreamPage(
            list(map(partial(record_of, f"{shard_id}:", self._rest), found)),
            None if is_end else (shard_id, place, now_s),
            self._children(shard) if is_end and self._names_children else (),
            max(0.001, now_s - rest[0]["ApproximateArrivalTimestamp"]) if rest else 0.0,
        )

    def close(self) -> None:
        """Nothing is held."""

    # ---

    def _check(self) -> None:
        if self.faults:
            raise self.faults.popleft()
        if self.is_gone:
            raise StreamError(ReadFailure.GONE, "Stream s under account 000000000000 not found.")

    def _found(self, shard_id: str) -> ScriptedShard:
        shard = self.shards.get(shard_id)
        if shard is None:
            raise StreamError(ReadFailure.GONE, f"Shard {shard_id} does not exist")
        return shard

    def _place(self, shard: ScriptedShard, position: StreamPosition) -> int:
        records = shard.records
        if position.type is PositionType.LATEST:
            return len(records)
        if position.type is PositionType.TRIM_HORIZON:
            return shard.trimmed
        if position.type is PositionType.AT_TIMESTAMP:
            since_s = position.timestamp_s or 0.0
            kept = (number for number, one in enumerate(records) if number >= shard.trimmed)
            later = (n for n in kept if records[n]["ApproximateArrivalTimestamp"] >= since_s)
            return next(later, len(records))
        wanted = int(position.sequence_number or 0) + (position.type is PositionType.AFTER_SEQUENCE_NUMBER)
        found = (n for n, one in enumerate(records) if int(one["SequenceNumber"]) >= wanted)
        return next(found, len(records))

    def _shard_of(self, key: str) -> ScriptedShard:
        """The open shard whose hashes have that of the key."""
        hashed = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest(), "big")
        return next(
            shard
            for shard in self.shards.values()
            if shard.ending_sequence is None and shard.first_hash <= hashed < shard.end_hash
        )

    def _open_shard(self, first_hash: int, end_hash: int, parents: tuple[str, ...]) -> str:
        shard_id = f"shardId-{self._made:012d}"
        self._made += 1
        self.shards[shard_id] = ScriptedShard(
            shard_id=shard_id, first_hash=first_hash, end_hash=end_hash, parents=parents, records=[]
        )
        return shard_id

    def _close(self, shard: ScriptedShard, children: tuple[str, ...]) -> None:
        self._sequence += 1
        shard.ending_sequence, shard.children = self._sequence, children

    def _children(self, shard: ScriptedShard) -> list[ShardInfo]:
        return [ShardInfo(one, self.shards[one].parents) for one in shard.children if one in self.shards]
