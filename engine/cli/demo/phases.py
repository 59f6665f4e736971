"""The phases of the demo and how far it is: what the driver writes and every view reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, Protocol

from engine.core.late_dataclass import dataclass
from engine.telemetry.status_sample import StatusSample

_RATE_OVER_S: Final = 1.0
_HISTORY: Final = 600


@dataclass(slots=True, kw_only=True)
class DemoPhase:
    """One part of the demo.

    Attributes:
        title: A few words.
        target: What it is to show.
        shows: Which number of the engine tells how far it is.
        planned_s: How long it should take.
        began_s, ended_s: When it did, on the time axis of the samples.
        achieved: What it showed, once it ended.
    """

    title: str
    target: str
    shows: Literal["concurrency", "rate", "environments"]
    planned_s: float
    began_s: float | None = None
    ended_s: float | None = None
    achieved: str = ""


class View(Protocol):
    """Shows the progress of the demo."""

    def began(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """Show that a phase has begun."""

    def sampled(self, board: PhaseProgress) -> None:
        """Show new numbers; called some ten times a second."""

    def ended(self, board: PhaseProgress, phase: DemoPhase) -> None:
        """Show that a phase has ended."""


class PhaseProgress:
    """All phases, the latest numbers, and the time.

    `elapsed_s` gives seconds on the time axis of the samples.
    """

    def __init__(self, phases: tuple[DemoPhase, ...], elapsed_s: Callable[[], float], view: View) -> None:
        self.phases = phases
        self.elapsed_s = elapsed_s
        self._view = view
        self.history: deque[StatusSample] = deque(maxlen=_HISTORY)

    @contextmanager
    def during(self, index: int) -> Iterator[DemoPhase]:
        """Phase number `index` runs inside this block."""
        phase = self.phases[index]
        phase.began_s = self.elapsed_s()
        self._view.began(self, phase)
        yield phase
        phase.ended_s = self.elapsed_s()
        self._view.ended(self, phase)

    def show_sample(self, sample: StatusSample) -> None:
        """Take over a new sample."""
        self.history.append(sample)
        self._view.sampled(self)

    @property
    def current(self) -> DemoPhase | None:
        """The phase that runs."""
        running = (phase for phase in self.phases if phase.began_s is not None and phase.ended_s is None)
        return next(running, None)

    def remaining_s(self) -> float:
        """About how long it will still take, by the plan."""
        left_s = sum(phase.planned_s for phase in self.phases if phase.began_s is None)
        if (phase := self.current) is not None and phase.began_s is not None:
            left_s += max(0.0, phase.planned_s - (self.elapsed_s() - phase.began_s))
        return left_s

    def share(self, phase: DemoPhase) -> float:
        """How much of a phase is over, by the plan, from 0 to 1."""
        if phase.began_s is None:
            return 0.0
        if phase.ended_s is not None:
            return 1.0
        return min(0.99, (self.elapsed_s() - phase.began_s) / phase.planned_s)

    @property
    def per_s(self) -> float:
        """Invocations that ended per second, over the last second."""
        if len(self.history) < 2:
            return 0.0
        last = self.history[-1]
        first = next(one for one in self.history if one.at_s >= last.at_s - _RATE_OVER_S)
        took_s = last.at_s - first.at_s
        return (last.invocations - first.invocations) / took_s if took_s > 0 else 0.0

    def so_far(self, phase: DemoPhase) -> str:
        """What a phase achieved, or the number that tells how far it is."""
        if phase.ended_s is not None:
            return phase.achieved
        if phase.began_s is None or not self.history:
            return ""
        match phase.shows:
            case "concurrency":
                return f"{self.history[-1].in_flight:,} in flight"
            case "rate":
                return f"{self.per_s:,.0f} per s"
            case "environments":
                return f"{self.history[-1].environments:,} environments"
