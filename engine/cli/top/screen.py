"""The live picture of `engine top`: header, sparklines, a table of functions, and the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.cli.demo.view import sparkline
from engine.cli.top.event_log import EventLog
from engine.cli.top.formatting import (
    HEADINGS,
    MONTH_H,
    NODE_HEADINGS,
    ORDERS,
    cells,
    dollars,
    node_cells,
    ordered,
    rate,
    span,
)
from engine.cli.top.reading import NodeRow, TopSnapshot
from engine.core.late_dataclass import dataclass

_HISTORY: Final = 120
_LOG_LINES: Final = 8
_MIN_ROWS: Final = 3
_NODE_ROWS: Final = 12
_OTHER_LINES: Final = 9  # header, sparklines, headings, keys, and what stands between
_STYLES: Final = {"quiet": "dim", "good": "green", "bad": "red"}


@dataclass(slots=True, kw_only=True)
class Picture:
    """What is shown, and the choices of the person who looks at it.

    Attributes:
        url: Where the engine is.
        order: One of `formatting.ORDERS`.
        pattern: Functions to show, `*` in it.
        paused: The picture stands still; the log goes on.
        trouble: Why there are no new numbers.
    """

    url: str
    order: str = "rate"
    pattern: str = "*"
    paused: bool = False
    trouble: str = ""
    frame: TopSnapshot | None = None
    log: EventLog = field(default_factory=EventLog)
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    in_use: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    cold: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def take(self, frame: TopSnapshot) -> None:
        """Show `frame` from now on."""
        self.trouble = ""
        if self.paused:
            return
        self.frame = frame
        self.rates.append(frame.per_s)
        self.in_use.append(frame.in_flight)
        self.cold.append(frame.cold_per_s)

    def press(self, key: str) -> bool:
        """Handle a key; return whether to go on."""
        if key == "s":
            self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        elif key == "p":
            self.paused = not self.paused
        return key not in ("q", "\x03", "\x04")

    def drawn(self, console: Console) -> RenderableType:
        """As large as the console is, and no larger."""
        frame = self.frame
        if frame is None:
            return Text(self.trouble or f"asking {self.url} …")
        rows = [row for row in frame.rows if fnmatchcase(row.function, self.pattern)]
        logged_events = list(self.log)[-_LOG_LINES:]
        nodes = _nodes(frame.nodes)
        room = max(_MIN_ROWS, console.height - _OTHER_LINES - len(logged_events) - _lines(nodes))
        shown = ordered(rows, self.order)[:room]
        table = _table(HEADINGS)
        for row in shown:
            style = "red" if row.errors else "" if row.per_s or row.in_flight else "dim"
            table.add_row(*cells(row), style=style)
        hidden = len(rows) - len(shown)
        more = [Text(f"and {hidden} more", style="dim")] if hidden else []
        log = [
            Text(f"{span(one.at_s):>12}  {one}", style=_STYLES[one.tone], no_wrap=True, overflow="ellipsis")
            for one in logged_events
        ]
        return Group(
            self._header(frame),
            *self._sparks(console.width),
            Text(),
            table,
            *more,
            *nodes,
            Text(),
            *log,
            self._keys(),
        )

    def _header(self, frame: TopSnapshot) -> Text:
        return Text(headline(frame), style="bold", no_wrap=True, overflow="ellipsis")

    def _sparks(self, width: int) -> list[Text]:
        shown: tuple[tuple[str, Sequence[float]], ...] = (
            ("per s", self.rates),
            ("in use", self.in_use),
            ("cold/s", self.cold),
        )
        room = max(10, width - 22)
        return [
            Text(f"{name:<7}", style="dim", end="")
            + Text(f"{sparkline(_whole(values), room)} ", style="cyan")
            + Text(rate(values[-1]) if values else "")
            for name, values in shown
        ]

    def _keys(self) -> Text:
        state = self.trouble or ("paused" if self.paused else "")
        keys = Text(f"q quit   s sort: {self.order}   p pause   ", style="dim")
        return keys + Text(state, style="bold red" if self.trouble else "bold yellow")


def headline(frame: TopSnapshot) -> str:
    """The whole engine in one line."""
    return (
        f"up {span(frame.uptime_s)}   {rate(frame.per_s)} per s   "
        f"{frame.in_flight:,} in use / {frame.ready:,} ready / {frame.desired:,} desired   "
        f"{frame.queued:,} queued   {rate(frame.throttles_per_s)} throttled/s   "
        f"{dollars(frame.usd_per_hour)}/h, {dollars(frame.usd_per_hour * MONTH_H)}/month"
    )


def _table(headings: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _nodes(rows: Sequence[NodeRow]) -> list[RenderableType]:
    """A table of the nodes, those in trouble first; nothing without a cluster."""
    if not rows:
        return []
    shown = sorted(rows, key=lambda row: (row.state != "lost", row.node))[:_NODE_ROWS]
    table = _table(NODE_HEADINGS)
    for row in shown:
        style = "red" if row.state == "lost" or row.errors else "" if row.state == "up" else "dim"
        table.add_row(*node_cells(row), style=style)
    hidden = len(rows) - len(shown)
    return [Text(), table, *([Text(f"and {hidden} nodes more", style="dim")] if hidden else [])]


def _lines(parts: Sequence[RenderableType]) -> int:
    return sum(part.row_count + 1 if isinstance(part, Table) else 1 for part in parts)


def _whole(values: Sequence[float]) -> list[int]:
    """A sparkline takes whole numbers: thousandths tell small rates apart."""
    return [round(value * 1000) for value in values]
