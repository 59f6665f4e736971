"""The answer of one InvokeWithResponseStream: frames as the pieces come.

Source: Lambda API reference, InvokeWithResponseStream. Not confirmed by a primary source: the header
`X-Amzn-Remapped-Content-Type`, which tells the function's own content type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.core.outcome import Outcome, Status
from engine.protocols.http.message import Request, header_block
from engine.protocols.http.streams import AnswerStream
from engine.services.lambda_api import event_stream

REMAPPED_CONTENT_TYPE: Final = "X-Amzn-Remapped-Content-Type"
"""A header that an answer has if the function streams."""


class StreamedAnswer:
    """Takes the pieces of one response. Implements `engine.core.response_stream.ResponseStream`."""

    __slots__ = ("_has_begun", "_head", "_request", "_stream")

    def __init__(self, request: Request, head: Callable[[], bytes]) -> None:
        """`head`: the header lines of the answer. Called when it begins."""
        self._request = request
        self._head = head
        self._has_begun = False
        self._stream: AnswerStream | None = None

    def begin(self, content_type: str, drained: Callable[[], None], /) -> None:
        """Send the head."""
        self._has_begun = True
        remapped = header_block([(REMAPPED_CONTENT_TYPE, content_type)])
        self._stream = self._request.stream(200, self._head() + remapped, drained)

    def write(self, data: bytes, /) -> bool:
        """Send a chunk."""
        stream = self._stream
        return stream is None or stream.write(event_stream.chunk(data))

    def fail(self, body: bytes, /) -> None:
        """Send the completion: of the function nothing more is told."""
        self._end(event_stream.failed(body))

    def finish(self, outcome: Outcome, log_result: str | None) -> bool:
        """End what has begun with the completion, or cut it if the engine ends. False: nothing has begun."""
        if not self._has_begun:
            return False
        if outcome.status is Status.CANCELLED:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.cut()
            return True
        done = (
            event_stream.complete(log_result) if outcome.ok else event_stream.failed(outcome.body, log_result)
        )
        self._end(done)
        return True

    def _end(self, frame: bytes) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.write(frame)
            stream.end()
