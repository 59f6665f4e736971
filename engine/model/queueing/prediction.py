"""What every method of the model answers, in one shape: load, environments, cold starts, throttles, times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from engine.core.billing import MB_PER_GB, exactly
from engine.core.function import Function
from engine.model.cost.usage import Usage, invocations, provisioned, times, total
from engine.model.simulation.run_statistics import FunctionObservation, Observation, Times

_Z95: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One function under one load. Shares are of the requests that came; those of cold starts of what ran.

    Attributes:
        method: "analytic", "simulated", "fluid" or "measured".
        error: What is known of its accuracy, in a sentence.
        function: Its limits.
        horizon_s: How long was looked at.
        requests: How many came in that time (an expectation, unless simulated or measured).
        peak_per_s: The highest rate.
        concurrency, concurrency_p99, concurrency_peak: In flight: mean, for 99 % of time, at the most.
        environments, environments_peak: Environments: mean, and at the most.
        created: Started in that time.
        cold_share: Of what ran, waited for an init.
        cold_error: Half the width of its 95 % confidence interval; None if it is not estimated.
        throttled_share: Refused. `refusals` counts them by reason.
        all_times, warm_times, cold_times: From arrival to answer.
        billed_ms, init_ms: Billed milliseconds in that time, and the part that is initialisation.
        inside_share: Of what ran, inside provisioned concurrency.
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
    peak_per_s: float
    concurrency: float
    concurrency_p99: float
    concurrency_peak: float
    environments: float
    environments_peak: float
    created: float
    cold_share: float
    cold_error: float | None = None
    throttled_share: float
    refusals: Mapping[str, float] = field(default_factory=dict)
    all_times: Times
    warm_times: Times
    cold_times: Times
    billed_ms: float
    init_ms: float
    inside_share: float = 0.0
    seed: int | None = None
    assumptions: tuple[str, ...] = ()
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mean_per_s(self) -> float:
        """Requests a second, on average."""
        return self.requests / self.horizon_s if self.horizon_s else 0.0

    @property
    def ran(self) -> float:
        """Requests that were not refused."""
        return self.requests * (1 - self.throttled_share)

    @property
    def utilisation(self) -> float:
        """Share of the environments' time in which they work."""
        return self.concurrency / self.environments if self.environments else 0.0

    @property
    def idle_gb_s(self) -> float:
        """GB-seconds in which environments were idle."""
        idle_s = max(0.0, self.environments - self.concurrency) * self.horizon_s
        return idle_s * self.function.memory_mb / MB_PER_GB

    def usage(self, month_s: float) -> Usage:
        """Return what `month_s` seconds of this load use of Lambda, by meter."""
        function = self.function
        ran, ms = Decimal(round(self.ran)), Decimal(round(self.billed_ms))
        with exactly():
            inside = Decimal(repr(self.inside_share))
            used = [
                invocations(
                    int(ran - ran * inside),
                    int(ms - ms * inside),
                    function.memory_mb,
                    function.architecture,
                    storage_mb=function.ephemeral_storage_mb,
                )
            ]
            if self.inside_share:
                used.append(
                    invocations(
                        int(ran * inside),
                        int(ms * inside),
                        function.memory_mb,
                        function.architecture,
                        storage_mb=function.ephemeral_storage_mb,
                        provisioned=True,
                    )
                )
            factor = Decimal(repr(month_s)) / Decimal(repr(self.horizon_s)) if self.horizon_s else Decimal(0)
            used = [times(one, factor) for one in used]
        if function.provisioned_concurrency:
            standing = provisioned(
                function.provisioned_concurrency, function.memory_mb, month_s, function.architecture
            )
            used.append(standing)
        return total(*used)

    def document(self) -> dict[str, Any]:
        """Return the prediction as JSON values."""
        return {
            "method": self.method,
            "error": self.error,
            "seed": self.seed,
            "horizon_s": self.horizon_s,
            "requests": _whole(self.requests),
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
                "error": None if self.cold_error is None else _short(self.cold_error),
                "appear_at_percentile": _short(100 * (1 - self.cold_share)),
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


def half_width(count: int, of: int) -> float:
    """Half the 95 % confidence interval of a share that was counted; cold starts come in runs: see docs."""
    if not of:
        return 0.0
    share = count / of
    return _Z95 * math.sqrt(max(share * (1 - share), 1 / of) / of)


def prediction_of(
    seen: FunctionObservation,
    horizon_s: float,
    *,
    method: str,
    error: str,
    peak_per_s: float,
    in_flight: Sequence[float] = (),
    seed: int | None = None,
    inside_share: float = 0.0,
    samples: Mapping[str, Sequence[float]] | None = None,
    assumptions: tuple[str, ...] = (),
    more: Mapping[str, Any] | None = None,
) -> Prediction:
    """The answer of a run that counted; `in_flight` are its levels at regular moments."""
    levels = sorted(in_flight)
    busy = seen.busy_s / horizon_s if horizon_s else 0.0
    return Prediction(
        method=method,
        error=error,
        function=seen.function,
        horizon_s=horizon_s,
        requests=seen.arrivals,
        peak_per_s=peak_per_s,
        concurrency=busy,
        concurrency_p99=levels[math.ceil(0.99 * len(levels)) - 1] if levels else seen.peak_concurrency,
        concurrency_peak=seen.peak_concurrency,
        environments=seen.environment_s / horizon_s if horizon_s else 0.0,
        environments_peak=max((samples or {}).get("environments", ()), default=seen.created),
        created=seen.created,
        cold_share=seen.cold_share,
        cold_error=half_width(seen.cold, seen.ran),
        throttled_share=seen.throttled_share,
        refusals=seen.refusals,
        all_times=seen.all_times,
        warm_times=seen.warm_times,
        cold_times=seen.cold_times,
        billed_ms=seen.billed_ms,
        init_ms=seen.init_ms,
        inside_share=inside_share,
        seed=seed,
        assumptions=assumptions,
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
