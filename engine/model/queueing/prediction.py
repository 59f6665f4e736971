"""What every method of the model answers, in one shape: load, environments, cold starts, throttles, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from typing import Any, Final

from engine.core.billing import MB_PER_GB, exactly
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.model.cost.usage import Usage, invocations, provisioned, times, total
from engine.model.queueing.in_flight import CountedInFlight, InFlight
from engine.model.simulation.confidence_intervals import WINDOWS, share_interval
from engine.model.simulation.run_statistics import FunctionObservation, Observation, Times
from engine.model.simulation.workload import ColdStartRule

RULES: Final = {
    ColdStartRule.OWN: "a cold request waits for its own environment, as on Lambda (assumed)",
    ColdStartRule.FIRST_FREE: "a cold request takes the first environment that is free, as in this engine",
}
"""What makes a request cold, by rule: AWS does not document it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One function under one load. What ran, was cold or failed are attempts: an event may have several.

    Attributes:
        method: "analytic", "simulated", "fluid" or "measured".
        error: What is known of its accuracy, in a sentence.
        function: Its limits.
        horizon_s: How long was looked at.
        requests: How many events came in that time (an expectation, unless simulated or measured).
        ran: Attempts that ran, each of them billed.
        peak_per_s: The highest rate.
        concurrency, concurrency_p99, concurrency_peak: In flight, init included: mean, for 99 % of time, at
            the most.
        in_flight: The same for any share of the time.
        busy: In handlers, on average: what is in flight without those that initialise.
        environments, environments_peak: Environments: mean, and at the most.
        created: Started in that time.
        cold_share: Of what ran, waited for an init.
        cold_interval: Its 95 % confidence interval; None where nothing was drawn.
        cold_rule: What makes a request cold.
        on_engine: The same where a request takes the first environment that is free; None if this is that,
            or if it was not computed.
        throttled_share: Of the events, refused. `refusals` counts them by reason.
        failed_share, timeout_share: Of what ran: did not succeed; timed out, which is part of it.
        lost_share: Of the events: no attempt succeeded.
        all_times, warm_times, cold_times: From arrival (of a retry: from when it is due) to answer.
        billed_ms, init_ms: Billed milliseconds in that time, and the part that is initialisation.
        inside, inside_ms: Attempts inside provisioned concurrency, and their billed milliseconds.
        around: What is billed beside Lambda for that time, by meter.
        seed: Of what was drawn, if anything was.
        assumptions: What it takes for granted, a sentence each.
        samples: Levels over time, if there are any: `at_s`, `rate_per_s`, `in_flight`, ...
        more: Further facts of the method, by name.
    """

    method: str
    error: str
    function: Function
    horizon_s: float
    requests: float
    ran: float
    peak_per_s: float
    concurrency: float
    concurrency_p99: float
    concurrency_peak: float
    in_flight: InFlight = field(repr=False)
    busy: float
    environments: float
    environments_peak: float
    created: float
    cold_share: float
    cold_interval: tuple[float, float] | None = None
    cold_rule: ColdStartRule = ColdStartRule.OWN
    on_engine: Prediction | None = None
    throttled_share: float
    failed_share: float = 0.0
    timeout_share: float = 0.0
    lost_share: float = 0.0
    refusals: Mapping[str, float] = field(default_factory=dict)
    all_times: Times
    warm_times: Times
    cold_times: Times
    billed_ms: float
    init_ms: float
    inside: float = 0.0
    inside_ms: float = 0.0
    around: Usage = field(default_factory=dict)
    seed: int | None = None
    assumptions: tuple[str, ...] = ()
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mean_per_s(self) -> float:
        """Requests a second, on average."""
        return self.requests / self.horizon_s if self.horizon_s else 0.0

    @property
    def inside_share(self) -> float:
        """Of what ran, inside provisioned concurrency."""
        return self.inside / self.ran if self.ran else 0.0

    @property
    def utilisation(self) -> float:
        """Share of the environments' time in which they work."""
        return self.busy / self.environments if self.environments else 0.0

    @property
    def idle_gb_s(self) -> float:
        """GB-seconds in which environments were idle."""
        idle_s = max(0.0, self.environments - self.concurrency) * self.horizon_s
        return idle_s * self.function.memory_mb / MB_PER_GB

    def usage(self, month_s: float | None = None) -> Usage:
        """Return what `month_s` seconds of this load use, by meter; None = the time looked at, as it is."""
        function = self.function
        used: list[Usage] = [self.around]
        for ran, ms, is_inside in (
            (self.ran - self.inside, self.billed_ms - self.inside_ms, False),
            (self.inside, self.inside_ms, True),
        ):
            if ran or not is_inside:
                part = invocations(
                    round(ran),
                    round(ms),
                    function.memory_mb,
                    function.architecture,
                    storage_mb=function.ephemeral_storage_mb,
                    provisioned=is_inside,
                )
                used.append(part)
        if month_s is not None:
            with exactly():
                horizon = Decimal(repr(self.horizon_s))
                factor = Decimal(repr(month_s)) / horizon if horizon else Decimal(0)
                used = [times(part, factor) for part in used]
        if function.provisioned_concurrency:
            enabled_s = self.horizon_s if month_s is None else month_s
            units = function.provisioned_concurrency
            used.append(provisioned(units, function.memory_mb, enabled_s, function.architecture))
        return total(*used)

    def document(self) -> dict[str, Any]:
        """Return the prediction as JSON values."""
        return {
            "method": self.method,
            "error": self.error,
            "seed": self.seed,
            "horizon_s": self.horizon_s,
            "requests": _whole(self.requests),
            "attempts": _whole(self.ran),
            "requests_per_s": {"mean": _short(self.mean_per_s), "peak": _short(self.peak_per_s)},
            "concurrency": {
                "mean": _short(self.concurrency),
                "p99": _short(self.concurrency_p99),
                "peak": _short(self.concurrency_peak),
            },
            "environments": {
                "mean": _short(self.environments),
                "peak": _short(self.environments_peak),
                "created": _whole(self.created),
                "utilisation": _short(self.utilisation),
                "idle_gb_seconds": _short(self.idle_gb_s),
            },
            "cold_starts": {
                "share": _short(self.cold_share),
                "interval": None if self.cold_interval is None else list(map(_short, self.cold_interval)),
                "appear_at_percentile": _short(100 * (1 - self.cold_share)),
                "rule": self.cold_rule.value,
                "on_engine": None
                if self.on_engine is None
                else {"share": _short(self.on_engine.cold_share), "created": _whole(self.on_engine.created)},
            },
            "failures": {
                "share": _short(self.failed_share),
                "timeouts": _short(self.timeout_share),
                "events_lost": _short(self.lost_share),
            },
            "throttles": {
                "share": _short(self.throttled_share),
                "by_reason": {name: _whole(count) for name, count in self.refusals.items()},
            },
            "response": {
                "all": self.all_times.document(),
                "warm": self.warm_times.document(),
                "cold": self.cold_times.document(),
            },
            "billed_ms": _whole(self.billed_ms),
            "init_ms": _whole(self.init_ms),
            "inside_provisioned_share": _short(self.inside_share),
            "assumptions": list(self.assumptions),
            **self.more,
        }


def prediction_of(
    seen: FunctionObservation,
    horizon_s: float,
    *,
    method: str,
    error: str,
    peak_per_s: float,
    seed: int | None = None,
    cold_rule: ColdStartRule = ColdStartRule.FIRST_FREE,
    around: Usage | None = None,
    samples: Mapping[str, Sequence[float]] | None = None,
    assumptions: tuple[str, ...] = (),
    more: Mapping[str, Any] | None = None,
) -> Prediction:
    """The answer of a run that counted."""
    started = seen.ran + seen.failed_inits
    in_flight = CountedInFlight(seen.seconds_at_levels(horizon_s))
    lost = seen.dropped if seen.retries or seen.dropped else min(seen.failed, seen.arrivals)
    return Prediction(
        method=method,
        error=error,
        function=seen.function,
        horizon_s=horizon_s,
        requests=seen.arrivals,
        ran=started,
        peak_per_s=peak_per_s,
        concurrency=seen.in_flight_s / horizon_s if horizon_s else 0.0,
        concurrency_p99=in_flight.quantile(0.99),
        concurrency_peak=seen.peak_concurrency,
        in_flight=in_flight,
        busy=seen.busy_s / horizon_s if horizon_s else 0.0,
        environments=seen.environment_s / horizon_s if horizon_s else 0.0,
        environments_peak=seen.peak_environments,
        created=seen.created,
        cold_share=seen.cold_share,
        cold_interval=share_interval(seen.cold, seen.ran, seen.cold_clusters),
        cold_rule=cold_rule,
        throttled_share=seen.throttled_share,
        refusals=seen.refusals,
        failed_share=seen.failed / started if started else 0.0,
        timeout_share=seen.timeouts / started if started else 0.0,
        lost_share=lost / seen.arrivals if seen.arrivals else 0.0,
        all_times=seen.all_times,
        warm_times=seen.warm_times,
        cold_times=seen.cold_times,
        billed_ms=seen.billed_ms,
        init_ms=seen.init_ms,
        inside=seen.inside,
        inside_ms=seen.inside_ms,
        around=around or {},
        seed=seed,
        assumptions=(
            RULES[cold_rule],
            f"the interval of cold starts is exact for so many, in clusters as seen in {WINDOWS} windows",
            *assumptions,
        ),
        samples=samples or {},
        more=more or {},
    )


def levels_of(observation: Observation, number: int) -> dict[str, list[float]]:
    """The samples of one function of a run, with rates in requests a second."""
    samples = observation.samples
    levels = samples["functions"][observation.functions[number].function.name]
    every_s = samples["every_s"] or 1.0
    return {
        "at_s": list(samples["at_s"]),
        "rate_per_s": [count / every_s for count in levels["arrivals"]],
        "in_flight": levels["in_flight"],
        "environments": levels["environments"],
        "idle": levels["idle"],
        "waiting": levels["waiting"],
        "cold_per_s": [count / every_s for count in levels["cold"]],
        "throttled_per_s": [count / every_s for count in levels["throttled"]],
    }


def _short(value: float) -> float:
    """Round to nine significant digits."""
    return float(f"{value:.9g}")


def _whole(value: float) -> float | int:
    return value if isinstance(value, int) else _short(value)
