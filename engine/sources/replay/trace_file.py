"""What every reader of a trace shares: one row, what is wrong with a line, the lines of a large file."""

from __future__ import annotations

import csv
import gzip
import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TextIO

from engine.errors import EngineError

Ending = Literal["success", "error", "crash", "timeout"]
"""How an invocation ended: `crash` took its environment with it, as a time-out does."""

MAX_CALLS: Final = 20_000_000
"""Calls of a trace that are held in memory."""

LONGEST_LINE: Final = 8 * 1024 * 1024
"""Characters: an event of 6 MiB, and room for what surrounds it."""

_NAMED: Final = 10
"""Wrong lines whose numbers are kept."""

_MILLISECONDS_FROM: Final = 1e11
"""A timestamp from here on is in milliseconds: as seconds it would be after the year 5000."""


class TraceError(EngineError):
    """A trace that cannot be read: which file, which line (0: the whole of it), and why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(file, line, reason)
        self.file, self.line, self.reason = file, line, reason

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


class LineError(EngineError):
    """A line that is not what its layout says: its number (from 1), and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class TooManyCalls(EngineError):
    """A trace has more than `MAX_CALLS`."""

    def __str__(self) -> str:
        return f"has more than {MAX_CALLS:,} calls; cut it by --seconds, or read a part of it"


class WrongLines:
    """Lines that were left out because they are wrong: counted, the first with its reason.

    Attributes:
        count: How many.
        first: The first of them, or None.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: LineError | None = None
        self._numbers: list[int] = []

    def add(self, error: LineError) -> None:
        """Count one more."""
        self.count += 1
        self.first = self.first or error
        if len(self._numbers) < _NAMED:
            self._numbers.append(error.line)

    def error(self) -> LineError | None:
        """One sentence for all of them, or None if no line is wrong."""
        if self.first is None or self.count == 1:
            return self.first
        numbers = ", ".join(map(str, self._numbers[1:]))
        more = ", ..." if self.count > len(self._numbers) else ""
        reason = f"{self.first.reason} ({self.count:,} lines are wrong; also {numbers}{more})"
        return LineError(self.first.line, reason)


class Row(NamedTuple):
    """One event of a trace.

    Attributes:
        line: Where it stands, from 1; of a CSV row of several lines the last one.
        at_s: When it came, in seconds of whatever origin.
        function: The function it names, or None.
        payload: JSON text.
        duration_s, init_s: How long its handler took, and the initialisation it waited for, if the trace
            says it; without `init_s` in a trace that has such a column it was warm.
        memory_mb: Configured memory, if the trace says it.
        ending: How it ended, if the trace says it.
        billed_ms: What was billed, if the trace says it.
        is_timed: Whether the trace says when it came; else `at_s` is 0.
        cpu_s: CPU that its handler took, if the trace says it.
    """

    line: int
    at_s: float
    function: str | None
    payload: bytes = b"{}"
    duration_s: float | None = None
    memory_mb: int | None = None
    init_s: float | None = None
    ending: Ending | None = None
    billed_ms: int | None = None
    is_timed: bool = True
    cpu_s: float | None = None


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """The file as UTF-8 text; one whose name ends in `.gz` is decompressed. Other bytes become surrogates.

    Raises:
        TraceError: It cannot be opened.
    """
    with reading(file):
        stream = _stream(file)
    with stream:
        yield stream


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Raise what goes wrong with the file, or with a line, as `TraceError`."""
    try:
        yield
    except LineError as error:
        raise TraceError(str(file), error.line, error.reason) from None
    except TooManyCalls as error:
        raise TraceError(str(file), 0, str(error)) from None
    except (EOFError, OSError, zlib.error) as error:  # cut off, or no gzip file at all
        raise TraceError(str(file), 0, getattr(error, "strerror", None) or str(error)) from None


def _stream(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return file.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def numbered_lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers.

    Raises:
        LineError: A line is longer than `LONGEST_LINE`.
    """
    for number in itertools.count(1):
        text = stream.readline(LONGEST_LINE + 1)
        if not text:
            return
        if len(text) > LONGEST_LINE:
            raise LineError(number, f"is longer than {LONGEST_LINE} characters")
        if text.strip():
            yield number, text


class Table:
    """A CSV table: columns by name, rows with the number of their line.

    Args:
        lines: The file.
        wrong: Takes the rows that are wrong; None = the first of them is raised.
        needed: What the first line has to name, said if there is none.

    Raises:
        LineError: There is no first line.
    """

    def __init__(self, lines: Any, wrong: WrongLines | None, needed: str = "") -> None:
        self._reader = csv.reader(lines, strict=True)
        self._wrong = wrong
        self._calls = 0
        try:
            head = next(self._reader, None)
        except csv.Error as error:
            raise LineError(self.line, f"is no CSV: {error}") from None
        if head is None:
            raise LineError(1, f"is empty: the first line names the columns{needed}")
        require_utf8("".join(head), 1)
        self.head = [name.strip() for name in head]

    @property
    def line(self) -> int:
        """The number of the line that was read last."""
        return self._reader.line_num

    def column(self, name: str) -> int:
        """Return the index of a column; raise `LineError` if there is none of that name."""
        try:
            return self.head.index(name)
        except ValueError:
            raise LineError(1, f"has no column {name!r} (it has: {', '.join(self.head[:12])})") from None

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, fields), each as wide as the head. Who reads one that is wrong tells `refuse`."""
        width = len(self.head)
        while True:
            try:
                row = next(self._reader)
                if row and len(row) != width:
                    raise LineError(self.line, f"has {len(row)} fields, not {width}")
                require_utf8("".join(row), self.line)
            except StopIteration:
                return
            except csv.Error as error:
                self.refuse(LineError(self.line, f"is no CSV: {error}"))
            except LineError as error:
                self.refuse(error)
            else:
                if row:
                    yield self.line, row

    def take(self, calls: int) -> None:
        """Count calls that are about to be held in memory. Raises `TooManyCalls`."""
        self._calls += calls
        if self._calls > MAX_CALLS:
            raise TooManyCalls

    def refuse(self, error: LineError) -> None:
        """Count a row as wrong, or raise it."""
        if self._wrong is None:
            raise error
        self._wrong.add(error)

    def number(self, row: list[str], column: int, line: int) -> float:
        """Read a number; raise `LineError` if it is negative or none."""
        return number_of(row[column], self.head[column], line)

    def count(self, row: list[str], column: int, line: int) -> int:
        """A whole number; an empty field is 0."""
        text = row[column]
        if text.isdecimal() and text.isascii():
            return int(text[:18]) if len(text) < 19 else 10**18
        if not text.strip():
            return 0
        value = self.number(row, column, line)
        if value != int(value):
            raise LineError(line, f"{self.head[column]}: {text[:40]} is not a whole number")
        return int(value)


def require_utf8(text: str, line: int) -> None:
    """Raise `LineError` if the text was made of bytes that are not UTF-8."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise LineError(line, "is not UTF-8") from None


def number_of(text: Any, name: str, line: int) -> float:
    """A number, 0 or more; raises `LineError` with the name of what it is."""
    try:
        if isinstance(text, bool):
            raise TypeError
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        raise LineError(line, f"{name}: {_shown(text)} is not a number") from None
    if not 0 <= value < float("inf"):
        raise LineError(line, f"{name}: {str(text)[:40].strip()} must be 0 or more")
    return value


def timestamp_of(value: Any, line: int) -> float:
    """Seconds: from a number of seconds or milliseconds, or ISO 8601 (UTC, if it names no zone)."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = _iso(value, line)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        finite = isinstance(value, float) and not -1e308 < value < 1e308
        shown = value if finite else repr(value)[:50]
        raise LineError(line, f"timestamp: {shown} is no number of seconds")
    return value / 1000 if value >= _MILLISECONDS_FROM else float(value)


def _iso(text: str, line: int) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        reason = f"timestamp: {text[:50]!r} is neither a number of seconds nor an ISO 8601 date and time"
        raise LineError(line, reason) from None


def _shown(value: Any) -> str:
    return repr(value.strip()[:40] if isinstance(value, str) else value)[:50]
