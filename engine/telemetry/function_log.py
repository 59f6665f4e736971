"""What functions have logged lately, as CloudWatch Logs would have it: records that are worded when read.

A record has references to what exists anyway, and a time; START, END and REPORT become text when the logs
service asks. Lines of handlers are all recorded. So is the end of an invocation that logged or failed; of
those that succeed in silence, as many as `recent_invocations` keeps. The oldest records go when there is no
room, and an engine nobody asks for logs does no more than that.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple

import orjson

from engine.core.context import log_group_of, log_stream_name
from engine.core.function import Function
from engine.core.invocation import Invocation, Phase
from engine.core.logged_line import LoggedLine
from engine.core.outcome import Outcome, Status
from engine.ports import Clock
from engine.telemetry.log import json_line, report_record
from engine.telemetry.report_lines import (
    end_line,
    failure_lines,
    iso_utc,
    report_line,
    start_line_of,
    version_of,
)

_ENDED: Final = Phase.ENDED
_SUCCESS: Final = Status.SUCCESS
_new_tuple: Final = tuple.__new__

_LINE_BYTES: Final = 300
_END_BYTES: Final = 700
"""What a record takes besides its texts, about."""
_ERROR_BYTES: Final = 4096
_MAX_STREAMS: Final = 10_000
_LOOK_AHEAD: Final = 100
_SPARE: Final = 1000
"""One part in so many is made free when there is no room."""


class LogRecord(NamedTuple):
    """A line of a handler, or the end of an invocation.

    Attributes:
        at_s: When it was written or ended, seconds since the Unix epoch.
        stream: Name of the environment's log stream.
        of_event: Name of the function, the event's version, qualifier and request id, and when the invocation
            was handed to the environment, engine clock.
        is_late: The invocation has ended.
        text: A line; with an end what was written and did not come line by line.
        outcome: How it ended, its body only if it failed and that is short; None of a line.
        error_type: The platform's name of the error, if it gave it.
        memory_mb: Configured memory.
        size: What it counts against the bound, about, in bytes.
    """

    at_s: float
    stream: str
    of_event: tuple[str, str, str | None, str, float]
    is_late: bool
    text: str
    outcome: Outcome | None
    error_type: str | None
    memory_mb: int
    size: int


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
        # Lines and ends are counted apart, since they come on different threads without a lock.
        self._line_bytes = self._end_bytes = self._gone_bytes = 0
        self._records: deque[LogRecord] = deque()
        self._removing = threading.Lock()
        self._places: dict[tuple[str, str], tuple[str, bool]] = {}  # log group, and whether it logs JSON
        self._streams: dict[tuple[str, str, int], str] = {}
        self._read_s = 0.0  # when all that was there had been read
        self._finish: Callable[[Invocation], object] = _nothing
        self._on_record: Callable[[], object] | None = None
        self._started: set[tuple[str, str]] = set()  # streams and requests with a START and without an END

    # ---------------------------------------------------------------- writing

    def register(self, function: Function, *, logs_json: bool) -> None:
        """Learn where a function logs, and whether as JSON: `logs_json`, or what its variables say."""
        usual = "JSON" if logs_json else "Text"
        is_json = function.environment.get("AWS_LAMBDA_LOG_FORMAT", usual).upper() == "JSON"
        self._places[function.name, function.version] = log_group_of(function), is_json

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
        """Record a line that a handler wrote, and pass it on. Called on one thread at a time."""
        if invocation is not None:
            event = invocation.event
            function, version = event.function, event.version
            stream = self._streams.get((function, version, invocation.env_id)) or self._new_stream(invocation)
            of_event = function, version, event.qualifier, event.request_id, invocation.started_s
            is_late = invocation.phase is _ENDED
            size = _LINE_BYTES + len(text)
            fields = (self._wall(), stream, of_event, is_late, text, None, None, 0, size)
            self._records.append(_new_tuple(LogRecord, fields))
            self._line_bytes += size
            if self._line_bytes + self._end_bytes - self._gone_bytes > self._max_bytes:
                self._make_room()
            if self._on_record is not None:
                self._on_record()
        if self._write_line is not None:
            self._write_line(invocation, text)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, memory_mb: int) -> None:
        """Record the end of an invocation."""
        self._finish(invocation)
        event = invocation.event
        function, version = event.function, event.version
        stream = self._streams.get((function, version, invocation.env_id)) or self._new_stream(invocation)
        kept = outcome.trimmed(
            keeps_body=outcome.status is not _SUCCESS and len(outcome.body) <= _ERROR_BYTES
        )
        text = "" if self._write_line is not None else "".join(invocation.log or ())
        of_event = function, version, event.qualifier, event.request_id, invocation.started_s
        size = _END_BYTES + len(kept.body) + len(text)
        fields = (self._wall(), stream, of_event, True, text, kept, error_type, memory_mb, size)
        self._records.append(_new_tuple(LogRecord, fields))
        self._end_bytes += size
        if self._line_bytes + self._end_bytes - self._gone_bytes > self._max_bytes:
            self._make_room()
        if self._on_record is not None:
            self._on_record()

    def _new_stream(self, invocation: Invocation) -> str:
        """Name the stream of an environment that has not told one: it initialises, or never tells."""
        event = invocation.event
        day = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y/%m/%d")
        name = log_stream_name(day, os.urandom(16).hex(), event.version)
        self.name_stream(event.function, event.version, invocation.env_id, name)
        return name

    def _make_room(self) -> None:
        """Drop the oldest records, a few more than must be: not for each new one again."""
        records, gone_bytes = self._records, 0
        with self._removing:
            over = self._line_bytes + self._end_bytes - self._gone_bytes - self._max_bytes
            over += self._max_bytes // _SPARE
            while gone_bytes < over and records:
                gone_bytes += records.popleft().size
            self._gone_bytes += gone_bytes

    # ---------------------------------------------------------------- reading

    def take(self, count: int) -> Iterator[LoggedLine]:
        """Hand over the oldest `count` records at most, as AWS words them; nothing if there are none."""
        for _ in range(count):
            with self._removing:
                if not self._records:
                    self._read_s = self._wall()
                    return
                record = self._records.popleft()
                self._gone_bytes += record.size
            yield from self._worded(record)

    def watch(self, on_record: Callable[[], object] | None) -> None:
        """Call `on_record` when something is logged, on the thread that logs; None: nothing any more."""
        self._on_record = on_record

    def _worded(self, record: LogRecord) -> Iterator[LoggedLine]:
        stream, at_s = record.stream, record.at_s
        function, version, qualifier, request_id, started_s = record.of_event
        group, is_json = self._places.get((function, version), (f"/aws/lambda/{function}", False))
        key = stream, request_id
        is_end = record.outcome is not None
        if key not in self._started and (is_end or not self._is_after_end(record)):
            if len(self._started) >= _MAX_STREAMS:
                self._started.clear()  # ends that nobody will see: they were dropped
            self._started.add(key)
            began_s = started_s + self._clock.wall() - self._clock.now()
            began_s = min(at_s, max(began_s, self._read_s))  # who follows has read what was before
            start = start_line_of(request_id, version, qualifier)
            if is_json:
                record_of_start = {"requestId": request_id, "version": version_of(version, qualifier)}
                start = json_line(iso_utc(began_s), "platform.start", record_of_start)
            yield LoggedLine(group, stream, began_s, start)
        for line in record.text.removesuffix("\n").split("\n") if record.text else ():
            yield LoggedLine(group, stream, at_s, f"{line}\n")
        if record.outcome is not None:
            self._started.discard(key)
            for text in _last_lines(record, record.outcome, is_json=is_json):
                yield LoggedLine(group, stream, at_s, text)

    def _is_after_end(self, record: LogRecord) -> bool:
        """Whether a line came after the REPORT of its invocation, from a thread that went on.

        A last line without a newline comes when the invocation has ended too: just before the end's record.
        """
        if not record.is_late:
            return False
        with self._removing:
            ahead = list(islice(self._records.copy(), _LOOK_AHEAD))
        key = record.stream, record.of_event[3]
        return not any(one.outcome is not None and (one.stream, one.of_event[3]) == key for one in ahead)


def _last_lines(record: LogRecord, outcome: Outcome, *, is_json: bool) -> Iterator[str]:
    """What the platform says at the end: why it failed, END, REPORT."""
    if is_json:
        report = report_record(outcome, record.error_type, record.memory_mb)
        yield json_line(iso_utc(record.at_s), "platform.report", report)
        return
    failure = failure_lines(outcome, record.error_type, record.at_s)
    if outcome.status is Status.INIT_ERROR:
        failure = _init_error(outcome.body)
    if failure:
        yield failure
    yield end_line(outcome.request_id)
    yield report_line(outcome, record.memory_mb, record.error_type)


def _init_error(body: bytes) -> str:
    """Why a handler could not be imported, as the runtime logs it; nothing if the platform ended the init."""
    try:
        error = orjson.loads(body)
    except ValueError:
        return ""
    if not isinstance(error, dict) or "stackTrace" not in error:
        return ""
    trace = "".join(entry.removesuffix("\n") + "\n" for entry in map(str, error["stackTrace"]))
    first = f"[ERROR] {error.get('errorType')}: {error.get('errorMessage')}"
    return f"{first}\nTraceback (most recent call last):\n{trace}"


def _nothing(_invocation: Invocation) -> None:
    """Where lines do not come one by one, none is open."""
