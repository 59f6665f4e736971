"""Reads a trace row by row, however large: JSON Lines or CSV of timestamp, function and payload."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TextIO

from engine.core.json_document import NotJson, loads
from engine.errors import EngineError

Format = Literal["auto", "jsonl", "csv"]

COLUMNS: Final = ("timestamp", "function", "payload")
_LONGEST_LINE: Final = 8 * 1024 * 1024
"""Characters: an event of 6 MiB, and room for what surrounds it."""


class TraceError(EngineError):
    """A trace that cannot be read: which file, which line (0: the whole of it), and why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(file, line, reason)
        self.file, self.line, self.reason = file, line, reason

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


class Row(NamedTuple):
    """One event of a trace.

    Attributes:
        line: Where it stands, from 1; of a CSV row of several lines the last one.
        at_s: Its timestamp in seconds, of whatever origin.
        function: The function it names, or None.
        payload: JSON text.
    """

    line: int
    at_s: float
    function: str | None
    payload: bytes


@contextmanager
def rows_of(file: Path, form: Format = "auto") -> Iterator[Iterator[Row]]:
    """The rows of `file`, read lazily. A file whose name ends in `.gz` is decompressed.

    Raises:
        TraceError: Here if it cannot be opened; from the iterator if a line is wrong.
    """
    kind = _kind(file, form)
    try:
        stream = _open(file)
    except OSError as error:
        raise TraceError(str(file), 0, error.strerror or str(error)) from None
    with stream:
        reader = _csv_rows if kind == "csv" else _json_rows
        yield _translated(reader(stream, str(file)), str(file))


def _kind(file: Path, form: Format) -> str:
    if form != "auto":
        return form
    suffixes = [suffix for suffix in file.suffixes if suffix != ".gz"]
    kinds = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}
    kind = kinds.get(suffixes[-1].lower()) if suffixes else None
    if kind is None:
        raise TraceError(
            str(file), 0, "its name ends neither in .jsonl nor in .csv: say which it is by `format`"
        )
    return kind


def _open(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _translated(rows: Iterator[Row], file: str) -> Iterator[Row]:
    """Raise what goes wrong with a file as TraceError."""
    try:
        yield from rows
    except UnicodeDecodeError as error:
        raise TraceError(file, 0, f"is not UTF-8: {error.reason}") from None
    except (EOFError, OSError) as error:  # a file that is cut off, or no gzip file at all
        raise TraceError(file, 0, str(error)) from None


# ---------------------------------------------------------------- JSON Lines


def _json_rows(stream: TextIO, file: str) -> Iterator[Row]:
    for number in itertools.count(1):
        text = stream.readline(_LONGEST_LINE + 1)
        if not text:
            return
        if len(text) > _LONGEST_LINE:
            raise TraceError(file, number, f"is longer than {_LONGEST_LINE} characters")
        if text.strip():
            yield _json_row(text, file, number)


def _json_row(text: str, file: str, line: int) -> Row:
    try:
        document = loads(text.encode())
    except NotJson as error:
        raise TraceError(file, line, f"is no JSON: {error.reason}") from None
    if not isinstance(document, dict):
        raise TraceError(file, line, "is no JSON object")
    for key in document:
        if key not in COLUMNS:
            raise TraceError(file, line, f"unknown member {key!r} (known: {', '.join(COLUMNS)})")
    if "timestamp" not in document:
        raise TraceError(file, line, "has no timestamp")
    function = document.get("function")
    if function is not None and not isinstance(function, str):
        raise TraceError(file, line, "function: is no text")
    payload = json.dumps(document.get("payload", {}), separators=(",", ":")).encode()
    return Row(line, _timestamp(document["timestamp"], file, line), function or None, payload)


# ---------------------------------------------------------------- CSV


def _csv_rows(stream: TextIO, file: str) -> Iterator[Row]:
    reader = csv.reader(stream, strict=True)
    try:
        pick = _columns(next(reader, None), file)
        for fields in reader:
            if fields:
                yield _csv_row(pick(fields, reader.line_num), file, reader.line_num)
    except csv.Error as error:
        raise TraceError(file, reader.line_num, f"is no CSV: {error}") from None


def _columns(head: list[str] | None, file: str) -> Callable[[list[str], int], dict[str, str]]:
    if head is None:
        raise TraceError(file, 1, f"is empty: the first line names the columns ({', '.join(COLUMNS)})")
    names = [name.strip().lower() for name in head]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "timestamp" not in names or len(set(names)) < len(names):
        wrong = (
            f"{unknown[0]!r} is no column" if unknown else "timestamp is missing, or a column is there twice"
        )
        raise TraceError(file, 1, f"{wrong} (the first line names them: {', '.join(COLUMNS)})")

    def pick(fields: list[str], line: int) -> dict[str, str]:
        if len(fields) != len(names):
            raise TraceError(file, line, f"has {len(fields)} fields, not {len(names)}")
        return dict(zip(names, fields, strict=True))

    return pick


def _csv_row(fields: dict[str, str], file: str, line: int) -> Row:
    payload = fields.get("payload", "").strip() or "{}"
    encoded = payload.encode()
    try:
        loads(encoded)
    except NotJson as error:
        raise TraceError(file, line, f"payload: is no JSON: {error.reason}") from None
    function = fields.get("function", "").strip()
    return Row(line, _timestamp(fields["timestamp"].strip(), file, line), function or None, encoded)


def _timestamp(value: Any, file: str, line: int) -> float:
    """Seconds as a number, or an ISO 8601 date and time (UTC, if it names no zone)."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = _iso(value, file, line)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        shown = value if isinstance(value, float) and not math.isfinite(value) else repr(value)[:50]
        raise TraceError(file, line, f"timestamp: {shown} is no number of seconds")
    return float(value)


def _iso(text: str, file: str, line: int) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        reason = f"timestamp: {text[:50]!r} is neither a number of seconds nor an ISO 8601 date and time"
        raise TraceError(file, line, reason) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
