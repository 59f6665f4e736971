"""Records of a stream, its shards, and what a read of one brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple


class StreamRecord(NamedTuple):
    """One record.

    Attributes:
        sequence: Its sequence number; they are compared as integers, never as text.
        sequence_number: The same as the source wrote it.
        key: What its order is kept by: the partition key, or the item's key in any form that is equal for
            equal items.
        arrived_s: When the stream took it, seconds since the epoch.
        size_bytes: What it adds to the event, in bytes of JSON.
        payload: The driver's own; not looked at.
    """

    sequence: int
    sequence_number: str
    key: str
    arrived_s: float
    size_bytes: int
    payload: Any


class PositionType(StrEnum):
    """Where a read begins: the words of GetShardIterator."""

    TRIM_HORIZON = "TRIM_HORIZON"
    LATEST = "LATEST"
    AT_TIMESTAMP = "AT_TIMESTAMP"
    AT_SEQUENCE_NUMBER = "AT_SEQUENCE_NUMBER"
    AFTER_SEQUENCE_NUMBER = "AFTER_SEQUENCE_NUMBER"


class StreamPosition(NamedTuple):
    """Where a read begins.

    Attributes:
        type: `ShardIteratorType`.
        sequence_number: With AT_ and AFTER_SEQUENCE_NUMBER.
        timestamp_s: With AT_TIMESTAMP, seconds since the epoch.
    """

    type: PositionType
    sequence_number: str | None = None
    timestamp_s: float | None = None


TRIM_HORIZON: Final = StreamPosition(PositionType.TRIM_HORIZON)
LATEST: Final = StreamPosition(PositionType.LATEST)


class ShardInfo(NamedTuple):
    """A shard as it is listed.

    Attributes:
        shard_id: Its id.
        parents: ParentShardId and AdjacentParentShardId, those that it has.
        ending_sequence: EndingSequenceNumber; None = open, or (a child named by a read) not known.
    """

    shard_id: str
    parents: tuple[str, ...] = ()
    ending_sequence: int | None = None


class StreamPage(NamedTuple):
    """What a read brought.

    Attributes:
        records: In the order of the shard.
        cursor: What the next read goes on from (`NextShardIterator`); None = the shard is closed and this
            was its end.
        children: `ChildShards`, if the source names them.
        behind_s: `MillisBehindLatest` in seconds: 0 = this was the newest. None = the source does not say.
    """

    records: Sequence[StreamRecord]
    cursor: Any
    children: Sequence[ShardInfo] = ()
    behind_s: float | None = None


class ReadFailure(StrEnum):
    """Why a read or a listing failed.

    EXPIRED: the iterator is too old (ExpiredIteratorException). TRIMMED: the position is no longer kept
    (TrimmedDataAccessException). GONE: no such stream or shard (ResourceNotFoundException). ERROR: anything
    else, throttles too: it is tried again.
    """

    EXPIRED = "expired"
    TRIMMED = "trimmed"
    GONE = "gone"
    ERROR = "error"


class ShardCheckpoint(NamedTuple):
    """How far a mapping is in one shard: what is before `position` is done with.

    Attributes:
        shard_id: The shard.
        position: From where it has to be read. Not used if `finished`.
        finished: It was read to its end, and all of it is done with.
        subshards: For each sub-shard (see `subshard.py`) the highest sequence number up to which all of its
            records are done with; () = not known.
        others: The same of sub-shards of other numbers, that the shard had before; only what is not behind.
        window: Of the tumbling window that is open its start, in seconds, and its state; None = none is.
    """

    shard_id: str
    position: StreamPosition
    finished: bool = False
    subshards: tuple[int, ...] = ()
    window: tuple[int, str] | None = None
    others: tuple[tuple[int, ...], ...] = ()


def checkpoint_document(checkpoint: ShardCheckpoint) -> dict[str, Any]:
    """The checkpoint as a JSON object, from which `checkpoint_of` makes an equal one."""
    position = {key: value for key, value in checkpoint.position._asdict().items() if value is not None}
    document: dict[str, Any] = {"shard_id": checkpoint.shard_id, "position": position}
    if checkpoint.finished:
        document["finished"] = True
    if checkpoint.subshards:
        document["subshards"] = list(map(str, checkpoint.subshards))  # longer than numbers of JSON may be
    if checkpoint.others:
        document["others"] = [list(map(str, each)) for each in checkpoint.others]
    if checkpoint.window:
        document["window"] = list(checkpoint.window)
    return document


def checkpoint_of(document: Mapping[str, Any]) -> ShardCheckpoint:
    """The checkpoint that `checkpoint_document` wrote."""
    position = dict(document["position"])
    return ShardCheckpoint(
        document["shard_id"],
        StreamPosition(PositionType(position.pop("type")), **position),
        document.get("finished", False),
        tuple(map(int, document.get("subshards", ()))),
        tuple(document["window"]) if "window" in document else None,
        tuple(tuple(map(int, each)) for each in document.get("others", ())),
    )
