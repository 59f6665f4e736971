"""One response that a handler streams: passed on as it comes, or collected; within its limits.

Source: Lambda Developer Guide, "Response streaming for Lambda functions", "Bandwidth limits for response
streaming". What a response that goes over the limit ends with is not on record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from io import BytesIO
from typing import Final

import orjson

from engine.core.error_bodies import response_too_large_body, stream_too_large_body
from engine.core.invocation import Invocation, Reply, Result
from engine.core.outcome import Outcome, Status, StreamedOutcome, streamed
from engine.core.payload_limits import (
    FAST_STREAMED_BYTES,
    MAX_RESPONSE_BYTES,
    MAX_STREAMED_BYTES,
    STREAMED_BYTES_PER_S,
)
from engine.core.response_stream import ResponseStream
from engine.ports import Clock

_SHORTEST_PAUSE_S: Final = 0.01
_EXACT_S: Final = 1e-6


class StreamedResponse:
    """What has been streamed of one response.

    Attributes:
        sent: Bytes so far.
        began_s: Engine clock when it began.
    """

    def __init__(
        self,
        invocation: Invocation,
        content_type: str,
        resume: Callable[[], None],
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        limits_bandwidth: bool,
        ended: Callable[[StreamedResponse], None],
    ) -> None:
        """`ended` is called when the outcome of the invocation has been replied, however it ended."""
        self.invocation = invocation
        self.sent = 0
        self.began_s = clock.now()
        self._content_type = content_type
        self._resume = resume
        self._loop = loop
        self._clock = clock
        self._limits_bandwidth = limits_bandwidth
        self._ended = ended
        self._reply: Reply = invocation.reply
        self._stream: ResponseStream | None = invocation.event.response_stream
        self._whole = BytesIO()
        self._is_too_large = False
        self._has_ended = False
        self._is_full = False  # the source takes nothing more for now
        self._passed = 0  # of `sent`: what the source has
        self._pause: asyncio.TimerHandle | None = None  # what the bandwidth asks for
        self._held: deque[bytes] = deque()  # what was on its way then
        self._end: Callable[[], object] | None = None  # to be called when the bandwidth allows the end
        if self._stream is not None:
            self._stream.begin(content_type, self._drained)

    def write(self, data: bytes) -> bool:
        """Pass a piece on. False: nothing more for now."""
        self.sent += len(data)
        if self._is_too_large:
            return True  # dropped: the function runs on
        stream = self._stream
        if stream is None:
            if self.sent > MAX_RESPONSE_BYTES:
                self._is_too_large = True
                self._whole = BytesIO()
            else:
                self._whole.write(data)
            return True
        if self.sent > MAX_STREAMED_BYTES:
            self._is_too_large = True
            if self._is_full or self._pause is not None:  # whoever was told to wait need not any more
                self._loop.call_soon(self._go_on)
            self._cancel_pause()
            self._is_full = False
            stream.fail(stream_too_large_body())
            return True
        if self._pause is None:
            self._pass_on(stream, data)
        else:
            self._held.append(data)
        return not self._is_full and self._pause is None

    def holds(self, end: Callable[[], object]) -> bool:
        """Whether the bandwidth does not allow the end yet: then `end` is called when it does.

        Or by `release`; never after `reply`.
        """
        if not self._limits_bandwidth or self._stream is None or self._is_too_large:
            return False
        if self._pause is None and not self._waits_for_bandwidth(_EXACT_S):
            return False
        self._end = end
        return True

    def result(self, result: Result) -> Result:
        """What the invocation ends with, of which the executor tells `result`."""
        if result.status is not Status.SUCCESS:
            return result
        if self._is_too_large:
            body = response_too_large_body() if self._stream is None else stream_too_large_body()
            return Result(Status.ERROR, body, max_memory_mb=result.max_memory_mb)
        if self._stream is not None:
            return result
        body = self._whole.getvalue()
        return result._replace(body=body, raw=not _is_json(body))

    def outcome(self, outcome: Outcome) -> StreamedOutcome:
        """The invocation's outcome, with what is known of its response."""
        first_byte_s = self.began_s - self.invocation.started_s
        return streamed(outcome, self._content_type, self.sent, first_byte_s)

    def reply(self, outcome: Outcome) -> None:
        """Give the source the outcome: its response has ended."""
        self._cancel_pause()
        self._is_full, self._has_ended = False, True
        self._ended(self)
        self._reply(outcome)

    def release(self) -> None:
        """Let the handler come to its end, whatever holds it back."""
        if self._end is None:
            self._resume()
            return
        self._limits_bandwidth = False
        if self._pause is not None:
            self._pause.cancel()
        self._paused_long_enough()

    def _pass_on(self, stream: ResponseStream, data: bytes) -> bool:
        """Whether the next one may follow at once, by the bandwidth."""
        self._passed += len(data)
        if not stream.write(data):
            self._is_full = True
        return not (self._limits_bandwidth and self._waits_for_bandwidth(_SHORTEST_PAUSE_S))

    def _waits_for_bandwidth(self, shortest_s: float) -> bool:
        """Whether it does: a pause begins, unless it would be shorter."""
        due_s = self.began_s + (self._passed - FAST_STREAMED_BYTES) / STREAMED_BYTES_PER_S
        pause_s = due_s - self._clock.now()
        if pause_s <= shortest_s:
            return False
        self._pause = self._loop.call_later(pause_s, self._paused_long_enough)
        return True

    def _paused_long_enough(self) -> None:
        self._pause = None
        while self._held and self._stream is not None:
            if not self._pass_on(self._stream, self._held.popleft()):
                return
        end, self._end = self._end, None
        if end is not None:
            end()
        elif not self._is_full:
            self._go_on()

    def _drained(self) -> None:
        if self._is_full:
            self._is_full = False
            if self._pause is None:
                self._go_on()

    def _go_on(self) -> None:
        if not self._has_ended:
            self._resume()

    def _cancel_pause(self) -> None:
        self._held.clear()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except ValueError:
        return False
    return True
