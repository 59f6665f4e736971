"""Policies for environments: Knative's two windows, target tracking, and one that knows the deadline.

Sources: knative/serving, `pkg/autoscaler/scaling/autoscaler.go`; Application Auto Scaling User Guide,
"Target tracking scaling policies"; Lambda Developer Guide, "Configuring provisioned concurrency".
"""

from __future__ import annotations

import math
from typing import NamedTuple

from engine.core.late_dataclass import dataclass
from engine.core.scaling.pollers import Decision, Load, Reason


class Sample(NamedTuple):
    """Concurrency that was seen in one second: the mean of what was shown in it."""

    second: int
    total: float
    shown: int

    @property
    def mean(self) -> float:
        """Of that second."""
        return self.total / self.shown


class Windows(NamedTuple):
    """What `Knative` remembers.

    Attributes:
        samples: One a second, oldest first, no older than the stable window.
        panic_s: When the panic threshold was passed for the last time; None outside of a panic.
        panic_peak: The most units wanted during the panic.
        work_s: When there was work for the last time.
    """

    samples: tuple[Sample, ...]
    panic_s: float | None
    panic_peak: int
    work_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Knative:
    """Average concurrency over a stable window, and over a short one for bursts.

    `ceil(average / target)` units; a panic begins when the short window wants `panic_threshold` times what
    is ready, lasts until that has not been so for a stable window, and never scales in. The last unit goes
    after a stable window and a grace period without work.

    Attributes:
        target: Concurrency one unit is to carry, utilisation included (Knative: 100 * 0.7); a
            Lambda environment carries 1.
        stable_window_s: The long window.
        panic_window_s: The short window (Knative: a tenth of the long one).
        panic_threshold: Wanted over ready, by the short window, at which a panic begins.
        max_up_rate: Ready units are at most multiplied by this in one decision.
        max_down_rate: And at most divided by this.
        grace_s: How long the last unit outlives the stable window.
        floor: Units always kept.
        ceiling: Units at the most.
    """

    target: float = 1.0
    stable_window_s: float = 60.0
    panic_window_s: float = 6.0
    panic_threshold: float = 2.0
    max_up_rate: float = 1000.0
    max_down_rate: float = 2.0
    grace_s: float = 30.0
    floor: int = 0
    ceiling: int = 1000

    def begin(self, now_s: float, /) -> Windows:
        """Nothing was seen yet."""
        return Windows((), None, 0, now_s)

    def decide(self, load: Load, memory: Windows, now_s: float, /) -> tuple[Decision, Windows]:
        """How many units the two windows want."""
        samples = _seen(memory.samples, load.work, now_s, self.stable_window_s)
        work_s = now_s if load.work else memory.work_s
        ready = max(load.ready, 1)
        most, least = math.ceil(self.max_up_rate * ready), math.floor(ready / self.max_down_rate)
        stable_wanted = math.ceil(_average(samples, now_s, self.stable_window_s) / self.target - 1e-9)
        panic_wanted = math.ceil(_average(samples, now_s, self.panic_window_s) / self.target - 1e-9)
        panic_s, peak = memory.panic_s, memory.panic_peak
        if panic_wanted / ready >= self.panic_threshold:
            panic_s = now_s
        elif panic_s is not None and now_s - panic_s > self.stable_window_s:
            panic_s, peak = None, 0
        wanted, reason = min(max(stable_wanted, least if load.ready > 1 else 0), most), Reason.DEMAND
        if panic_s is not None:
            peak = max(peak, wanted, min(panic_wanted, most))
            wanted, reason = peak, Reason.BURST
        last_out_s = work_s + self.stable_window_s + self.grace_s
        if wanted == 0 and load.ready and now_s < last_out_s:
            wanted, reason = 1, Reason.QUIET
        decision = _clamped(Decision(wanted, reason), self.floor, self.ceiling)
        return decision, Windows(samples, panic_s, peak, work_s)


def _seen(samples: tuple[Sample, ...], work: int, now_s: float, window_s: float) -> tuple[Sample, ...]:
    second = math.floor(now_s)
    if samples and samples[-1].second == second:
        last = samples[-1]
        return (*samples[:-1], Sample(second, last.total + work, last.shown + 1))
    oldest = second - math.ceil(window_s)
    return (*(one for one in samples if one.second > oldest), Sample(second, work, 1))


def _average(samples: tuple[Sample, ...], now_s: float, window_s: float) -> float:
    """Over the part of the window for which there is data; a second without a look counts as the last one."""
    oldest = math.floor(now_s) - math.ceil(window_s)
    kept = [one.mean for one in samples if one.second > oldest]
    return sum(kept) / len(kept) if kept else 0.0


class Points(NamedTuple):
    """What `TargetTracking` remembers: the period that runs, and how long the alarms have been on."""

    period: int
    used: float
    seen: int
    above: int
    below: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTracking:
    """Keeps utilisation at a target, looking at whole periods, as AWS does for provisioned concurrency.

    After `out_points` periods in a row above the target it grows to `ceil(ready * utilisation / target)`;
    it shrinks after `in_points` below nine tenths of it. AWS's numbers of points are (unverified).

    Attributes:
        target: Utilisation, work over ready units, more than 0 up to 1.
        period_s: Seconds of one point of the metric.
        out_points, in_points: Points in a row before it grows, or shrinks.
        floor, ceiling: Units at the least and at the most. The least is 1: nothing has no utilisation.
    """

    target: float = 0.7
    period_s: float = 60.0
    out_points: int = 3
    in_points: int = 15
    floor: int = 1
    ceiling: int = 1000

    def begin(self, now_s: float, /) -> Points:
        """At the floor."""
        return Points(math.floor(now_s / self.period_s), 0.0, 0, 0, 0, max(self.floor, 1))

    def decide(self, load: Load, memory: Points, now_s: float, /) -> tuple[Decision, Points]:
        """What it was, unless a period ended and an alarm struck."""
        period = math.floor(now_s / self.period_s)
        used = load.work / max(load.ready, memory.wanted)
        if period == memory.period or not memory.seen:
            points = memory._replace(period=period, used=memory.used + used, seen=memory.seen + 1)
            return self._answer(points, load), points
        utilisation = memory.used / memory.seen
        above = memory.above + 1 if utilisation > self.target else 0
        below = memory.below + 1 if utilisation < 0.9 * self.target else 0
        wanted = memory.wanted
        if above >= self.out_points or below >= self.in_points:
            capacity = max(load.ready, memory.wanted)
            wanted = max(math.ceil(capacity * utilisation / self.target - 1e-9), self.floor, 1)
            wanted, above, below = min(wanted, max(self.ceiling, 1)), 0, 0
        points = Points(period, used, 1, above, below, wanted)
        return self._answer(points, load), points

    def _answer(self, points: Points, load: Load) -> Decision:
        quiet = load.work < self.target * points.wanted
        decision = Decision(points.wanted, Reason.QUIET if quiet else Reason.DEMAND)
        return _clamped(decision, max(self.floor, 1), max(self.ceiling, 1))


class Peak(NamedTuple):
    """A number that was wanted, and until when it is held."""

    until_s: float
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Starts as few units as keep the deadline: late enough to save, early enough to be in time.

    With `m` units there or on their way, backlog `B` (what runs included), arrivals `a` a second, service
    time `s`, start-up time `u`, and the oldest waiting for `w` seconds:

        H      = max(deadline - w - s, u + s)           the time there is
        n      = ceil((s * (B + a * H) - m * H) / (H - u))   new units: each works only H - u of it
        wanted = max(m + n if n > 0, steady)            never more than there is work for
        steady = a * s + safety * sqrt(a * s)           square-root staffing, for what keeps coming

    If those that are there finish the backlog before a new one could begin (`B * s / m <= u`), none is
    started for it: a new one would come too late to find any. Units that are no longer wanted are held
    for `hold` start-up times: idling that long costs as much as starting anew (ski rental), so it never
    costs more than twice the best that could be done by knowing the future.

    It beats one unit per waiting event (Lambda) when start-up is long against service: those would start,
    and find the backlog gone. It beats windows (`Knative`) when load comes in steps, because it counts
    what waits now and needs no average to rise; and when there is slack, because it lets work wait. It
    does worse where its estimates do: with service times of great variance, leave the deadline some room.

    Attributes:
        deadline_s: Age at which an event is to have ended.
        safety: Standard deviations of spare capacity for steady arrivals.
        hold: Start-up times for which a unit outlives its use.
        floor: Units always kept.
        ceiling: Units at the most.
    """

    deadline_s: float = 1.0
    safety: float = 1.0
    hold: float = 1.0
    floor: int = 0
    ceiling: int = 1000

    def begin(self, _now_s: float, /) -> tuple[Peak, ...]:
        """Nothing is held."""
        return ()

    def decide(
        self, load: Load, memory: tuple[Peak, ...], now_s: float, /
    ) -> tuple[Decision, tuple[Peak, ...]]:
        """How many units keep the deadline."""
        needed, reason = self._needed(load)
        until_s = now_s + self.hold * load.startup_s
        # Falls strictly from the oldest to the newest: the first one that still holds is the highest.
        kept = (
            *(peak for peak in memory if peak.until_s > now_s and peak.wanted > needed),
            Peak(until_s, needed),
        )
        wanted = kept[0].wanted
        if wanted > needed:
            reason = Reason.QUIET
        return _clamped(Decision(wanted, reason), self.floor, self.ceiling), kept

    def _needed(self, load: Load) -> tuple[int, Reason]:
        service_s, startup_s = max(load.service_s, 1e-6), max(load.startup_s, 0.0)
        offered = load.arrivals_per_s * service_s
        steady = math.ceil(offered + self.safety * math.sqrt(offered) - 1e-9)
        wanted, reason = max(steady, load.in_hand), Reason.DEMAND
        there = load.ready + load.starting
        if load.backlog and not self._done_before_help(load, service_s, startup_s):
            time_s = max(self.deadline_s - load.oldest_age_s - service_s, startup_s + service_s)
            missing_s = (
                service_s * (load.backlog + load.in_hand + load.arrivals_per_s * time_s) - there * time_s
            )
            if missing_s > 0:
                urgent = there + math.ceil(missing_s / (time_s - startup_s) - 1e-9)
                if urgent > wanted:
                    wanted, reason = urgent, Reason.URGENT
        if load.backlog and not there:
            wanted = max(wanted, 1)
        return min(wanted, max(load.work, steady)), reason

    @staticmethod
    def _done_before_help(load: Load, service_s: float, startup_s: float) -> bool:
        there = load.ready
        return there > 0 and (load.backlog + load.in_hand) * service_s / there <= startup_s


def _clamped(decision: Decision, floor: int, ceiling: int) -> Decision:
    if decision.wanted > ceiling:
        return Decision(ceiling, Reason.CEILING)
    if decision.wanted < floor:
        return Decision(floor, Reason.FLOOR)
    return decision
