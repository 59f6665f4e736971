"""REPORT lines as rows: AWS Lambda's, text and JSON, as CloudWatch gives them, and this engine's own log.

Sources: recorded logs of AWS Lambda; Lambda Developer Guide, "Lambda Telemetry API Event schema reference";
CloudWatch Logs API Reference, FilterLogEvents. The time of a line is that of the end: the event came earlier
by the duration and, if it was cold, by the initialisation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from engine.sources.replay.trace_file import (
    Ending,
    LineError,
    Row,
    WrongLines,
    number_of,
    require_utf8,
    timestamp_of,
)

WORD: Final = "REPORT RequestId:"
_EVENT: Final = '"platform.report"'
_LINE: Final = re.compile(
    r"REPORT RequestId: \S+\s+Duration: ([\d.]+) ms\s+Billed Duration: (\d+) ms\s+"
    r"Memory Size: (\d+) MB([^\n]*)"
)
_INIT: Final = re.compile(r"(?<!Billed )(?:Init|Restore) Duration: ([\d.]+) ms")
_STATUS: Final = re.compile(r"Status: (\w+)")
_ERROR_TYPE: Final = re.compile(r"Error Type: (\S+)")
_TIME: Final = re.compile(r"\s*(\d{4}-\d\d-\d\d[T ]\S+|\d{13})\s")
_GROUP: Final = "/aws/lambda/"
_ENDS: Final[Mapping[str, Ending]] = {"success": "success", "timeout": "timeout", "failure": "crash"}


class Report(NamedTuple):
    """What a REPORT line says.

    Attributes:
        duration_s, init_s: In the handler; of the initialisation or the restore before it, if there was one.
        billed_ms, memory_mb: As billed.
        ending: How it ended. In text an exception that the handler raised looks like a success.
    """

    duration_s: float
    init_s: float | None
    billed_ms: int
    memory_mb: int
    ending: Ending


def report_in(text: str) -> Report | None:
    """The REPORT line in a text, or None."""
    found = _LINE.search(text)
    if found is None:
        return None
    duration_ms, billed_ms, memory_mb, rest = found.groups()
    init_ms = status = error_type = None
    if "Duration" in rest:
        init_ms = _first(_INIT, rest)
    if "Status" in rest:
        status, error_type = _first(_STATUS, rest), _first(_ERROR_TYPE, rest)
    try:
        return Report(
            float(duration_ms) / 1000,
            None if init_ms is None else float(init_ms) / 1000,
            int(billed_ms),
            int(memory_mb),
            _ending(status, error_type),
        )
    except ValueError:  # two points in a number, or more digits than a number may have
        return None


def rows_of_log(
    lines: Iterable[tuple[int, str]], wrong: WrongLines | None, *, timed: bool = True
) -> Iterator[Row]:
    """A row for each REPORT line; whatever else is in the log is passed over.

    A line may be text with a time in front, JSON of the platform, or an event of CloudWatch Logs.

    Args:
        lines: Numbered.
        wrong: Takes the lines that are wrong; None = the first of them is raised.
        timed: Whether a report without a time is wrong; else it has the time 0.

    Raises:
        LineError: A line is wrong.
    """
    for number, text in lines:
        try:
            row = None
            if WORD in text or _EVENT in text:
                require_utf8(text, number)
                row = _row(text, number, timed=timed)
        except LineError as error:
            if wrong is None:
                raise
            wrong.add(error)
        else:
            if row is not None:
                yield row


def lines_of_document(text: str) -> Iterator[tuple[int, str]]:
    """The events of `aws logs filter-log-events`, each as a line of JSON; numbered from 1.

    Raises:
        LineError: It is none.
    """
    require_utf8(text, 1)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LineError(getattr(error, "lineno", 1), f"is no JSON: {getattr(error, 'msg', error)}") from None
    events = document.get("events") if isinstance(document, dict) else document
    if not isinstance(events, list):
        raise LineError(1, "holds no list of events")
    for number, event in enumerate(events, 1):
        yield number, json.dumps(event)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return None if found is None else found[1]


def _row(text: str, line: int, *, timed: bool) -> Row | None:
    document: Any = None
    if text.lstrip().startswith("{"):
        try:
            document = orjson.loads(text.strip())
        except ValueError as error:
            raise LineError(line, f"is no JSON: {error}") from None
    if isinstance(document, dict):
        if document.get("type") == "platform.report":
            return _platform_report(document, line, None)
        return event_row(document, line)
    found = report_in(text)
    if found is None:
        raise LineError(line, "is no REPORT line: it is cut off, or of another form")
    time = _TIME.match(text)
    if time is None:
        if timed:
            raise LineError(
                line, 'REPORT has no time: it is needed in front of the line (or log_format = "json")'
            )
        return _of(found, line, 0.0, None)._replace(at_s=0.0, is_timed=False)
    return _of(found, line, timestamp_of(time[1], line), None)


def event_row(document: Mapping[str, Any], line: int) -> Row | None:
    """The REPORT line in an event of CloudWatch Logs, or None if its message is another."""
    message, group = document.get("message"), document.get("logGroup", document.get("logGroupName"))
    if not isinstance(message, str):
        return None
    function = group.rpartition(_GROUP)[2] if isinstance(group, str) and group else None
    if _EVENT in message:
        try:
            inner = orjson.loads(message)
        except ValueError as error:
            raise LineError(line, f"message: is no JSON: {error}") from None
        return _platform_report(inner, line, function) if isinstance(inner, dict) else None
    found = report_in(message)
    if found is None:
        if WORD in message:
            raise LineError(line, "message: is no REPORT line: it is cut off, or of another form")
        return None
    return _of(found, line, timestamp_of(document.get("timestamp"), line), function)


def _of(report: Report, line: int, end_s: float, function: str | None) -> Row:
    return Row(
        line,
        end_s - report.duration_s - (report.init_s or 0.0),
        function,
        duration_s=report.duration_s,
        memory_mb=report.memory_mb,
        init_s=report.init_s,
        ending=report.ending,
        billed_ms=report.billed_ms,
    )


def _platform_report(document: Mapping[str, Any], line: int, function: str | None) -> Row | None:
    """A row of a `platform.report`; None if the line is of another type."""
    if document.get("type") != "platform.report":
        return None
    record = document.get("record")
    metrics = record.get("metrics") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(metrics, dict):
        raise LineError(line, "platform.report: has no record with metrics")
    duration_s, memory_mb, billed_ms = (
        number_of(metrics.get(name), name, line)
        for name in ("durationMs", "memorySizeMB", "billedDurationMs")
    )
    init_ms = metrics.get("initDurationMs", metrics.get("restoreDurationMs"))
    init_s = None if init_ms is None else number_of(init_ms, "initDurationMs", line) / 1000
    ours = record.get("engine")
    waited_s = init_s or 0.0
    if isinstance(ours, dict):  # this engine says how long the event waited, for an init or for its turn
        function = ours.get("function") if isinstance(ours.get("function"), str) else function
        waited_s = number_of(ours.get("queueWaitMs", 1000 * waited_s), "queueWaitMs", line) / 1000
    return Row(
        line,
        timestamp_of(document.get("time"), line) - duration_s / 1000 - waited_s,
        function,
        duration_s=duration_s / 1000,
        memory_mb=int(memory_mb),
        init_s=init_s,
        ending=_ending(record.get("status"), record.get("errorType")),
        billed_ms=int(billed_ms),
    )


def _ending(status: Any, error_type: Any) -> Ending:
    """An error that the platform names, `Runtime.ExitError` say, means that the environment is gone."""
    if status is None or not isinstance(status, str):
        return "success"
    if status == "error":
        platform = isinstance(error_type, str) and error_type.startswith(("Runtime.", "Sandbox."))
        return "crash" if platform else "error"
    return _ENDS.get(status, "error")
