"""The demo while it runs: a live table for a terminal, plain lines for everything else, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.cli.demo.phases import DemoPhase, PhaseProgress

_FRAME_S: Final = 0.25
_LINE_S: Final = 2.0
_SPARKS: Final = " ▁▂▃▄▅▆▇█"
_BAR_WIDTH: Final = 16


class Quiet:
    """Shows nothing: for `--json`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def began(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """See `View`."""

    def sampled(self, board: PhaseProgress) -> None:
        """See `View`."""

    def ended(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """See `View`."""


class Lines(Quiet):
    """A line when a phase begins or ends, and one every other second between."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last_s = 0.0

    def began(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """Print what the phase is to show."""
        number = board.phases.index(phase) + 1
        self._say(board, f"{number}/{len(board.phases)} {phase.title}: {phase.target}")

    def sampled(self, board: PhaseProgress) -> None:
        """Say how far it is, if the last line was a while ago."""
        phase = board.current
        if phase is not None and board.elapsed_s() - self._last_s >= _LINE_S:
            self._say(board, f"  {phase.title}: {numbers(board)}, about {board.remaining_s():.0f} s left")

    def ended(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """Print what the phase showed."""
        self._say(board, f"  {phase.title}: {phase.achieved}")

    def _say(self, board: PhaseProgress, line: str) -> None:
        self._last_s = board.elapsed_s()
        self._out.write(f"{self._last_s:5.1f} s  {line}\n")
        self._out.flush()


class Screen(Quiet):
    """A table of the phases with progress, and the numbers of now, redrawn four times a second."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._last_s = -1.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def began(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """Show it at once."""
        self._draw(board)

    def sampled(self, board: PhaseProgress) -> None:
        """Redraw, unless that was just done."""
        if board.elapsed_s() - self._last_s >= _FRAME_S:
            self._draw(board)

    def ended(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """Show it at once."""
        self._draw(board)

    def _draw(self, board: PhaseProgress) -> None:
        self._last_s = board.elapsed_s()
        self._live.update(screen(board), refresh=True)


def screen(board: PhaseProgress) -> RenderableType:
    """The whole picture of now."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "phase", "target", "", "so far"):
        table.add_column(title, no_wrap=title == "phase")
    for phase in board.phases:
        mark, style = _mark(phase)
        share = board.share(phase)
        bar = ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH)
        table.add_row(
            Text(mark, style=style),
            Text(phase.title, style=style),
            Text(phase.target, style="dim" if phase.began_s is None else ""),
            bar if share else "",
            Text(board.so_far(phase)),
        )
    spark = Text(sparkline([one.in_flight for one in board.history]), style="cyan")
    clock = Text(f"{board.elapsed_s():.0f} s, about {board.remaining_s():.0f} s left", style="dim")
    return Group(table, Text(), Text(numbers(board)), Text("in flight ", end="") + spark, clock)


def numbers(board: PhaseProgress) -> str:
    """The engine now, in one line."""
    if not board.history:
        return "waiting for the engine"
    now = board.history[-1]
    return (
        f"{now.in_flight:,} in flight, {now.environments:,} environments, {board.per_s:,.0f} per s, "
        f"{now.invocations:,} invocations, {now.throttles:,} refused, ${now.cost_usd:.6f}"
    )


def sparkline(values: Sequence[int], width: int = 60) -> str:
    """Values as bars one character high: the highest fills it, and only zero is empty.

    Of more than `width` values each bar is the highest of several.
    """
    each = -(-len(values) // width) or 1
    shown = [max(values[start : start + each]) for start in range(0, len(values), each)]
    top = max(shown, default=0) or 1
    steps = len(_SPARKS) - 1
    return "".join(_SPARKS[-(-value * steps // top)] for value in shown)


def _mark(phase: DemoPhase) -> tuple[str, str]:
    if phase.ended_s is not None:
        return "✓", "green"
    return ("▸", "bold cyan") if phase.began_s is not None else ("·", "dim")
