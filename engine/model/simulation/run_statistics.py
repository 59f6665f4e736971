"""What a simulation saw: counts, response times, environments and their seconds, and levels over time."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from itertools import repeat
from typing import Any, Final

from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.model.simulation.confidence_intervals import dispersion
from engine.model.simulation.hold_times import TIMEOUT
from engine.model.simulation.levels import seconds_at_levels
from engine.model.simulation.simulated_function import Attempt, SimulatedFunction
from engine.model.simulation.simulated_mapping import SimulatedMapping
from engine.model.simulation.simulated_nodes import NodesObservation
from engine.model.simulation.workload import AttemptEnding, SimulatedOutcome

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Response times of a kind of requests, seconds, by percentile; 100 is the longest.

    What times out is never answered well: its time is infinite, and left out of the mean.
    """

    count: int = 0
    mean_s: float = 0.0
    percentiles_s: Mapping[float, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the times as JSON values, milliseconds; None where they are infinite."""
        named = {("max" if p == 100 else f"p{p:g}"): _ms(s) for p, s in self.percentiles_s.items()}
        return {"count": self.count, "mean_ms": _ms(self.mean_s), **named}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionObservation:
    """Count what was recorded of one function. What runs, is billed and takes a place is an attempt.

    Attributes:
        function: Its limits.
        arrivals: Events (for a mapped one: batches).
        ran: Attempts that ran, each of them a billed request. `cold` of them waited for an init.
        cold_clusters: How many cold starts come together, on average; 1 = each by itself.
        throttled: Events refused at their last attempt; `refusals` counts each refusal by its reason.
        failed_inits: Events whose environment never came up.
        timeouts, crashes, errors: How attempts that ran and did not succeed ended.
        retries, dropped: Of asynchronous events: attempts beyond the first, and events given up.
        created: Environments that were started; at most `peak_environments` lived at once.
        environment_s, busy_s, in_flight_s: Seconds environments lived up to the horizon, worked, and were
            in use, their init included; in sum.
        peak_concurrency: Most in flight at once.
        billed_ms, init_ms: Billed milliseconds of all that ran, and the part that is initialisation.
        inside, inside_ms: Attempts that ran in provisioned environments, and their part of `billed_ms`.
        all_times, warm_times, cold_times: From when an attempt was due to its answer, by whether it waited
            for an init.
        in_flight: When each attempt was admitted and when it was over, in the order of both.
        queue_ages: Of mapped messages, from sent to done.
        backlog_peak, dead_letters: Of mapped messages: most waiting, and given up.
        receives, deletes: Calls of the queue's mapping.
        batches_allowed: (seconds, concurrent batches that the mapping may have from then on).
        drained_s: When for the first time no message was left; None = never.
    """

    function: Function
    arrivals: int
    ran: int
    cold: int
    cold_clusters: float
    throttled: int
    refusals: Mapping[str, int]
    failed_inits: int
    timeouts: int
    crashes: int
    errors: int
    retries: int
    dropped: int
    created: int
    peak_environments: int
    environment_s: float
    busy_s: float
    in_flight_s: float
    peak_concurrency: int
    billed_ms: int
    init_ms: int
    inside: int
    inside_ms: int
    in_flight: tuple[Sequence[float], Sequence[float]] = field(repr=False)
    all_times: Times
    warm_times: Times
    cold_times: Times
    queue_ages: Times | None = None
    backlog_peak: int = 0
    dead_letters: int = 0
    receives: int = 0
    deletes: int = 0
    batches_allowed: Sequence[tuple[float, int]] = ()
    drained_s: float | None = None

    @property
    def cold_share(self) -> float:
        """Cold starts as a share of the requests that ran."""
        return self.cold / self.ran if self.ran else 0.0

    @property
    def throttled_share(self) -> float:
        """Throttles as a share of all requests."""
        return self.throttled / self.arrivals if self.arrivals else 0.0

    @property
    def failed(self) -> int:
        """Attempts that did not succeed, time-outs and inits that failed included."""
        return self.timeouts + self.crashes + self.errors + self.failed_inits

    def seconds_at_levels(self, horizon_s: float) -> list[float]:
        """For how many seconds so many were in flight: 0, 1, 2, ..."""
        return seconds_at_levels(*self.in_flight, horizon_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A whole run.

    Attributes:
        horizon_s: Until when it was observed.
        functions: In the order of the workloads.
        samples: Levels over time: `at_s`, and for each function `in_flight`, `environments`, `idle`,
            `arrivals`, `cold`, `throttled` (the last three counted since the sample before).
        nodes: What environments were placed on; None: there were none to speak of.
    """

    horizon_s: float
    functions: tuple[FunctionObservation, ...]
    samples: Mapping[str, Any]
    nodes: NodesObservation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What a run recorded of one function, by index of its events; named as in `SimulatedFunction`."""

    function: Function
    at_s: Sequence[float]
    hold_s: Sequence[float]
    kinds: bytearray
    outcomes: bytearray
    started_s: Sequence[float]
    inits_s: Mapping[int, float]
    cut_short: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    is_inside: bytearray = field(default_factory=bytearray)
    earlier: Sequence[Attempt] = ()
    due_s: Mapping[int, float] = field(default_factory=dict)
    arrived_s: Mapping[int, float] = field(default_factory=dict)
    failed_inits_s: Sequence[float] = ()
    created: int
    environment_s: float
    peak: int
    peak_environments: int
    refusals: Mapping[str, int]
    retries: int = 0
    dropped: int = 0


class LevelSampler:
    """Writes levels down during a run, and counts at its end."""

    def __init__(self, functions: Sequence[SimulatedFunction], every_s: float) -> None:
        self._functions, self._every_s = functions, every_s
        self._at_s: list[float] = []
        self._levels: list[dict[str, list[int]]] = [
            {"in_flight": [], "environments": [], "idle": [], "waiting": []} for _ in functions
        ]

    def sample(self, now_s: float) -> None:
        """Record the levels of every function."""
        self._at_s.append(now_s)
        for simulated, levels in zip(self._functions, self._levels, strict=True):
            now = simulated.fleet.statistics()
            levels["in_flight"].append(now.in_flight)
            levels["environments"].append(now.starting + now.idle + now.busy - simulated.unplaced)
            levels["idle"].append(now.idle)
            levels["waiting"].append(now.waiting + now.blocked)

    def observation(self, horizon_s: float, mappings: Sequence[SimulatedMapping]) -> Observation:
        """Return what was observed of every function."""
        queues = {id(one.simulated): one for one in mappings}
        samples = {
            simulated.function.name: {**levels, **self._counts(simulated)}
            for simulated, levels in zip(self._functions, self._levels, strict=True)
        }
        return Observation(
            horizon_s=horizon_s,
            functions=tuple(
                _observed(simulated, queues.get(id(simulated)), horizon_s) for simulated in self._functions
            ),
            samples={"at_s": self._at_s, "every_s": self._every_s, "functions": samples},
        )

    def _counts(self, simulated: SimulatedFunction) -> dict[str, list[int]]:
        """Arrivals, cold starts and throttles in the bin that begins at each sample."""
        size, every_s = len(self._at_s), self._every_s
        counts = {"arrivals": [0] * size, "cold": [0] * size, "throttled": [0] * size}
        if not size:
            return counts
        last = size - 1
        came, cold, throttled = counts["arrivals"], counts["cold"], counts["throttled"]
        for at_s, outcome in zip(simulated.at_s, simulated.outcomes, strict=True):
            number = min(int(at_s / every_s), last)
            came[number] += 1
            if outcome:
                if outcome == SimulatedOutcome.COLD:
                    cold[number] += 1
                elif outcome == SimulatedOutcome.THROTTLED:
                    throttled[number] += 1
        return counts


def times_of(seconds: list[float]) -> Times:
    """Sorts `seconds`, and reads the percentiles off."""
    if not seconds:
        return Times()
    seconds.sort()
    size = len(seconds)
    percentiles_s = {p: seconds[max(0, math.ceil(p / 100 * size - 1e-9) - 1)] for p in PERCENTILES}
    answered = seconds[: bisect_left(seconds, math.inf)] if seconds[-1] == math.inf else seconds
    mean_s = math.fsum(answered) / len(answered) if answered else math.inf
    return Times(count=size, mean_s=mean_s, percentiles_s=percentiles_s)


def billed(holds_s: Iterable[float], inits_s: Iterable[float]) -> tuple[int, int]:
    """Billed milliseconds, and what initialisation added to them: rounded up one by one; 0 = no init."""
    total = added = 0
    for hold_s, init_s in zip(holds_s, inits_s, strict=True):
        us = round(hold_s * 1e6)
        ms = -(-us // 1000)
        if init_s:
            both = -(-(us + round(init_s * 1e6)) // 1000)
            added += both - ms
            ms = both
        total += ms
    return total, added


def observed(record: RunRecord, horizon_s: float) -> FunctionObservation:
    """Count what was recorded of one function."""
    attempts = _Attempts(record)
    outcomes = record.outcomes
    clipped = [min(end_s, horizon_s) for end_s in attempts.ends_s]
    cold_s = [due_s for due_s, is_cold in zip(attempts.due_s, attempts.cold, strict=True) if is_cold]
    answers_s = attempts.answers_s()
    warm = [s for s, is_cold in zip(answers_s, attempts.cold, strict=True) if not is_cold]
    cold = [s for s, is_cold in zip(answers_s, attempts.cold, strict=True) if is_cold]
    ends = Counter(attempts.kinds)
    billed_ms, init_ms = billed(attempts.holds_s, attempts.inits_s)
    failed_ms, _ = billed(record.failed_inits_s, repeat(0.0, len(record.failed_inits_s)))
    inside = attempts.inside
    return FunctionObservation(
        function=record.function,
        arrivals=len(record.at_s),
        ran=len(attempts.kinds),
        cold=len(cold),
        cold_clusters=dispersion(cold_s, horizon_s) if horizon_s else 1.0,
        throttled=outcomes.count(int(SimulatedOutcome.THROTTLED)),
        refusals=record.refusals,
        failed_inits=outcomes.count(int(SimulatedOutcome.INIT_FAILED)),
        timeouts=ends[TIMEOUT],
        crashes=ends[AttemptEnding.CRASH],
        errors=ends[AttemptEnding.ERROR],
        retries=record.retries,
        dropped=record.dropped,
        created=record.created,
        peak_environments=record.peak_environments,
        environment_s=record.environment_s,
        busy_s=sum(max(0.0, end - s) for end, s in zip(clipped, attempts.started_s, strict=True)),
        in_flight_s=sum(max(0.0, end - s) for end, s in zip(clipped, attempts.arrived_s, strict=True)),
        peak_concurrency=record.peak,
        billed_ms=billed_ms + failed_ms,
        init_ms=init_ms + failed_ms,
        inside=len(inside),
        inside_ms=billed([attempts.holds_s[n] for n in inside], [attempts.inits_s[n] for n in inside])[0],
        in_flight=(attempts.arrived_s, attempts.ends_s),
        all_times=times_of(warm + cold),
        warm_times=times_of(warm),
        cold_times=times_of(cold),
    )


class _Attempts:
    """All attempts of a run that ran, in parallel lists: the last of each event, then the earlier ones.

    Attributes:
        due_s, arrived_s, started_s, ends_s: When each was due, was admitted, began to run, was over.
        holds_s: How long it ran: to its deadline, where it shares an environment.
        kinds, cold, inits_s: How it ended, whether it waited for an init, and the init billed with it.
        inside: Those in provisioned environments, by their place.
    """

    def __init__(self, record: RunRecord) -> None:
        outcomes, at_s, started_s = record.outcomes, record.at_s, record.started_s
        is_cold = int(SimulatedOutcome.COLD)
        items = [item for item, outcome in enumerate(outcomes) if outcome <= is_cold]
        limit_s, hold_s, kinds = record.function.timeout_s, record.hold_s, record.kinds
        self._limit_s = limit_s
        self.started_s = [started_s[item] for item in items]
        self.ends_s = [started_s[item] + hold_s[item] for item in items]
        self.holds_s = [min(hold_s[item], limit_s) for item in items]
        self.kinds = [kinds[item] for item in items]
        self.cold = [outcomes[item] == is_cold for item in items]
        self.due_s = [at_s[item] for item in items]
        self.inits_s = [record.inits_s.get(item, 0.0) for item in items]
        self.inside = (
            [n for n, item in enumerate(items) if record.is_inside[item]] if record.is_inside else []
        )
        if record.cut_short:
            for n, item in enumerate(items):
                if item in record.cut_short:
                    self.kinds[n], self.holds_s[n] = record.cut_short[item]
                    self.ends_s[n] = self.started_s[n] + self.holds_s[n]
        if record.due_s or record.arrived_s:
            self.due_s = [record.due_s.get(item, at_s[item]) for item in items]
            self.arrived_s = [record.arrived_s.get(item, at_s[item]) for item in items]
        else:
            self.arrived_s = list(self.due_s)
        if record.function.overflow == "queue":  # what waits for a limit takes no place
            self.arrived_s = list(self.started_s)
        for attempt in record.earlier:
            self._add(attempt)

    def _add(self, attempt: Attempt) -> None:
        if attempt.is_inside:
            self.inside.append(len(self.kinds))
        self.due_s.append(attempt.due_s)
        self.arrived_s.append(attempt.arrived_s)
        self.started_s.append(attempt.started_s)
        self.ends_s.append(attempt.started_s + attempt.hold_s)
        self.holds_s.append(min(attempt.hold_s, self._limit_s))
        self.kinds.append(attempt.kind)
        self.cold.append(attempt.outcome == SimulatedOutcome.COLD)
        self.inits_s.append(attempt.init_s)

    def answers_s(self) -> list[float]:
        """From when each was due to its answer; infinite for what timed out."""
        answered = zip(self.started_s, self.due_s, self.holds_s, strict=True)
        found = [started_s - due_s + hold_s for started_s, due_s, hold_s in answered]
        if TIMEOUT in self.kinds:
            found = [math.inf if kind == TIMEOUT else s for kind, s in zip(self.kinds, found, strict=True)]
        return found


def _ms(seconds: float) -> float | None:
    return round(seconds * 1000, 6) if seconds < math.inf else None


def _observed(
    simulated: SimulatedFunction, mapping: SimulatedMapping | None, horizon_s: float
) -> FunctionObservation:
    retrying = simulated.retrying
    seen = observed(
        RunRecord(
            function=simulated.function,
            at_s=simulated.at_s,
            hold_s=simulated.hold_s,
            kinds=simulated.kinds,
            outcomes=simulated.outcomes,
            started_s=simulated.started_s,
            inits_s=simulated.inits_s,
            cut_short=simulated.cut_short,
            is_inside=simulated.is_inside,
            earlier=simulated.earlier,
            due_s=simulated.due_s,
            arrived_s=simulated.arrived_s,
            failed_inits_s=simulated.failed_inits_s,
            created=simulated.created,
            environment_s=simulated.environment_s(horizon_s),
            peak=simulated.fleet.statistics().peak_in_flight,
            peak_environments=simulated.peak_environments,
            refusals={refusal.value: number for refusal, number in simulated.refusals.items()},
            retries=retrying.attempts if retrying is not None else 0,
            dropped=retrying.dropped if retrying is not None else 0,
        ),
        horizon_s,
    )
    if mapping is None:
        return seen
    return replace(
        seen,
        queue_ages=times_of(list(mapping.ages_s)),
        backlog_peak=max((waiting for _, waiting in mapping.backlog), default=0),
        dead_letters=mapping.dead_letters,
        receives=mapping.receives,
        deletes=mapping.deletes,
        batches_allowed=mapping.allowed,
        drained_s=mapping.drained_s,
    )
