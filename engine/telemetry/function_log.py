"""What functions have logged lately, as CloudWatch Logs would have it: records that are worded when read.

A record has references to what exists anyway, and a time; START, END and REPORT become text when the logs
service asks. Lines of handlers are all recorded. So is the end of an invocation that logged or failed; of
those that succeed in silence, as many as `recent_invocations` keeps. The oldest records go when there is no
room, and an engine nobody asks for logs does no more than that.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from engine.core.context import log_stream_name
from engine.core.invocation import Invocation, Phase
from engine.core.logged_line import LoggedLine
from engine.core.outcome import Outcome, Status
from engine.ports import Clock
from engine.telemetry.report_lines import end_line, failure_lines, report_line, start_line_of

_ENDED: Final = Phase.ENDED
_SUCCESS: Final = Status.SUCCESS
_new_tuple: Final = tuple.__new__

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")

_LINE_BYTES: Final = 300
_END_BYTES: Final = 700
"""What a record takes besides its texts, about."""
_ERROR_BYTES: Final = 4096
_MAX_STREAMS: Final = 10_000
_LOOK_AHEAD: Final = 100


class _LogRecord:
    """A line of a handler, or the end of an invocation: then it has an outcome."""

    __slots__ = (
        "at_s",
        "error_type",
        "function",
        "is_late",
        "memory_mb",
        "outcome",
        "qualifier",
        "request_id",
        "started_s",
        "stream",
        "text",
        "version",
    )

    def __init__(
        self,
        at_s: float,
        stream: str,
        invocation: Invocation,
        text: str,
        outcome: Outcome | None = None,
        error_type: str | None = None,
        memory_mb: int = 0,
    ) -> None:
        event = invocation.event
        self.at_s = at_s
        self.stream = stream
        self.function = event.function
        self.version = event.version
        self.qualifier = event.qualifier
        self.request_id = event.request_id
        self.started_s = invocation.started_s
        self.is_late = invocation.phase is _ENDED
        self.text = text
        self.outcome = outcome
        self.error_type = error_type
        self.memory_mb = memory_mb


class FunctionLog:
    """The records of one engine. `line` may be called on any thread, everything else on the loop's."""

    def __init__(
        self,
        clock: Clock,
        max_bytes: int,
        write_line: Callable[[Invocation | None, str], object] | None,
    ) -> None:
        """`max_bytes` bounds what records take. `write_line` takes lines of handlers after `line`.

        Without `write_line` lines do not come one by one: what an invocation has written is read at its end.
        """
        self._clock = clock
        self._wall = clock.wall
        self._max_bytes = max_bytes
        self._write_line = write_line
        self._bytes = 0
        self._records: deque[_LogRecord] = deque()
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str, int], str] = {}
        self._finish: Callable[[Invocation], object] = _nothing
        self._started: set[tuple[str, str]] = set()  # streams and requests with a START and without an END

    # ---------------------------------------------------------------- writing

    def name_stream(self, function: str, version: str, env_id: int, name: str) -> None:
        """Use the name that an environment tells its handler from now on."""
        self._streams.pop((function, version, env_id), None)
        self._streams[function, version, env_id] = name
        if len(self._streams) > _MAX_STREAMS:
            del self._streams[next(iter(self._streams))]

    def watch_output(self, finish: Callable[[Invocation], object]) -> None:
        """Call `finish` before the end of an invocation is recorded: its last line may not have ended."""
        self._finish = finish

    def line(self, invocation: Invocation | None, text: str, /) -> None:
        """Record a line that a handler wrote, and pass it on."""
        if invocation is not None:
            event = invocation.event
            stream = self._streams.get((event.function, event.version, invocation.env_id))
            if stream is None:
                stream = self._new_stream(invocation)
            record = _LogRecord(self._wall(), stream, invocation, text)
            with self._lock:
                self._records.append(record)
                self._bytes += _LINE_BYTES + len(text)
                if self._bytes > self._max_bytes:
                    self._make_room()
        if self._write_line is not None:
            self._write_line(invocation, text)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, memory_mb: int) -> None:
        """Record the end of an invocation."""
        self._finish(invocation)
        event = invocation.event
        stream = self._streams.get((event.function, event.version, invocation.env_id))
        if stream is None:
            stream = self._new_stream(invocation)
        status, body = outcome[0], outcome[1]
        if status is _SUCCESS or len(body) > _ERROR_BYTES:
            body = b""
        kept: Outcome = _new_tuple(Outcome, (status, body, *outcome[2:12], None))
        text = "" if self._write_line is not None else "".join(invocation.log or ())
        record = _LogRecord(self._wall(), stream, invocation, text, kept, error_type, memory_mb)
        with self._lock:
            self._records.append(record)
            self._bytes += _END_BYTES + len(body) + len(text)
            if self._bytes > self._max_bytes:
                self._make_room()

    def _new_stream(self, invocation: Invocation) -> str:
        """Name the stream of an environment that has not told one: it initialises, or never tells."""
        event = invocation.event
        day = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y/%m/%d")
        name = log_stream_name(day, os.urandom(16).hex(), event.version)
        self.name_stream(event.function, event.version, invocation.env_id, name)
        return name

    def _make_room(self) -> None:
        while self._bytes > self._max_bytes and self._records:
            self._bytes -= _size(self._records.popleft())

    # ---------------------------------------------------------------- reading

    def take(self, count: int) -> Iterator[LoggedLine]:
        """Hand over the oldest `count` records at most, as AWS words them; nothing if there are none."""
        for _ in range(count):
            with self._lock:
                if not self._records:
                    return
                record = self._records.popleft()
                self._bytes -= _size(record)
            yield from self._worded(record)

    def _worded(self, record: _LogRecord) -> Iterator[LoggedLine]:
        group, stream = f"/aws/lambda/{record.function}", record.stream
        key = stream, record.request_id
        outcome = record.outcome
        if key not in self._started and (outcome is not None or not self._is_after_end(record)):
            self._started.add(key)
            began_s = min(record.at_s, record.started_s + self._clock.wall() - self._clock.now())
            start = start_line_of(record.request_id, record.version, record.qualifier)
            yield LoggedLine(group, stream, began_s, start)
        for line in _LINE.findall(record.text):
            yield LoggedLine(group, stream, record.at_s, line)
        if outcome is not None:
            self._started.discard(key)
            failure = failure_lines(outcome, record.error_type, record.at_s)
            if failure:
                yield LoggedLine(group, stream, record.at_s, failure)
            yield LoggedLine(group, stream, record.at_s, end_line(outcome.request_id))
            report = report_line(outcome, record.memory_mb, record.error_type)
            yield LoggedLine(group, stream, record.at_s, report)

    def _is_after_end(self, record: _LogRecord) -> bool:
        """Whether a line came after the REPORT of its invocation, from a thread that went on.

        A last line without a newline comes when the invocation has ended too: just before the end's record.
        """
        if not record.is_late:
            return False
        with self._lock:
            ahead = [one for _, one in zip(range(_LOOK_AHEAD), self._records, strict=False)]
        return not any(
            one.outcome is not None and (one.stream, one.request_id) == (record.stream, record.request_id)
            for one in ahead
        )


def _nothing(_invocation: Invocation) -> None:
    """Where lines do not come one by one, none is open."""


def _size(record: _LogRecord) -> int:
    if record.outcome is None:
        return _LINE_BYTES + len(record.text)
    return _END_BYTES + len(record.outcome.body) + len(record.text)
