"""`engine top` without a terminal: a line of totals and a table each time, or one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TextIO

import orjson

from engine.cli.top.event_log import LoggedEvent
from engine.cli.top.formatting import HEADINGS, NODE_HEADINGS, cells, node_cells, ordered, span
from engine.cli.top.reading import TopSnapshot
from engine.cli.top.screen import headline


class Plain:
    """Text, aligned in columns; functions that did nothing are left out."""

    def __init__(self, out: TextIO, order: str, pattern: str) -> None:
        self._out = out
        self._order = order
        self._pattern = pattern

    def show(self, frame: TopSnapshot, logged_events: Sequence[LoggedEvent]) -> None:
        """Write one frame and what happened before it."""
        lines = [f"{span(one.at_s)}  {one}" for one in logged_events]
        lines.append(headline(frame))
        rows = [row for row in frame.rows if fnmatchcase(row.function, self._pattern)]
        busy = [row for row in rows if row.per_s or row.throttles_per_s or row.in_flight or row.queued]
        if busy:
            lines += _aligned([HEADINGS, *map(cells, ordered(busy, self._order))])
        if frame.nodes:
            lines += _aligned([NODE_HEADINGS, *map(node_cells, frame.nodes)])
        self._out.write("\n".join(lines) + "\n")
        self._out.flush()


def _aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        name, *numbers = (
            text.ljust(width) if not number else text.rjust(width)
            for number, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join((f"  {name}", *numbers))


class Json:
    """One object a line, with every number as it is."""

    def __init__(self, out: TextIO, order: str, pattern: str) -> None:
        self._out = out
        self._order = order
        self._pattern = pattern

    def show(self, frame: TopSnapshot, logged_events: Sequence[LoggedEvent]) -> None:
        """Write one frame and what happened before it."""
        rows = [row for row in frame.rows if fnmatchcase(row.function, self._pattern)]
        document = frame._asdict() | {
            "rows": [row._asdict() for row in ordered(rows, self._order)],
            "nodes": [row._asdict() for row in frame.nodes],
            "happened": [one._asdict() for one in logged_events],
        }
        self._out.write(orjson.dumps(document).decode() + "\n")
        self._out.flush()
