"""The request as a function may see it: header spelling, the headers a front door adds, text or base64."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from random import getrandbits
from typing import Final

from engine.core.trace_context import ROOT_BITS, adopted_header, new_root
from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.server import Request
from engine.sources.http.timestamps import Timestamp, new_trace_id

LEFT_OUT: Final = ""
"""The spelling of headers the function does not get; remove this key when the headers are read."""

REPLACED: Final = frozenset({b"x-forwarded-port", b"x-forwarded-proto", b"x-amzn-trace-id"})
"""Headers every front door sets itself, whatever the client says."""

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers about the client's connection, which ends at the front door."""
NOT_SHOWN: Final = HOP_BY_HOP | REPLACED
"""What events of an API or a URL do not have from the request."""

_MAX_NAMES: Final = 1024
_MAX_NAME_BYTES: Final = 64


class HeaderNames(dict[bytes, str]):
    """Header name as sent to its spelling in the event; bounded, so a client cannot make it grow."""

    def __init__(self, spell: Callable[[bytes], str], left_out: frozenset[bytes]) -> None:
        super().__init__()
        self._spell = spell
        self._left_out = left_out

    def __missing__(self, name: bytes) -> str:
        spelling = LEFT_OUT if name.lower() in self._left_out else self._spell(name)
        if len(self) < _MAX_NAMES and len(name) <= _MAX_NAME_BYTES:
            self[name] = spelling
        return spelling


def lower_case(name: bytes) -> str:
    """How payload 2.0 and load balancers spell a header."""
    return name.decode("latin-1").lower()


class Tracing:
    """The `x-amzn-trace-id` of each event."""

    __slots__ = ("_untraced",)

    def __init__(self) -> None:
        self._untraced = HeaderCache[bool]()  # heads without one

    def header(self, request: Request, timestamp: Timestamp, request_id: str) -> str:
        """The client's if it names a root, else a new one with the client's fields after it."""
        if self._untraced.get(request.head):
            return new_trace_id(timestamp, request_id)
        sent = request.header(b"x-amzn-trace-id")
        if sent is None:
            self._untraced.keep(request.head, value=True)
            return new_trace_id(timestamp, request_id)
        if b"Root=" in sent:
            return sent.decode("latin-1")
        return f"{new_trace_id(timestamp, request_id)};{sent.decode('latin-1')}"


class AdoptedTracing(Tracing):
    """The same where spans are made: a `traceparent` goes before, and a new trace has a random id."""

    __slots__ = ()

    def header(self, request: Request, timestamp: Timestamp, request_id: str) -> str:
        """That of the `traceparent`, else the client's if it names a root, else a new root."""
        adopted = adopted_header(request.header(b"traceparent"))
        if adopted is not None:
            return adopted
        sent = request.header(b"x-amzn-trace-id")
        if sent is not None and b"Root=" in sent:
            return sent.decode("latin-1")
        root = new_root(timestamp.epoch_ms // 1000, getrandbits(ROOT_BITS))
        return root if sent is None else f"{root};{sent.decode('latin-1')}"


def forwarded_for(sent: str | None, peer: str) -> str:
    """The client's address appended to the `x-forwarded-for` it sent."""
    return f"{sent}, {peer}" if sent else peer


def text_or_base64(body: bytes, *, is_text: bool) -> tuple[str, bool]:
    """The event's `body` and `isBase64Encoded`. Bytes that are not UTF-8 are base64 whatever they claim."""
    if is_text:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode("ascii"), True
