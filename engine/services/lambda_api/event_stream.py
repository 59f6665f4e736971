"""The frames of InvokeWithResponseStream: chunks of the payload, and the completion.

Source: Amazon event stream encoding (Smithy specification); Lambda API reference, InvokeWithResponseStream.
Not confirmed by a primary source: that a failure sends its error in the completion alone, also before the
first byte, and that its code is `Unhandled`, whatever the error.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

import orjson

from engine.core.outcome import Outcome
from engine.core.response_stream import PIECE_BYTES

CONTENT_TYPE = "application/vnd.amazon.eventstream"


def stream_of(outcome: Outcome, log_result: str | None) -> bytes:
    """All frames of an outcome that was not streamed. A failure has no chunk: it is the completion."""
    if not outcome.ok:
        return failed(outcome.body, log_result)
    body = outcome.body
    chunks = [chunk(body[at : at + PIECE_BYTES]) for at in range(0, len(body), PIECE_BYTES)]
    return b"".join([*chunks, complete(log_result)])


def chunk(data: bytes) -> bytes:
    """A piece of the payload: 106 bytes more than it."""
    return frame("PayloadChunk", "application/octet-stream", data)


def complete(log_result: str | None) -> bytes:
    """The end of an invocation that succeeded."""
    return _completion({}, log_result)


def failed(error: bytes, log_result: str | None = None) -> bytes:
    """The end of an invocation that failed with that error document: at its start, or within the stream."""
    details = error.decode("utf-8", "replace")
    return _completion({"ErrorCode": "Unhandled", "ErrorDetails": details}, log_result)


def frame(event_type: str, content_type: str, payload: bytes) -> bytes:
    """One message: lengths, their checksum, headers, payload, checksum of it all."""
    headers = _headers({":event-type": event_type, ":content-type": content_type, ":message-type": "event"})
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = b"".join((prelude, struct.pack(">I", crc32(prelude)), headers, payload))
    return message + struct.pack(">I", crc32(message))


def _completion(document: dict[str, str], log_result: str | None) -> bytes:
    if log_result is not None:
        document["LogResult"] = log_result
    return frame("InvokeComplete", "application/json", orjson.dumps(document))


def _headers(values: Mapping[str, str]) -> bytes:
    """Name length (1 byte), name, type 7 (string), value length (2 bytes), value."""
    return b"".join(
        struct.pack(f">B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
        for name, value in values.items()
    )
