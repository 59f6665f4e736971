"""The stream of a DynamoDB table: what is asked of it, and its records as functions get them.

Other servers than AWS write some things differently; records are made what AWS's are (`normalised`).
Source: Amazon DynamoDB Streams API reference, "DescribeStream", "GetShardIterator", "GetRecords"; Lambda
Developer Guide, "Using AWS Lambda with Amazon DynamoDB"; recorded events and sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from engine.sources.streams.item_size import size_of_images
from engine.sources.streams.port import StreamError

TARGET: Final = "DynamoDBStreams_20120810"
CONTENT_TYPE: Final = "application/x-amz-json-1.0"
READ_LIMIT: Final = 1_000
_MOST_PAGES: Final = 1_000
_IMAGES: Final = ("NewImage", "OldImage")


class DynamodbClient:
    """Implements `StreamClient`.

    Attributes:
        arn, closed_shards_grow, outlives_engine, identity, retention_s: See `StreamClient`.
    """

    def __init__(
        self, endpoint: StreamEndpoint, table: str, arn: str, *, named: bool, drop_unchanged: bool
    ) -> None:
        """Nothing is asked yet.

        Args:
            endpoint: Where it is.
            table: The table's name.
            arn: Of the stream; of the table if `named`.
            named: The newest stream of the table is read.
            drop_unchanged: Leave out changes that leave an item as it was.
        """
        self._endpoint, self._table, self._named, self._drop = endpoint, table, named, drop_unchanged
        self.arn = arn
        self.closed_shards_grow = endpoint.is_moto
        self.outlives_engine = not endpoint.is_moto
        self.identity: str | None = None
        self.retention_s: float | None = None  # it cannot be changed
        self._identity: Any = None

    async def is_there(self) -> bool:
        """Whether the table has a stream of that ARN."""
        return any(arn == self.arn for _, arn in await self._streams())

    async def list_shards(self) -> Sequence[ShardInfo]:
        """All shards, all pages. GONE if it is another stream than before."""
        with self._endpoint.telling_lost():
            if self._named:
                await self._find_newest()
            self._endpoint.in_doubt = False
            shards = await self._list()
            self.identity = " ".join(map(str, self._identity))
            return shards

    async def _list(self) -> Sequence[ShardInfo]:
        found: list[ShardInfo] = []
        document: dict[str, Any] = {"StreamArn": self.arn}
        for _ in range(_MOST_PAGES):
            answer = await self._endpoint.call("DescribeStream", document)
            description = AnswerMembers("DescribeStream", answer).table("StreamDescription")
            self._identify(description)
            if description.get("StreamStatus") == _ENABLING:
                return []  # nothing can be in it yet
            found += AnswerMembers("DescribeStream", description).each("Shards", _shard)
            last = description.get("LastEvaluatedShardId")
            if not last:
                return found
            document["ExclusiveStartShardId"] = last
        raise StreamError(ReadFailure.ERROR, f"DescribeStream: more than {_MOST_PAGES} pages")

    async def cursor(self, shard_id: str, position: StreamPosition) -> Any:
        """A shard iterator."""
        document: dict[str, Any] = {
            "StreamArn": self.arn,
            "ShardId": shard_id,
            "ShardIteratorType": position.type.value,
        }
        if position.sequence_number is not None:
            document["SequenceNumber"] = position.sequence_number
        if position.type is PositionType.AT_TIMESTAMP:
            document["Timestamp"] = position.timestamp_s
        return await self._endpoint.iterator(document)

    async def read(self, shard_id: str, cursor: Any, limit: int) -> StreamPage:
        """GetRecords. After the server could not be reached, whether it is the same stream."""
        if self._endpoint.in_doubt:
            await self.list_shards()  # which tells it
        document = {"ShardIterator": cursor, "Limit": min(limit, READ_LIMIT)}
        answer = await self._endpoint.call("GetRecords", document)
        read = AnswerMembers("GetRecords", answer).each("Records", self._record)
        return StreamPage(
            [record for record in read if record is not None], answer.get("NextShardIterator") or None
        )

    def close(self) -> None:
        """Let go of connections."""
        self._endpoint.close()

    async def _find_newest(self) -> None:
        arns = await self._streams()
        if not arns:
            raise StreamError(ReadFailure.GONE, f"table {self._table} has no stream")
        self.arn = max(arns)[1]

    async def _streams(self) -> list[tuple[str, str]]:
        """Labels and ARNs of the table's streams."""
        answer = await self._endpoint.call("ListStreams", {"TableName": self._table})
        return AnswerMembers("ListStreams", answer).each("Streams", _label_and_arn)

    def _identify(self, description: dict[str, Any]) -> None:
        """Raise StreamError, GONE, if it is another stream than the one that was read."""
        identity = (description.get("StreamArn"), description.get("CreationRequestDateTime"))
        before, self._identity = self._identity, identity
        if before not in (None, identity):
            raise self._endpoint.lose(f"the stream of {self._table} is another one than before")

    def _record(self, record: dict[str, Any]) -> StreamRecord | None:
        """As functions get it; None for one that is left out."""
        change = record["dynamodb"]
        is_change = record["eventName"] == "MODIFY" and "NewImage" in change
        if is_change and self._drop and change["NewImage"] == change.get("OldImage"):
            return None
        made = normalised(record, self.arn, sized=self._endpoint.is_moto)
        payload = orjson.dumps(made)
        number, at_s = change["SequenceNumber"], made["dynamodb"]["ApproximateCreationDateTime"]
        key = orjson.dumps(change["Keys"], option=orjson.OPT_SORT_KEYS).decode()
        return StreamRecord(int(number), number, key, at_s, len(payload) + 1, payload)


def normalised(record: dict[str, Any], arn: str, *, sized: bool) -> dict[str, Any]:
    """A record of GetRecords as Lambda gives it to functions, its members in AWS's order.

    Args:
        record: As it was read.
        arn: Of the stream.
        sized: Compute `SizeBytes`, which moto has wrong.
    """
    change = record["dynamodb"]
    images = {name: change[name] for name in _IMAGES if name in change}
    size = size_of_images(change["Keys"], *images.values()) if sized else change["SizeBytes"]
    made = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": arn.split(":")[3],
        "dynamodb": {
            "ApproximateCreationDateTime": int(change["ApproximateCreationDateTime"]),
            "Keys": change["Keys"],
            **images,
            "SequenceNumber": change["SequenceNumber"],
            "SizeBytes": size,
            "StreamViewType": change["StreamViewType"],
        },
        "eventSourceARN": arn,
    }
    identity = record.get("userIdentity")
    if identity:
        del made["eventSourceARN"]
        made["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
        made["eventSourceARN"] = arn
    return made


def _shard(shard: dict[str, Any]) -> ShardInfo:
    ending, parent = shard["SequenceNumberRange"].get("EndingSequenceNumber"), shard.get("ParentShardId")
    return ShardInfo(
        shard["ShardId"], (parent,) if parent else (), int(ending) if ending is not None else None
    )


def _label_and_arn(stream: dict[str, Any]) -> tuple[str, str]:
    arn: str = stream["StreamArn"]
    if arn.count(":") < _COLONS:
        raise ValueError
    return stream["StreamLabel"], arn


_COLONS: Final = 5
_ENABLING: Final = "ENABLING"
