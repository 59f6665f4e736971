"""The frames of InvokeWithResponseStream: chunks of the payload, and the completion.

Source: Amazon event stream encoding (Smithy specification); Lambda API reference, InvokeWithResponseStream.
Not confirmed by a primary source: that a failure sends its error in the completion alone, also before the
first byte, and that its code is `Unhandled`, whatever the error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final
from zlib import crc32

import orjson

from engine.core.outcome import Outcome
from engine.core.response_stream import PIECE_BYTES

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
CHUNK: Final = "PayloadChunk"
COMPLETE: Final = "InvokeComplete"

_PRELUDE: Final = struct.Struct(">III")
"""Bytes of the message, bytes of its headers, checksum of both."""
_STRING: Final = b"\x07"


def stream_of(outcome: Outcome, log_result: str | None) -> bytes:
    """All frames of an outcome that was not streamed. A failure has no chunk: it is the completion."""
    if not outcome.ok:
        return failed(outcome.body, log_result)
    body = outcome.body
    chunks = [chunk(body[at : at + PIECE_BYTES]) for at in range(0, len(body), PIECE_BYTES)]
    return b"".join([*chunks, complete(log_result)])


def chunk(data: bytes) -> bytes:
    """A piece of the payload: 106 bytes more than it."""
    return frame(CHUNK, "application/octet-stream", data)


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


class EventStreamReader:
    """Reads frames from an answer that comes in pieces of any size."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[str, bytes]]:
        """The event type and the payload of each frame that is whole now. ValueError for what is no frame."""
        self._data += piece
        while len(self._data) >= _PRELUDE.size:
            size, header_bytes, checksum = _PRELUDE.unpack_from(self._data)
            if crc32(self._data[:8]) != checksum:
                raise ValueError("not an event stream")
            if len(self._data) < size:
                return
            message = bytes(self._data[:size])
            del self._data[:size]
            if crc32(message[:-4]) != int.from_bytes(message[-4:]):
                raise ValueError("a frame of the event stream is damaged")
            start = _PRELUDE.size + header_bytes
            yield _event_type(message[_PRELUDE.size : start]), message[start:-4]


def _event_type(headers: bytes) -> str:
    """Of the header `:event-type`; empty if there is none, as in a frame that is no event."""
    at = 0
    while at < len(headers):
        name_end = at + 1 + headers[at]
        if headers[name_end : name_end + 1] != _STRING:
            raise ValueError("a header of the event stream is no string")
        value_at = name_end + 3
        value_end = value_at + int.from_bytes(headers[name_end + 1 : value_at])
        if headers[at + 1 : name_end] == b":event-type":
            return headers[value_at:value_end].decode()
        at = value_end
    return ""


def _completion(document: dict[str, str], log_result: str | None) -> bytes:
    if log_result is not None:
        document["LogResult"] = log_result
    return frame(COMPLETE, "application/json", orjson.dumps(document))


def _headers(values: Mapping[str, str]) -> bytes:
    """Name length (1 byte), name, type 7 (string), value length (2 bytes), value."""
    return b"".join(
        struct.pack(f">B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
        for name, value in values.items()
    )
