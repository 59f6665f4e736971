"""What a simulation saw: counts, response times, environments and their seconds, and levels over time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.core.function import Function
from engine.model.simulation.simulated_function import SimulatedFunction
from engine.model.simulation.simulated_mapping import SimulatedMapping
from engine.model.simulation.workload import AttemptEnding, SimulatedOutcome

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Response times of a kind of requests, seconds, by percentile; 100 is the longest."""

    count: int = 0
    mean_s: float = 0.0
    percentiles_s: Mapping[float, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the times as JSON values, milliseconds."""
        named = {
            ("max" if p == 100 else f"p{p:g}"): round(s * 1000, 6) for p, s in self.percentiles_s.items()
        }
        return {"count": self.count, "mean_ms": round(self.mean_s * 1000, 6), **named}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionObservation:
    """Count what was recorded of one function.

    Attributes:
        function: Its limits.
        arrivals: Events (for a mapped one: batches).
        ran: Events whose last attempt ran. `cold` of them waited for an init.
        throttled: Events refused at their last attempt; `refusals` counts each refusal by its reason.
        failed_inits: Events whose environment never came up.
        timeouts, crashes, errors: How those that ran and did not succeed ended.
        retries, dropped: Of asynchronous events: attempts beyond the first, and events given up.
        created: Environments that were started.
        environment_s, busy_s: Seconds environments lived up to the horizon, and worked, in sum.
        peak_concurrency: Most in flight at once.
        billed_ms, init_ms: Billed milliseconds of all that ran, and the part that is initialisation.
        all_times, warm_times, cold_times: From arrival to answer, by whether they waited for an init.
        queue_ages: Of mapped messages, from sent to done.
        backlog_peak, dead_letters: Of mapped messages: most waiting, and given up.
    """

    function: Function
    arrivals: int
    ran: int
    cold: int
    throttled: int
    refusals: Mapping[str, int]
    failed_inits: int
    timeouts: int
    crashes: int
    errors: int
    retries: int
    dropped: int
    created: int
    environment_s: float
    busy_s: float
    peak_concurrency: int
    billed_ms: int
    init_ms: int
    all_times: Times
    warm_times: Times
    cold_times: Times
    queue_ages: Times | None = None
    backlog_peak: int = 0
    dead_letters: int = 0

    @property
    def cold_share(self) -> float:
        """Cold starts as a share of the requests that ran."""
        return self.cold / self.ran if self.ran else 0.0

    @property
    def throttled_share(self) -> float:
        """Throttles as a share of all requests."""
        return self.throttled / self.arrivals if self.arrivals else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A whole run.

    Attributes:
        horizon_s: Until when it was observed.
        functions: In the order of the workloads.
        samples: Levels over time: `at_s`, and for each function `in_flight`, `environments`, `idle`,
            `arrivals`, `cold`, `throttled` (the last three counted since the sample before).
    """

    horizon_s: float
    functions: tuple[FunctionObservation, ...]
    samples: Mapping[str, Any]


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
    created: int
    environment_s: float
    peak: int
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
            levels["environments"].append(now.starting + now.idle + now.busy)
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
            functions=tuple(_observed(simulated, queues.get(id(simulated))) for simulated in self._functions),
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
    return Times(count=size, mean_s=math.fsum(seconds) / size, percentiles_s=percentiles_s)


def billed(holds_s: Sequence[float], inits_s: Mapping[int, float], ran: Sequence[int]) -> tuple[int, int]:
    """Billed milliseconds of the items in `ran`, and what initialisation added: rounded up one by one."""
    total = added = 0
    for item in ran:
        us = round(holds_s[item] * 1e6)
        ms = -(-us // 1000)
        if item in inits_s:
            both = -(-(us + round(inits_s[item] * 1e6)) // 1000)
            added += both - ms
            ms = both
        total += ms
    return total, added


def observed(record: RunRecord) -> FunctionObservation:
    """Count what was recorded of one function."""
    at_s, started_s, outcomes, kinds = record.at_s, record.started_s, record.outcomes, record.kinds
    limit_s = record.function.timeout_s
    warm, cold = int(SimulatedOutcome.WARM), int(SimulatedOutcome.COLD)
    ran = [item for item, outcome in enumerate(outcomes) if outcome <= cold]
    answer_s = [min(one, limit_s) for one in record.hold_s]
    if record.cut_short:
        kinds = kinds[:]
        for item, (ending, ran_s) in record.cut_short.items():
            kinds[item], answer_s[item] = ending, ran_s
    times = {warm: [0.0] * 0, cold: [0.0] * 0}
    for item in ran:
        times[outcomes[item]].append(started_s[item] - at_s[item] + answer_s[item])
    ends = Counter(kinds[item] for item in ran)
    billed_ms, init_ms = billed(answer_s, record.inits_s, ran)
    return FunctionObservation(
        function=record.function,
        arrivals=len(at_s),
        ran=len(ran),
        cold=len(times[cold]),
        throttled=outcomes.count(int(SimulatedOutcome.THROTTLED)),
        refusals=record.refusals,
        failed_inits=outcomes.count(int(SimulatedOutcome.INIT_FAILED)),
        timeouts=ends[len(AttemptEnding)],
        crashes=ends[AttemptEnding.CRASH],
        errors=ends[AttemptEnding.ERROR],
        retries=record.retries,
        dropped=record.dropped,
        created=record.created,
        environment_s=record.environment_s,
        busy_s=math.fsum(record.hold_s[item] for item in ran),
        peak_concurrency=record.peak,
        billed_ms=billed_ms,
        init_ms=init_ms,
        all_times=times_of(times[warm] + times[cold]),
        warm_times=times_of(times[warm]),
        cold_times=times_of(times[cold]),
    )


def _observed(simulated: SimulatedFunction, mapping: SimulatedMapping | None) -> FunctionObservation:
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
            created=simulated.created,
            environment_s=simulated.environment_s(),
            peak=simulated.fleet.statistics().peak_in_flight,
            refusals={refusal.value: number for refusal, number in simulated.refusals.items()},
            retries=retrying.attempts if retrying is not None else 0,
            dropped=retrying.dropped if retrying is not None else 0,
        )
    )
    if mapping is None:
        return seen
    return replace(
        seen,
        queue_ages=times_of(list(mapping.ages_s)),
        backlog_peak=max((waiting for _, waiting in mapping.backlog), default=0),
        dead_letters=mapping.dead_letters,
    )
