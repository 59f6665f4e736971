"""The record that an on-failure destination gets of what a mapping on a stream gave up, as AWS writes it.

Source: Lambda Developer Guide, "Retain discarded batches for a Kinesis Data Streams event source"; records of
SQS, SNS and S3 destinations, recorded 2025-11-25.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from engine.core.streams.commands import DiscardCondition, DiscardedBatch

StreamKind = Literal["kinesis", "dynamodb"]

_DAY_S: Final = 86_400
_BATCH_INFO: Final = {"kinesis": "KinesisBatchInfo", "dynamodb": "DDBStreamBatchInfo"}


def iso_time(at_s: float, *, milliseconds: bool = False) -> str:
    """Seconds since the epoch (0 or later) as `2026-01-01T00:38:04Z`, or with milliseconds; rounded down."""
    total_ms = int(at_s * 1000 + 1e-4)  # 4.835 s are 4834.999... ms
    days, rest_ms = divmod(total_ms, _DAY_S * 1000)
    seconds, fraction_ms = divmod(rest_ms, 1000)
    # Days to a date of the Gregorian calendar, whose years begin in March here.
    era, day = divmod(days + 719_468, 146_097)
    year_of_era = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year_of_era + year_of_era // 4 - year_of_era // 100
    month = (5 * day + 2) // 153
    day_of_month = day - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = era * 400 + year_of_era + (month <= 2)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    fraction = f".{fraction_ms:03d}" if milliseconds else ""
    return f"{year:04d}-{month:02d}-{day_of_month:02d}T{clock}{fraction}Z"


def destination_document(
    discarded: DiscardedBatch, kind: StreamKind, *, stream_arn: str, function_arn: str, request_id: str
) -> dict[str, Any]:
    """The record as a JSON object, its members in the order in which they are delivered.

    Args:
        discarded: What was given up.
        kind: Of the stream: names the batch's member, and how exact its times are.
        stream_arn: Of the stream.
        function_arn: As the mapping names the function.
        request_id: Shown if the function was never invoked with it: AWS's choice is (unverified).
    """
    first, last = discarded.records[0], discarded.records[-1]
    exact = kind == "kinesis"
    document: dict[str, Any] = {
        "requestContext": {
            "requestId": discarded.request_id or request_id,
            "functionArn": function_arn,
            "condition": discarded.condition.value,
            "approximateInvokeCount": discarded.invoke_count,
        }
    }
    if discarded.condition is DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED:
        document["responseContext"] = {
            "statusCode": 200,
            "executedVersion": discarded.version,
            "functionError": "Unhandled" if discarded.failed_by_error else None,
        }
    document["version"] = "1.0"
    document["timestamp"] = iso_time(discarded.at_s, milliseconds=True)
    document[_BATCH_INFO[kind]] = {
        "shardId": discarded.shard_id,
        "startSequenceNumber": first.sequence_number,
        "endSequenceNumber": last.sequence_number,
        "approximateArrivalOfFirstRecord": iso_time(first.arrived_s, milliseconds=exact),
        "approximateArrivalOfLastRecord": iso_time(last.arrived_s, milliseconds=exact),
        "batchSize": len(discarded.records),
        "streamArn": stream_arn,
    }
    return document


def destination_record(document: dict[str, Any]) -> str:
    """The record as SQS and SNS destinations get it."""
    return json.dumps(document, separators=(",", ":"))


def bucket_record(document: dict[str, Any], event: str) -> str:
    """The record as a bucket gets it: with the event. That it stands there as text is (unverified)."""
    return json.dumps(document | {"payload": event}, separators=(",", ":"))


def bucket_key(document: dict[str, Any], kind: StreamKind, *, mapping_id: str, object_id: str) -> str:
    """Key of that object. `object_id`: a UUID."""
    at = document["timestamp"]
    shard_id = document[_BATCH_INFO[kind]]["shardId"]
    second = at[:19].replace(":", ".")
    return f"aws/lambda/{mapping_id}/{shard_id}/{at[:10].replace('-', '/')}/{second}-{object_id}"
