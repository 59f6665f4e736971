"""What happened in a durable execution, as rows over time: read from its history, drawn as text.

Executions have steps of milliseconds beside waits of months. So the axis is not to scale: each gap between
two moments at which something happened is as wide as the logarithm of its length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise
from typing import Any, Final

Document = Mapping[str, Any]

_EXECUTION: Final = "Execution"
_OPERATIONS: Final = {
    "Context": "context",
    "Step": "step",
    "Wait": "wait",
    "Callback": "callback",
    "ChainedInvoke": "invoke",
}
"""How event types begin, and what the operation is called."""

_ENDINGS: Final = {
    "Succeeded": "succeeded",
    "Failed": "failed",
    "TimedOut": "timed out",
    "Cancelled": "cancelled",
    "Stopped": "stopped",
}
_UNITS: Final = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))
_LONGEST_NOTE: Final = 160
_LEAST_GAP: Final = 0.3
"""Width of two moments at one time, where ten times as long is one more."""


class SpanKind(Enum):
    """What is done in a part of a row; values are how a terminal shows it."""

    WORK = "█"
    WAIT = "░"
    AROUND = "─"
    PAUSE = "▒"
    FAILED = "×"


_WORK: Final = (SpanKind.WORK, SpanKind.FAILED)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a row, from and to in seconds since the Unix epoch."""

    start_s: float
    end_s: float
    kind: SpanKind


@dataclass(slots=True)
class TimelineRow:
    """One operation, or all invocations, or all pauses.

    Attributes:
        label: What it is and its name.
        depth: Contexts around it.
        start_s: Seconds since the Unix epoch.
        end_s: The same; None while it is open.
        status: `succeeded`, `failed`, `timed out`, `cancelled`, `stopped`; `open` until then.
        note: Attempts, errors and what it waits for; may be empty.
        spans: In order of time.
    """

    label: str
    depth: int
    start_s: float
    end_s: float | None = None
    status: str = "open"
    note: str = ""
    spans: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened in an execution.

    Attributes:
        title: Function and execution, as far as they are known.
        status: As the API says it, such as `TIMED_OUT`.
        start_s: Seconds since the Unix epoch.
        end_s: Its end; of one that goes on the last moment that is known.
        is_over: Whether it has ended.
        invocations: How many ended.
        operations: How many rows are operations.
        rows: Invocations first, then operations below the contexts around them, each in order of start.
        note: The error of the execution; may be empty.
        moments: All times at which something happened, ascending.
    """

    title: str
    status: str
    start_s: float
    end_s: float
    is_over: bool
    invocations: int
    operations: int
    rows: Sequence[TimelineRow]
    note: str
    moments: Sequence[float]


def read_timeline(
    events: Iterable[Document], execution: Document | None = None, now_s: float | None = None
) -> Timeline:
    """Read the events of GetDurableExecutionHistory, from ExecutionStarted on, in any order.

    Args:
        events: As the API answers them; times are seconds since the Unix epoch, or datetimes as of boto3.
        execution: What GetDurableExecution answers, for the title and for states without an event.
        now_s: Until when open rows of an execution that goes on are drawn; None: its last event.

    Raises:
        ValueError: There is no event.
    """
    reader = _HistoryReader()
    for event in sorted(events, key=lambda one: one["EventId"]):
        reader.read(event)
    return reader.timeline(execution or {}, now_s)


def text_timeline(timeline: Timeline, width: int = 110) -> str:
    """Draw it for a terminal of `width` columns: a head, then a line for each row. Ends with a new line."""
    head = [f"{timeline.title}  {timeline.status}".strip(), summary(timeline)]
    if timeline.note:
        head.append(timeline.note)
    cells = [(offset(timeline, row), _label(row), took(timeline, row), remark(row)) for row in timeline.rows]
    starts, labels, lengths = (max(len(row[column]) for row in cells) for column in range(3))
    bars = max(20, width - starts - labels - lengths - 24)
    places = {moment: round(place * bars) for moment, place in scale(timeline)}
    lines = [
        f"{start:>{starts}}  {label:<{labels}}  {_bar(row.spans, places, bars)}  {length:>{lengths}}  {text}"
        for row, (start, label, length, text) in zip(timeline.rows, cells, strict=True)
    ]
    return "".join(f"{line.rstrip()}\n" for line in (*head, "", *lines))


def scale(timeline: Timeline) -> list[tuple[float, float]]:
    """Each moment with its place on the axis, 0 to 1."""
    places = [0.0]
    for earlier, later in pairwise(timeline.moments):
        places.append(places[-1] + _LEAST_GAP + math.log10(1 + 1000 * (later - earlier)))
    last = places[-1] or 1.0
    return [(moment, place / last) for moment, place in zip(timeline.moments, places, strict=True)]


def summary(timeline: Timeline) -> str:
    """When it started, how long it took, and what of."""
    started = datetime.fromtimestamp(timeline.start_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    so_far = "took" if timeline.is_over else "so far"
    return (
        f"{started} UTC, {so_far} {duration(timeline.end_s - timeline.start_s)}: "
        f"{_count(timeline.invocations, 'invocation')}, {_count(timeline.operations, 'operation')}"
    )


def offset(timeline: Timeline, row: TimelineRow) -> str:
    """How long after the start of the execution the row begins."""
    return f"+{duration(row.start_s - timeline.start_s)}"


def took(timeline: Timeline, row: TimelineRow) -> str:
    """How long a row took, or has taken so far."""
    end_s = timeline.end_s if row.end_s is None else row.end_s
    return duration(end_s - row.start_s)


def remark(row: TimelineRow) -> str:
    """How a row ended, and its note."""
    return f"{row.status}: {row.note}" if row.note else row.status


def duration(seconds: float) -> str:
    """A duration in at most two units: `12 ms`, `1.50 s`, `3 min 20 s`, `2 h 5 min`, `1 d 2 h`."""
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    for unit_s, unit, part_s, part in _UNITS:
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit} {rest} {part}" if rest else f"{whole // unit_s} {unit}"
    return f"{whole} s"


def _label(row: TimelineRow) -> str:
    text = "  " * row.depth + row.label
    return text if len(text) <= 40 else text[:39] + "…"


def _bar(spans: Iterable[Span], places: Mapping[float, int], width: int) -> str:
    """What is done at each place; each span has one at least, and work hides waiting, not the other way."""
    cells = [" "] * width
    for span in sorted(spans, key=lambda one: one.kind in _WORK):
        first = min(places[span.start_s], width - 1)
        last = max(places[span.end_s], first + 1)
        cells[first:last] = span.kind.value * (last - first)
    return "".join(cells)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class _HistoryReader:
    """Rows of the events so far."""

    def __init__(self) -> None:
        self._rows: dict[str, TimelineRow] = {}  # by id of the operation
        self._children: dict[str | None, list[str]] = {}
        self._open: dict[str, Span] = {}  # by id: start and kind of the span that goes on
        self._invocations = TimelineRow("invocations", 0, 0.0)
        self._pauses = TimelineRow("paused", 0, 0.0)
        self._failed_invocations = 0
        self._moments: set[float] = set()
        self._name = self._status = self._note = ""
        self._start_s: float | None = None
        self._end_s: float | None = None

    def read(self, event: Document) -> None:
        """Read the next event in order of acceptance."""
        kind: str = event["EventType"]
        now_s = _seconds(event["EventTimestamp"])
        details: Document = event.get(f"{kind}Details") or {}
        self._moments.add(now_s)
        if self._start_s is None:
            self._start_s = self._invocations.start_s = now_s
        if kind == "InvocationCompleted":
            self._invocation(details)
        elif kind.startswith(_EXECUTION):
            self._execution(kind.removeprefix(_EXECUTION), event, details, now_s)
        else:
            begins = next((one for one in _OPERATIONS if kind.startswith(one)), "")
            self._operation(begins, kind.removeprefix(begins), event, details, now_s)

    def timeline(self, execution: Document, now_s: float | None) -> Timeline:
        """All of it; open spans go on until the end, or until now."""
        if self._start_s is None:
            raise ValueError("a history has one event at least: ExecutionStarted")
        end_s = self._end_s
        if end_s is None:
            end_s = max(now_s or 0.0, *self._moments, self._start_s)
        self._moments.add(end_s)
        for key in list(self._open):
            self._close(key, end_s)
        rows = [self._ended_invocations(end_s), *([self._pauses] if self._pauses.spans else ())]
        self._append_children(rows)
        return Timeline(
            _title(execution, self._name),
            execution.get("Status") or self._status or "RUNNING",
            self._start_s,
            end_s,
            self._end_s is not None,
            len(self._invocations.spans),
            len(self._rows),
            rows,
            self._note,
            sorted(self._moments),
        )

    def _invocation(self, details: Document) -> None:
        start_s, end_s = _seconds(details["StartTimestamp"]), _seconds(details["EndTimestamp"])
        self._moments |= {start_s, end_s}
        row = self._invocations
        error = _error(details)
        row.spans.append(Span(start_s, end_s, SpanKind.FAILED if error else SpanKind.WORK))
        if error:
            self._failed_invocations += 1
            row.note = f"{self._failed_invocations} of them, the last by {error}"

    def _ended_invocations(self, end_s: float) -> TimelineRow:
        row = self._invocations
        row.label = f"invocations ({len(row.spans)})"
        row.status = "failed" if self._failed_invocations else "answered" if row.spans else "open"
        if row.spans:
            row.start_s, row.end_s = row.spans[0].start_s, row.spans[-1].end_s
        return row

    def _execution(self, what: str, event: Document, details: Document, now_s: float) -> None:
        self._name = event.get("Name") or self._name
        if what == "Paused":
            if not self._pauses.spans:
                self._pauses.start_s = now_s
            self._open["paused"] = Span(now_s, now_s, SpanKind.PAUSE)
            self._row_of("paused").note = _payload(details, "Reason")
            self._status = "PAUSED"
        elif what == "Resumed":
            self._close("paused", now_s)
            self._pauses.end_s, self._pauses.status, self._status = now_s, "resumed", "RUNNING"
        elif what in _ENDINGS:
            self._end_s, self._note = now_s, _error(details)
            self._status = _ENDINGS[what].replace(" ", "_").upper()

    def _row_of(self, key: str) -> TimelineRow:
        return self._pauses if key == "paused" else self._rows[key]

    def _operation(self, begins: str, what: str, event: Document, details: Document, now_s: float) -> None:
        key: str = event.get("Id") or f"event {event['EventId']}"
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._new_row(begins, event, now_s)
            self._children.setdefault(event.get("ParentId"), []).append(key)
        self._close(key, now_s, failed=begins == "Step" and what == "Failed")
        if what == "Started":
            self._open[key] = Span(now_s, now_s, _span_kind(begins))
            row.end_s, row.status = None, "open"
            row.note = row.note or _waits_for(begins, details)
            return
        retry: Document = details.get("RetryDetails") or {}
        error, attempt = _error(details), retry.get("CurrentAttempt", 1)
        attempts = f"attempt {attempt}" if attempt > 1 or "NextAttemptDelaySeconds" in retry else ""
        row.note = ", ".join(filter(None, (attempts, error)))
        if "NextAttemptDelaySeconds" in retry:
            self._open[key] = Span(now_s, now_s, SpanKind.WAIT)
        else:
            row.end_s, row.status = now_s, _ENDINGS.get(what, what)

    def _new_row(self, begins: str, event: Document, now_s: float) -> TimelineRow:
        sub_type, what = event.get("SubType"), _OPERATIONS.get(begins, begins)
        if begins == "Context" and sub_type:
            what = "".join(f" {one.lower()}" if one.isupper() else one for one in sub_type).strip()
        parent = self._rows.get(event.get("ParentId") or "")
        depth = 0 if parent is None else parent.depth + 1
        return TimelineRow(_line(f"{what} {event.get('Name') or ''}".strip()), depth, now_s)

    def _close(self, key: str, now_s: float, *, failed: bool = False) -> None:
        """End the span of a row that goes on, if there is one."""
        span = self._open.pop(key, None)
        if span is not None:
            kind = SpanKind.FAILED if failed else span.kind
            self._row_of(key).spans.append(Span(span.start_s, now_s, kind))

    def _append_children(self, rows: list[TimelineRow]) -> None:
        """All operations, each below its context; those of a context that is unknown stand at the top."""
        roots = [
            key
            for parent, keys in self._children.items()
            if parent is None or parent not in self._rows
            for key in keys
        ]
        waiting = roots[::-1]
        while waiting:
            key = waiting.pop()
            rows.append(self._rows[key])
            waiting += reversed(self._children.get(key, ()))


def _span_kind(begins: str) -> SpanKind:
    return {"Context": SpanKind.AROUND, "Step": SpanKind.WORK}.get(begins, SpanKind.WAIT)


def _waits_for(begins: str, details: Document) -> str:
    if begins == "ChainedInvoke":
        return _line(details.get("FunctionName", ""))
    if begins == "Callback":
        return f"CallbackId {_line(details.get('CallbackId', ''), longest=1024)}"
    if begins == "Wait" and "Duration" in details:
        return f"{duration(details['Duration'])} wanted"
    return ""


def _title(execution: Document, name: str) -> str:
    function = str(execution.get("FunctionArn", "")).partition(":function:")[2]
    return _line("  ".join(filter(None, (function, execution.get("DurableExecutionName") or name))))


def _error(details: Document) -> str:
    """Type and message of the error in an event's details, on one line; may be empty."""
    error: Any = (details.get("Error") or {}).get("Payload")
    if not isinstance(error, Mapping):
        return "error" if details.get("Error") else ""
    return _line(": ".join(filter(None, (error.get("ErrorType"), error.get("ErrorMessage")))) or "error")


def _payload(details: Document, member: str) -> str:
    return _line(str((details.get(member) or {}).get("Payload") or ""))


def _line(text: str, longest: int = _LONGEST_NOTE) -> str:
    """The text on one line, not too long, with nothing in it that steers a terminal."""
    shown = "".join(one if one.isprintable() else " " for one in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _seconds(time: Any) -> float:
    return time.timestamp() if isinstance(time, datetime) else float(time)
