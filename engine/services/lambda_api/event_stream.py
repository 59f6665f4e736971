"""The frames of InvokeWithResponseStream: a buffered result is one chunk and its completion.

Source: Amazon event stream encoding (Smithy specification); Lambda API reference, InvokeWithResponseStream.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

import orjson

from engine.core.outcome import Outcome

CONTENT_TYPE = "application/vnd.amazon.eventstream"


def stream_of(outcome: Outcome, log_result: str | None) -> bytes:
    """All frames of `outcome`. A failure has no chunk: it stands in the completion.

    That a failed invocation sends its error there alone is not confirmed by a primary source.
    """
    complete: dict[str, str] = {}
    frames = b""
    if outcome.ok:
        if outcome.body:
            frames = frame("PayloadChunk", "application/octet-stream", outcome.body)
    else:
        complete["ErrorCode"] = "Unhandled"
        complete["ErrorDetails"] = outcome.body.decode("utf-8", "replace")
    if log_result is not None:
        complete["LogResult"] = log_result
    return frames + frame("InvokeComplete", "application/json", orjson.dumps(complete))


def frame(event_type: str, content_type: str, payload: bytes) -> bytes:
    """One message: lengths, their checksum, headers, payload, checksum of it all."""
    headers = _headers({":message-type": "event", ":event-type": event_type, ":content-type": content_type})
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = b"".join((prelude, struct.pack(">I", crc32(prelude)), headers, payload))
    return message + struct.pack(">I", crc32(message))


def _headers(values: Mapping[str, str]) -> bytes:
    """Name length (1 byte), name, type 7 (string), value length (2 bytes), value."""
    return b"".join(
        struct.pack(f">B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
        for name, value in values.items()
    )
