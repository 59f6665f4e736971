"""A response that a runtime streams: passed on as it comes, and ended by its last chunk or by trailers.

Sources: Lambda Developer Guide, "Using the Lambda runtime API" and "Building a custom runtime", on response
streaming; AWS's Runtime Interface Emulator. Not on record: the text of `Runtime.TruncatedResponse`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from engine.core.error_bodies import platform_error_body
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.core.response_stream import DEFAULT_TYPE, PIECE_BYTES
from engine.executors.runtime_api import responses
from engine.protocols.http.server import Request

ERROR_TYPE: Final = b"lambda-runtime-function-error-type"
_ERROR_BODY: Final = b"lambda-runtime-function-error-body"
_TRUNCATED: Final = "Runtime.TruncatedResponse"


class StreamListener(Protocol):
    """Told of a response that is streamed. See `engine.ports.Facts`."""

    def began(self, invocation: Invocation, content_type: str, resume: Callable[[], None]) -> None:
        """The response begins."""

    def piece(self, invocation: Invocation, data: bytes) -> bool:
        """A piece of it. False: nothing more until `resume` is called."""


class StreamedBody:
    """Takes one response. Implements `engine.protocols.http.streams.BodyReceiver`.

    It begins with its first byte, or with its end: runtimes open the request when the handler starts.
    """

    def __init__(
        self,
        request: Request,
        invocation: Invocation,
        listener: StreamListener,
        resume: Callable[[], None],
        ended: Callable[[StreamedBody, Result], None],
    ) -> None:
        """`ended` is called once, with what the invocation ends with; CRASH if the response was truncated."""
        self.request = request
        self.invocation = invocation
        self._listener = listener
        self._resume = resume
        self._ended = ended
        self._has_begun = False

    def data(self, piece: bytes, /) -> bool:
        """Pass a piece on."""
        if not self._has_begun:
            self._begin()
        goes_on = True
        for at in range(0, len(piece), PIECE_BYTES):
            goes_on = self._listener.piece(self.invocation, piece[at : at + PIECE_BYTES])
        return goes_on

    def end(self, trailers: Sequence[tuple[bytes, bytes]], /) -> None:
        """End it, with the error that its trailers tell if there is one."""
        values = {name.lower(): value for name, value in trailers}
        if ERROR_TYPE in values or _ERROR_BODY in values:
            body = responses.streamed_error(values.get(ERROR_TYPE, b""), values.get(_ERROR_BODY, b""))
            self._ended(self, Result(Status.ERROR, body))
            return
        if not self._has_begun:
            self._begin()
        self._ended(self, Result(Status.SUCCESS, b""))

    def lost(self) -> None:
        """End it: its connection was lost before its last chunk."""
        body = platform_error_body(_TRUNCATED, self.invocation.event.request_id, "Response was truncated")
        self._ended(self, Result(Status.CRASH, body, error_type=_TRUNCATED))

    def _begin(self) -> None:
        self._has_begun = True
        sent = self.request.header(b"content-type")
        content_type = sent.decode("latin-1") if sent else DEFAULT_TYPE
        if not content_type.isprintable():  # it is to become a header again
            content_type = DEFAULT_TYPE
        self._listener.began(self.invocation, content_type, self._resume)
