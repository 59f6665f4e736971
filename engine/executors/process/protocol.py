"""The protocol between the engine, its zygotes and the environments: frames and messages.

An environment's socket is a stream of frames, each with its length before it. A zygote's is a sequence of
messages (`SOCK_SEQPACKET`), with descriptors beside them. All of it stays on one machine: native sizes,
little endian, and deadlines on CLOCK_MONOTONIC, which processes share.
"""

from __future__ import annotations

import _socket
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

# ---------------------------------------------------------------- environment: engine -> child

_REQUEST: Final = Struct("<IIdIIII")
_REQUEST_HEAD: Final = _REQUEST.size
_SIZE: Final = Struct("<I")
_NUMBER_AND_DEADLINE: Final = Struct("<Id")
_AFTER_DEADLINE: Final = 4 + _NUMBER_AND_DEADLINE.size
_new_tuple: Final = tuple.__new__
_USUAL_BYTES: Final = 16_384


class RequestFrame(NamedTuple):
    """One invocation, as it is sent to a child. Absent texts are None."""

    number: int
    deadline_s: float
    request_id: str
    qualifier: str | None
    trace_id: str | None
    client_context: str | None
    payload: bytes


RequestFields = tuple[int, float, str, "str | None", "str | None", "str | None", bytes]
"""What a `RequestFrame` is, without its names."""


def pack_request(
    number: int,
    deadline_s: float,
    request_id: str,
    qualifier: str | None,
    trace_id: str | None,
    client_context: str | None,
    payload_size: int,
) -> bytes:
    """The head of a request; the payload follows it, untouched."""
    name = request_id.encode()
    if qualifier is None and trace_id is None and client_context is None:
        size = _REQUEST_HEAD - 4 + len(name) + payload_size
        return _REQUEST.pack(size, number, deadline_s, len(name), 0, 0, 0) + name
    version, trace, client = (_bytes(text) for text in (qualifier, trace_id, client_context))
    texts = name + version + trace + client
    size = _REQUEST_HEAD - 4 + len(texts) + payload_size
    sizes = len(name), len(version), len(trace), len(client)
    return _REQUEST.pack(size, number, deadline_s, *sizes) + texts


def repack_request(frame: bytes, number: int, deadline_s: float) -> bytes:
    """The request that `frame` is, with another number and deadline."""
    return frame[:4] + _NUMBER_AND_DEADLINE.pack(number, deadline_s) + frame[_AFTER_DEADLINE:]


def pack_grant(number: int, size: int) -> bytes:
    """A frame in the form of a request, with no request id: a stream may send `size` bytes more.

    Only environments of functions that stream are sent it: see `child/streamed_calls.py`.
    """
    return _REQUEST.pack(_REQUEST_HEAD - 4, number, float(size), 0, 0, 0, 0)


def number_and_deadline(frame: bytes) -> tuple[int, float]:
    """Those of the request that `frame` is."""
    found: tuple[int, float] = _NUMBER_AND_DEADLINE.unpack_from(frame, 4)
    return found


def _bytes(text: str | None) -> bytes:
    return b"" if text is None else text.encode("utf-8", "surrogateescape")


def unpack_request(frame: bytes) -> RequestFrame:
    """The request that `frame` is, its size included."""
    _, number, deadline_s, name, version, trace, client = _REQUEST.unpack_from(frame)
    at = _REQUEST_HEAD + name
    request_id = frame[_REQUEST_HEAD:at].decode()
    if not (version or trace or client):
        fields = number, deadline_s, request_id, None, None, None, frame[at:]
        return _new_tuple(RequestFrame, fields)  # what Request(...) does, in a third of its time
    ends = at + version, at + version + trace, at + version + trace + client
    texts = (_text(frame[start:end]) for start, end in zip((at, *ends), ends))
    return RequestFrame(
        number, deadline_s, request_id, next(texts), next(texts), next(texts), frame[ends[-1] :]
    )


def _text(part: bytes) -> str | None:
    return part.decode("utf-8", "surrogateescape") if part else None


class FrameReader:
    """Reads requests from a socket: `next` blocks for one, `parse` takes data that was received."""

    def __init__(self, connection: _socket.socket) -> None:
        self._connection = connection
        self._partial = bytearray()

    def next(self) -> RequestFields | None:
        """Block until the next request; None at the end of the stream. Requests must come one at a time.

        What is usual, one read that has no texts but its id, is taken apart here in one step.
        """
        data = self._connection.recv(_USUAL_BYTES)  # a larger buffer would be mapped and unmapped each time
        if len(data) < _REQUEST_HEAD:
            return self._long(data) if data else None
        size, number, deadline_s, name, version, trace, client = _REQUEST.unpack_from(data)
        if size + 4 != len(data):
            return self._long(data)
        if version or trace or client:
            return unpack_request(data)
        at = _REQUEST_HEAD + name
        return number, deadline_s, data[_REQUEST_HEAD:at].decode(), None, None, None, data[at:]

    def _long(self, data: bytes) -> RequestFrame | None:
        while len(data) < 4:
            more = self._connection.recv(_USUAL_BYTES)
            if not more:
                return None
            data += more
        whole = bytearray(_SIZE.unpack_from(data)[0] + 4)
        whole[: len(data)] = data
        at = len(data)
        with memoryview(whole) as view:
            while at < len(whole):
                size = self._connection.recv_into(view[at:])
                if not size:
                    return None
                at += size
        return unpack_request(bytes(whole))

    def parse(self, data: bytes) -> Iterator[RequestFrame]:
        """The requests that `data` completes."""
        partial = self._partial
        partial += data
        while len(partial) >= 4 and len(partial) >= (size := _SIZE.unpack_from(partial)[0] + 4):
            frame = bytes(memoryview(partial)[:size])
            del partial[:size]
            yield unpack_request(frame)


# ---------------------------------------------------------------- environment: child -> engine

SUCCESS: Final = 1
RAW: Final = 2
ERROR: Final = 3
READY: Final = 4  # with the name of its log stream
FAILED: Final = 5
OUTPUT: Final = 6  # text of one invocation, where several run at once
IMPORTED: Final = 8  # names of modules from outside the code folder, as a JSON list
EXITS: Final = 7  # the invocation that ends the process
STREAM: Final = 9  # the invocation's response is streamed, with its content type
PIECE: Final = 10  # of it
PRINTED: Final = 0x80  # a flag: there is output in the pipe that belongs to what ends here

_REPLY: Final = Struct("<IBIId")
REPLY_HEAD: Final = _REPLY.size


class ReplyFrame(NamedTuple):
    """One reply of a child: `kind` is one of the above, `number` the invocation's."""

    kind: int
    number: int
    peak_kb: int
    init_s: float
    body: bytes


def pack_reply(kind: int, number: int, peak_kb: int, init_s: float, body_size: int) -> bytes:
    """The head of a reply; the body follows it."""
    return _REPLY.pack(REPLY_HEAD - 4 + body_size, kind, number, peak_kb, init_s)


def whole_reply(data: bytes) -> tuple[int, int, int, int, float] | None:
    """Size, kind, number, peak and init of the reply that `data` is exactly one of; None if it is not."""
    if len(data) < REPLY_HEAD:
        return None
    head: tuple[int, int, int, int, float] = _REPLY.unpack_from(data)
    return head if head[0] + 4 == len(data) else None


def cut_replies(partial: bytearray) -> Iterator[ReplyFrame]:
    """Remove the complete replies from the front of `partial`, and yield them."""
    while len(partial) >= REPLY_HEAD:
        size, kind, number, peak_kb, init_s = _REPLY.unpack_from(partial)
        if len(partial) < size + 4:
            return
        body = bytes(memoryview(partial)[REPLY_HEAD : size + 4])
        del partial[: size + 4]
        yield ReplyFrame(kind, number, peak_kb, init_s, body)


# ---------------------------------------------------------------- zygote

SPAWN: Final = 1  # engine: fork an environment; zygote: here it is (pid; socket, output and pidfd beside)
TEMPLATE: Final = 2  # the same for a template; its socket is one like a zygote's
FORGET: Final = 3  # engine: the environment's /tmp is needed no more
UP: Final = 4  # zygote or template: ready to fork
DOWN: Final = 5  # the same: cannot (body: why; value: errno, if it was the system's)
EXITED: Final = 6  # zygote: an environment is gone (value: exit status, negative for a signal)
OUT_OF_MEMORY: Final = 7  # zygote: the kernel killed it at its memory limit
KILL: Final = 8  # engine: kill the environment; the engine could not open its pidfd

_MESSAGE: Final = Struct("<BIi")
_DESCRIPTOR: Final = Struct("i")
_DESCRIPTORS: Final = Struct("3i")
_SOL_SOCKET: Final = int(socket.SOL_SOCKET)
_SCM_RIGHTS: Final = int(socket.SCM_RIGHTS)
_BESIDE_BYTES: Final = socket.CMSG_SPACE(_DESCRIPTORS.size)
MESSAGE_BYTES: Final = 131_072


class ControlMessage(NamedTuple):
    """One message between the engine and a zygote; `descriptors` came beside it."""

    kind: int
    token: int
    value: int
    body: bytes
    descriptors: list[int]


def pack_message(kind: int, token: int = 0, value: int = 0, body: bytes = b"") -> bytes:
    """`token` is the environment's, unique for the zygote; what `value` is depends on `kind`."""
    return _MESSAGE.pack(kind, token, value) + body


def receive_message(connection: socket.socket) -> ControlMessage | None:
    """The next message; None when the other side is gone. Raises BlockingIOError as `recv` does."""
    data, beside, _, _ = connection.recvmsg(MESSAGE_BYTES, _BESIDE_BYTES)
    if len(data) < _MESSAGE.size:
        return None
    descriptors = []
    for _, _, packed in beside:  # fewer than were sent if this process may not have more
        descriptors += [number for (number,) in _DESCRIPTOR.iter_unpack(packed)]
    kind, token, value = _MESSAGE.unpack_from(data)
    return ControlMessage(kind, token, value, data[_MESSAGE.size :], descriptors)


def send_with_descriptors(
    connection: socket.socket, message: bytes, descriptors: tuple[int, int, int]
) -> None:
    """Send `message` with `descriptors` beside it: `socket.send_fds`, in a few operations."""
    beside = [(_SOL_SOCKET, _SCM_RIGHTS, _DESCRIPTORS.pack(*descriptors))]
    connection.sendmsg([message], beside)


# ---------------------------------------------------------------- both sides

NICE: Final = 5
"""Niceness of environments: handlers that compute must not delay the engine and its zygotes."""

NOT_PRELOADABLE: Final = "Engine.NotPreloadable"
"""Error type of a zygote that ends because of what it imported; the message is a `PreloadRefusal` as JSON."""


class PreloadRefusal(NamedTuple):
    """A module that cannot be imported beforehand: why, and the modules that its import brought."""

    module: str
    why: str
    came: list[str]
