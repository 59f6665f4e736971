"""The event of a batch: its records, and with a tumbling window what the function has to know of it.

Source: Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams", "Tumbling
windows"; recorded events.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from engine.core.streams.commands import StreamBatch, TumblingWindow


def event_of(batch: StreamBatch, arn: str) -> bytes:
    """The event as JSON text; `arn` is the stream's. The payload of each record is JSON text."""
    records = b'{"Records":[%b]' % b",".join([record.payload for record in batch.records])
    window = batch.window
    return records + b"}" if window is None else records + _of_window(batch.shard_id, window, arn)


def _of_window(shard_id: str, window: TumblingWindow, arn: str) -> bytes:
    """The members that follow the records, and the end of the object."""
    span = orjson.dumps({"start": _second(window.start_s), "end": _second(window.end_s)})
    rest = orjson.dumps(
        {
            "shardId": shard_id,
            "eventSourceARN": arn,
            "isFinalInvokeForWindow": window.is_final,
            "isWindowTerminatedEarly": window.is_terminated_early,
        }
    )
    return b',"window":%b,"state":%b,%b' % (span, window.state.encode(), rest[1:])


def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
