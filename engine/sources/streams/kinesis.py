"""A Kinesis data stream: what is asked of it, and its records as functions get them.

Source: Amazon Kinesis Data Streams API reference, "ListShards", "GetShardIterator", "GetRecords"; Lambda
Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams"; recorded events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import orjson

from engine.core.streams.records import (
    PositionType,
    ReadFailure,
    ShardInfo,
    StreamPage,
    StreamPosition,
    StreamRecord,
)
from engine.sources.streams.endpoint import AnswerMembers, StreamEndpoint
from engine.sources.streams.port import StreamError

TARGET: Final = "Kinesis_20131202"
CONTENT_TYPE: Final = "application/x-amz-json-1.1"
READ_LIMIT: Final = 10_000
_MOST_PAGES: Final = 1_000
_COLONS: Final = 5
_CREATING: Final = "CREATING"


class KinesisClient:
    """Implements `StreamClient`.

    Attributes:
        arn, closed_shards_grow, outlives_engine, identity, retention_s: See `StreamClient`.
    """

    def __init__(
        self, endpoint: StreamEndpoint, stream: str, arn: str, role_arn: Callable[[], str], *, named: bool
    ) -> None:
        """Nothing is asked yet.

        Args:
            endpoint: Where it is.
            stream: Its name.
            arn: As events name it: of the stream, or of the consumer that the mapping names.
            role_arn: Returns that of the function, `invokeIdentityArn` of each record.
            named: The mapping names it by no ARN: the server says what that is.
        """
        self._endpoint, self._stream, self._named, self._role_arn = endpoint, stream, named, role_arn
        self.arn = arn
        self.closed_shards_grow = endpoint.is_moto
        self.outlives_engine = not endpoint.is_moto
        self.identity: str | None = None
        self.retention_s: float | None = None
        self._made_at: Any = None

    async def is_there(self) -> bool:
        """Whether the server has a stream of that ARN, and the consumer.

        Servers differ in the time at the end of a consumer's ARN, and moto leaves it out: its name decides.
        """
        stream_arn, _, consumer = self.arn.partition("/consumer/")
        answer = await self._endpoint.call("DescribeStreamSummary", {"StreamName": self._stream})
        summary = AnswerMembers("DescribeStreamSummary", answer).table("StreamDescriptionSummary")
        if summary.get("StreamARN", stream_arn) != stream_arn:
            return False
        if consumer:
            named = {"StreamARN": stream_arn, "ConsumerName": consumer.partition(":")[0]}
            await self._endpoint.call("DescribeStreamConsumer", named)
        return True

    async def list_shards(self) -> Sequence[ShardInfo]:
        """All shards, all pages; none while it is being created. GONE if it is another stream than before."""
        with self._endpoint.telling_lost():
            is_there = await self._identify() != _CREATING
            made_at, shards = self._made_at, await self._list() if is_there else ()
            self.identity = None if made_at is None else str(made_at)
            return shards

    async def _list(self) -> Sequence[ShardInfo]:
        found: list[ShardInfo] = []
        document: dict[str, Any] = {"StreamName": self._stream}
        for _ in range(_MOST_PAGES):
            answer = await self._endpoint.call("ListShards", document)
            found += AnswerMembers("ListShards", answer).each("Shards", _shard)
            token = answer.get("NextToken")
            if not token:
                return found
            document = {"NextToken": token}
        raise StreamError(ReadFailure.ERROR, f"ListShards: more than {_MOST_PAGES} pages")

    async def cursor(self, shard_id: str, position: StreamPosition) -> Any:
        """A shard iterator."""
        document: dict[str, Any] = {
            "StreamName": self._stream,
            "ShardId": shard_id,
            "ShardIteratorType": position.type.value,
        }
        if position.sequence_number is not None:
            document["StartingSequenceNumber"] = position.sequence_number
        if position.type is PositionType.AT_TIMESTAMP:
            document["Timestamp"] = position.timestamp_s
        return await self._endpoint.iterator(document)

    async def read(self, shard_id: str, cursor: Any, limit: int) -> StreamPage:
        """GetRecords. After the server could not be reached, whether it is the same stream."""
        if self._endpoint.in_doubt:
            await self._identify()
        document = {"ShardIterator": cursor, "Limit": min(limit, READ_LIMIT)}
        answer = await self._endpoint.call("GetRecords", document)
        careful = AnswerMembers("GetRecords", answer)
        rest = members_of_all(self.arn, self._role_arn())
        behind_ms = answer.get("MillisBehindLatest")
        return StreamPage(
            careful.each("Records", partial(record_of, f"{shard_id}:", rest)),
            answer.get("NextShardIterator") or None,
            careful.each("ChildShards", _child) if answer.get("ChildShards") else (),
            behind_ms / 1000 if isinstance(behind_ms, int | float) else None,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._endpoint.close()

    async def _identify(self) -> Any:
        """Its status. Raises StreamError, GONE, if the stream of this name is not the one that was read."""
        endpoint = self._endpoint
        answer = await endpoint.call("DescribeStreamSummary", {"StreamName": self._stream})
        endpoint.in_doubt = False
        summary = AnswerMembers("DescribeStreamSummary", answer).table("StreamDescriptionSummary")
        made_at, arn = summary.get("StreamCreationTimestamp"), summary.get("StreamARN")
        hours = summary.get("RetentionPeriodHours")
        self.retention_s = hours * 3600.0 if isinstance(hours, int) and hours > 0 else None
        if self._named and isinstance(arn, str) and arn.count(":") >= _COLONS:
            self.arn = arn
        before, self._made_at = self._made_at, made_at
        if before not in (None, made_at):
            raise endpoint.lose(f"{self._stream} was deleted, and made anew")
        return summary.get("StreamStatus")


def _shard(shard: dict[str, Any]) -> ShardInfo:
    ending = shard["SequenceNumberRange"].get("EndingSequenceNumber")
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return ShardInfo(
        shard["ShardId"], tuple(filter(None, parents)), int(ending) if ending is not None else None
    )


def _child(shard: dict[str, Any]) -> ShardInfo:
    return ShardInfo(shard["ShardId"], tuple(shard["ParentShards"]))


def members_of_all(arn: str, role_arn: str) -> dict[str, str]:
    """The last members of every record of a stream."""
    return {
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role_arn,
        "awsRegion": arn.split(":")[3],
        "eventSourceARN": arn,
    }


def record_of(prefix: str, rest: dict[str, str], record: dict[str, Any]) -> StreamRecord:
    """A record as functions get it.

    Args:
        prefix: Of its `eventID`: the shard's id, and a colon.
        rest: `members_of_all`.
        record: As GetRecords has it.
    """
    number, key = record["SequenceNumber"], record["PartitionKey"]
    arrived_s = round(float(record["ApproximateArrivalTimestamp"]), 3)
    payload = orjson.dumps(
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": key,
                "sequenceNumber": number,
                "data": record["Data"],
                "approximateArrivalTimestamp": arrived_s,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": prefix + number,
            **rest,
        }
    )
    return StreamRecord(int(number), number, key, arrived_s, len(payload) + 1, payload)
