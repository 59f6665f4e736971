"""A made-up population of applications with the published facts of a large cloud: rates, triggers, durations.

Source: "Serverless in the Wild" (USENIX ATC 2020), tables and figures on Azure Functions, July 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from random import Random
from typing import Final

from engine.core.late_dataclass import dataclass
from engine.model.distributions import LogNormal

DURATIONS: Final = LogNormal(-0.38, 2.36)
"""Average execution time of a function, seconds: the fit of the paper."""

_BURR_C: Final = 11.652
_BURR_K: Final = 0.221
_BURR_MB: Final = 107.083

RATES: Final = ((1e-6, 0.0), (1 / 3600, 0.45), (1 / 60, 0.78), (1.0, 0.966), (10.0, 0.9985), (1000.0, 1.0))
"""Share of applications called at most so often a second, on average: log-linear between the points.

45 % are called at most hourly; with the timers, which are moved there, 81 % at most once a minute.
"""

_FUNCTIONS: Final = ((1, 0.54), (2, 0.72), (3, 0.815), (5, 0.89), (10, 0.95), (100, 0.9996), (1000, 1.0))
"""Share of applications with at most so many functions."""

TRIGGERS: Final = (
    ("http", 0.550),
    ("timer", 0.156),
    ("queue", 0.152),
    ("orchestration", 0.069),
    ("storage", 0.028),
    ("event", 0.022),
    ("others", 0.023),
)
"""Share of functions by trigger."""

_STEADY: Final = 0.48
"""Share of applications that are called more regularly than by chance: 57 % have a variation of 1 or less."""

_WITHIN: Final = 0.6
"""Sigma of the logarithm of one function's execution times about its median (not in the paper)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One application.

    Attributes:
        name: Numbered.
        functions: How many it has.
        trigger: Of its first function.
        rate_per_s: Calls a second, on average over a week.
        swing: Amplitude of the day's wave, as a share of the mean.
        burst: Calls that come together, on average.
        stages: Between bursts lies the sum of so many exponential times: 1 = Poisson, more is more regular.
        duration_s: Average execution time.
        memory_mb: Allocated.
    """

    name: str
    functions: int
    trigger: str
    rate_per_s: float
    swing: float
    burst: float
    stages: int
    duration_s: float
    memory_mb: float


def applications(count: int, rng: Random) -> list[Application]:
    """Draw `count` applications."""
    return [_application(number, rng) for number in range(count)]


def arrivals(application: Application, horizon_s: float, rng: Random) -> list[float]:
    """When it is called, ascending seconds in [0, `horizon_s`)."""
    rate = application.rate_per_s
    if application.trigger == "timer":
        period_s = 1 / rate
        phase_s = rng.random() * period_s
        calls = range(math.ceil(max(0.0, horizon_s - phase_s) / period_s))
        return [phase_s + number * period_s for number in calls]
    if application.stages > 1:
        return _regular(rate, application.stages, horizon_s, rng)
    at_s: list[float] = []
    most = rate * (1 + application.swing) / application.burst
    moment_s = rng.expovariate(most)
    while moment_s < horizon_s:
        wave = 1 + application.swing * math.sin(2 * math.pi * moment_s / 86_400)
        if rng.random() * (1 + application.swing) < wave:
            at_s.append(moment_s)
            late_s = moment_s
            while rng.random() >= 1 / application.burst:  # geometric: a burst, a second between its calls
                late_s += rng.expovariate(1.0)
                at_s.append(late_s)
        moment_s += rng.expovariate(most)
    return sorted(one for one in at_s if one < horizon_s)


def _regular(rate: float, stages: int, horizon_s: float, rng: Random) -> list[float]:
    at_s: list[float] = []
    moment_s = rng.gammavariate(stages, 1 / (stages * rate))
    while moment_s < horizon_s:
        at_s.append(moment_s)
        moment_s += rng.gammavariate(stages, 1 / (stages * rate))
    return at_s


def durations(application: Application, count: int, rng: Random) -> list[float]:
    """Execution times of so many calls, seconds: log-normal, with the application's average."""
    mu = math.log(application.duration_s) - _WITHIN**2 / 2
    return [rng.lognormvariate(mu, _WITHIN) for _ in range(count)]


def memory_quantile_mb(share: float) -> float:
    """Burr XII: the memory not exceeded by that share of the applications."""
    return float(_BURR_MB * ((1 - share) ** (-1 / _BURR_K) - 1) ** (1 / _BURR_C))


def _application(number: int, rng: Random) -> Application:
    trigger = _drawn(TRIGGERS, rng)
    rate = _log_linear(RATES, rng.random())
    if trigger == "timer":  # 95 % of timers fire at most once a minute, at whole minutes
        rate = 1 / (60 * max(1, round(1 / (60 * min(rate, 1 / 60)))))
    steady = rng.random() < _STEADY
    return Application(
        name=f"app-{number}",
        functions=math.ceil(_log_linear(_FUNCTIONS, rng.random())),
        trigger=trigger,
        rate_per_s=rate,
        swing=0.5 * rng.random() if trigger in ("http", "event") and not steady else 0.0,
        burst=1.0 if steady else 1 + rng.expovariate(1 / 6),
        stages=3 if steady else 1,
        duration_s=DURATIONS.draw_s(rng),
        memory_mb=memory_quantile_mb(rng.random()),
    )


def _drawn(shares: Sequence[tuple[str, float]], rng: Random) -> str:
    draw, ends = rng.random(), accumulate(share for _, share in shares)
    return next((name for (name, _), end in zip(shares, ends, strict=True) if draw < end), shares[-1][0])


def _log_linear(points: Sequence[tuple[float, float]], share: float) -> float:
    """The value at that share; between points its logarithm is linear, below the first it is the first."""
    if share <= points[0][1]:
        return points[0][0]
    for (low, below), (high, above) in pairwise(points):
        if share <= above:
            part = (share - below) / (above - below)
            return math.exp(math.log(low) + part * (math.log(high) - math.log(low)))
    return points[-1][0]
