"""Reads a trace of events row by row, however large: CSV, JSON Lines, or a log with REPORT lines."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from engine.core.json_document import NotJson, loads
from engine.sources.replay.published import COLD_START_LAYOUTS, LAYOUTS, layout_of
from engine.sources.replay.reports import WORD, event_row, lines_of_document, report_in, rows_of_log
from engine.sources.replay.trace_file import (
    Ending,
    LineError,
    Row,
    Table,
    TraceError,
    WrongLines,
    number_of,
    numbered_lines,
    opened,
    reading,
    timestamp_of,
)

Format = Literal["auto", "jsonl", "csv", "reports"]
"""How a trace is written; `reports` is a log with REPORT lines, as text, as JSON or as exported CSV."""

COLUMNS: Final = (
    *("timestamp", "function", "payload", "duration_ms", "memory_mb", "init_ms", "status", "cpu_ms"),
)
_LOOKED_AT: Final = 65_536
"""Characters from which the form of a file is told."""

_SPELLINGS: Final[Mapping[str, str]] = {
    **{name: name for name in COLUMNS},
    **dict.fromkeys(("ts", "time", "start"), "timestamp"),
    **dict.fromkeys(("function_name", "functionname"), "function"),
    "duration_s": "duration_s",
    "duration": "duration",
    "elapsed": "duration",
    "memory": "memory_mb",
    "init_duration_ms": "init_ms",
    "message": "message",
    "@timestamp": "end",
    "@message": "message",
    "@duration": "duration_ms",
    "@billedduration": "billed_ms",
    "@memorysize": "memory_bytes",
    "@initduration": "init_ms",
    **dict.fromkeys(("@requestid", "@maxmemoryused", "@type", "@log", "@logstream", "@ptr"), ""),
    **dict.fromkeys(("request_id", "requestid", "max_memory_mb", "log_stream", "region"), ""),
}
"""Names of columns, lower case, and what they mean; empty = nothing that is needed."""

_STATUSES: Final[Mapping[str, Ending]] = {
    **dict.fromkeys(("", "ok", "success", "succeeded"), "success"),
    **dict.fromkeys(("error", "failed", "failure", "exception"), "error"),
    **dict.fromkeys(("timeout", "timed_out", "timed out"), "timeout"),
    **dict.fromkeys(("crash", "oom"), "crash"),
}
_BYTES_PER_MB: Final = 1_000_000  # as Logs Insights counts: 128 MB are 128000000
_PROBABLY_SECONDS: Final = 30.0


@contextmanager
def rows_of(
    file: Path, form: Format = "auto", wrong: WrongLines | None = None, *, timed: bool = True
) -> Iterator[Iterator[Row]]:
    """The rows of `file`, read lazily. A file whose name ends in `.gz` is decompressed.

    Args:
        file: The trace.
        form: How it is written; auto = by its first lines and its name.
        wrong: Takes the lines that are wrong, which are left out; None = the first of them is raised.
        timed: Whether a REPORT line without a time is wrong.

    Raises:
        TraceError: Here if it cannot be opened; from the iterator if a line is wrong.
    """
    kind = _kind_of(file, form)
    if kind in (*LAYOUTS, *COLD_START_LAYOUTS):
        raise TraceError(str(file), 0, f"is of layout {kind}, which is not read row by row")
    with opened(file) as stream:
        yield _translated(_rows(stream, kind, wrong, timed=timed), file)


def _kind_of(file: Path, form: Format) -> str:
    """As `form_of`; what is said to be a log may still be one that was exported as CSV."""
    if form in ("jsonl", "csv"):
        return form
    try:
        found = form_of(file)
    except TraceError:
        if form == "auto":
            raise
        return form
    return found if form == "auto" or found == "report-csv" else form


def form_of(file: Path) -> str:
    """What a file is: `csv`, `jsonl`, `reports`, `report-csv`, or a published layout.

    It is told by its first lines, else by its name.

    Raises:
        TraceError: It cannot be opened, or told.
    """
    with opened(file) as stream, reading(file):
        text = stream.read(_LOOKED_AT)
    first = next((line for line in text.splitlines() if line.strip()), "").strip()
    try:
        head = tuple(name.strip() for name in next(csv.reader([first]), ()))
    except csv.Error:
        head = ()
    if (layout := layout_of(head)) is not None:
        return layout
    meanings = {_SPELLINGS.get(name.lower()) for name in head}
    if meanings & {"timestamp", "end"}:
        return "report-csv" if meanings & {"end", "message"} else "csv"
    if first.startswith("{"):
        return "reports" if _is_log(first, text) or ".log" in file.suffixes else "jsonl"
    return "reports" if WORD in text or '"platform.' in text else _kind_by_name(file)


def _is_log(first: str, text: str) -> bool:
    """Whether a file that begins with a brace is a log, or a document of log events."""
    try:
        document = json.loads(first)
    except (ValueError, RecursionError):
        return WORD in text or "platform.report" in text or '"events"' in text
    if "timestamp" in document and "message" not in document:
        return False
    members = ("message", "type", "record", "events", "_aws")
    return any(name in document for name in members) or '"platform.' in text or WORD in text


def _kind_by_name(file: Path) -> str:
    suffixes = [suffix for suffix in file.suffixes if suffix != ".gz"]
    kinds = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".log": "reports"}
    kind = kinds.get(suffixes[-1].lower()) if suffixes else None
    if kind is None:
        raise TraceError(
            str(file), 0, "its name ends neither in .jsonl nor in .csv: say which it is by `format`"
        )
    return kind


def _rows(stream: TextIO, kind: str, wrong: WrongLines | None, *, timed: bool) -> Iterator[Row]:
    match kind:
        case "csv" | "report-csv":
            return _csv_rows(stream, wrong)
        case "jsonl":
            return _json_rows(stream, wrong)
        case _:
            return _log_rows(stream, wrong, timed=timed)


def _translated(rows: Iterator[Row], file: Path) -> Iterator[Row]:
    with reading(file):
        yield from rows


def _log_rows(stream: TextIO, wrong: WrongLines | None, *, timed: bool) -> Iterator[Row]:
    lines = numbered_lines(stream)
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip().startswith(("{", "[")):
        try:
            document = json.loads(first[1])
        except (ValueError, RecursionError):
            document = None
        if document is None or (isinstance(document, dict) and "events" in document):
            yield from rows_of_log(lines_of_document(first[1] + stream.read()), wrong, timed=timed)
            return
    yield from rows_of_log(_chained(first, lines), wrong, timed=timed)


def _chained(first: tuple[int, str], lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from lines


# ---------------------------------------------------------------- JSON Lines


def _json_rows(stream: TextIO, wrong: WrongLines | None) -> Iterator[Row]:
    units = _Units()
    for line, text in numbered_lines(stream):
        try:
            row = _json_row(text, line, units)
        except LineError as error:
            if wrong is None:
                raise
            wrong.add(error)
        else:
            yield row
    units.check()


def _json_row(text: str, line: int, units: _Units) -> Row:
    try:
        document = loads(text.encode())
    except UnicodeEncodeError:
        raise LineError(line, "is not UTF-8") from None
    except NotJson as error:
        raise LineError(line, f"is no JSON: {error.reason}") from None
    if not isinstance(document, dict):
        raise LineError(line, "is no JSON object")
    fields = {}
    for key, value in document.items():
        name = _SPELLINGS.get(key.lower())
        if name is None:
            raise LineError(line, f"unknown member {key!r} (known: {', '.join(COLUMNS)})")
        fields[name] = value
    if "timestamp" not in fields and "end" not in fields:
        raise LineError(line, "has no timestamp")
    function = fields.get("function")
    if function is not None and not isinstance(function, str):
        raise LineError(line, "function: is no text")
    payload = b"{}"
    if "payload" in fields:
        payload = json.dumps(fields["payload"], separators=(",", ":")).encode()
    return _row(fields, function or None, payload, line, units)


# ---------------------------------------------------------------- CSV


def _csv_rows(stream: TextIO, wrong: WrongLines | None) -> Iterator[Row]:
    table = Table(stream, wrong, f" ({', '.join(COLUMNS)})")
    names = _meanings(table.head)
    units = _Units()
    make = _insights_row if "message" in names else _csv_row
    for line, fields in table.rows():
        try:
            row = make(dict(zip(names, fields, strict=True)), line, units)
        except LineError as error:
            table.refuse(error)
        else:
            if row is not None:
                yield row
    units.check()


def _meanings(head: list[str]) -> list[str]:
    """What each column is; raises `LineError` for a head that cannot be read."""
    found = [_SPELLINGS.get(name.lower()) for name in head]
    known = [name for name in found if name]
    timed = "timestamp" in known or "end" in known
    unknown = [name for name, meaning in zip(head, found, strict=True) if meaning is None]
    if unknown or not timed or len(set(known)) < len(known):
        wrong = (
            f"{unknown[0].lower()!r} is no column"
            if unknown
            else "timestamp is missing, or a column is there twice"
        )
        raise LineError(1, f"{wrong} (the first line names them: {', '.join(COLUMNS)})")
    return [name or "" for name in found]


def _csv_row(fields: dict[str, str], line: int, units: _Units) -> Row:
    payload = b"{}"
    if text := fields.get("payload", "").strip():
        payload = text.encode()
        try:
            loads(payload)
        except NotJson as error:
            raise LineError(line, f"payload: is no JSON: {error.reason}") from None
    return _row(fields, fields.get("function", "").strip() or None, payload, line, units)


def _insights_row(fields: dict[str, str], line: int, _units: _Units) -> Row | None:
    """An exported log: a time and a message a row; None if that is no REPORT line."""
    time = fields.get("end", fields.get("timestamp", "")).strip()
    if report_in(fields["message"]) is None and '"platform.report"' not in fields["message"]:
        return None
    row = event_row({"timestamp": time, "message": fields["message"]}, line)
    function = fields.get("function", "").strip()
    return row if row is None or not function else row._replace(function=function)


# ---------------------------------------------------------------- both


class _Units:
    """Durations whose unit the trace does not say: they are taken for milliseconds, unless that is absurd."""

    def __init__(self) -> None:
        self._most = -math.inf

    def seconds(self, value: Any, line: int) -> float:
        """The duration in a column that says no unit."""
        number = number_of(value, "duration", line)
        self._most = max(self._most, number)
        return number / 1000

    def check(self) -> None:
        """Raise `LineError` if all were so short that they are probably seconds."""
        if -math.inf < self._most < _PROBABLY_SECONDS:
            raise LineError(
                1,
                "duration: all are below 30: seconds? Name the column duration_s or duration_ms",
            )


def _row(fields: Mapping[str, Any], function: str | None, payload: bytes, line: int, units: _Units) -> Row:
    """A row of fields by their meaning: text of CSV, or values of JSON; what is empty is not said."""
    at_s = end_s = duration_s = init_s = cpu_s = memory_mb = billed_ms = ending = None
    for name, given in fields.items():
        value = given.strip() if isinstance(given, str) else given
        if name == "timestamp":
            at_s = timestamp_of(value, line)
        elif name == "end":
            end_s = timestamp_of(value, line)
        elif name == "status":
            ending = _ending(value, line)
        elif value is None or value == "":
            continue
        elif name == "duration_ms":
            duration_s = number_of(value, name, line) / 1000
        elif name == "duration_s":
            duration_s = number_of(value, name, line)
        elif name == "duration":
            duration_s = units.seconds(value, line)
        elif name == "init_ms":
            init_s = number_of(value, name, line) / 1000
        elif name == "cpu_ms":
            cpu_s = number_of(value, name, line) / 1000
        elif name == "memory_mb":
            memory_mb = _whole(number_of(value, name, line), name, line)
        elif name == "memory_bytes":
            memory_mb = round(number_of(value, "@memorySize", line) / _BYTES_PER_MB)
        elif name == "billed_ms":
            billed_ms = round(number_of(value, "@billedDuration", line))
    if at_s is None:  # a line of a log is written at the end
        at_s = (end_s or 0.0) - (duration_s or 0.0) - (init_s or 0.0)
    return Row(line, at_s, function, payload, duration_s, memory_mb, init_s, ending, billed_ms, cpu_s=cpu_s)


def _whole(value: float, name: str, line: int) -> int:
    if value != int(value) or not 1 <= value <= 1_000_000:
        raise LineError(line, f"{name}: {value:g} is no size in MB")
    return int(value)


def _ending(value: Any, line: int) -> Ending:
    if value is None:
        return "success"
    found = _STATUSES.get(value) or _STATUSES.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise LineError(line, f"status: {str(value)[:40]!r} is none of ok, error, timeout, crash")
    return found
