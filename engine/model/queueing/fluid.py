"""Load too large to count requests: rates and environments as continuous levels over time.

A pool follows the highest need of the last keep-alive, as fast as the scaling rate lets it. The need is
that of the stationary warm pool, corrected for a load that moves: the maximum of a window in which the load
grew by x standard units is that of a window shorter by (1 - exp(-x)) / x, and cold starts that only replace
what expired become rarer by x / (exp(x) - 1), those that the growth itself needs coming on top. (Extreme
values of a Poisson count are nearly Gumbel; the unit is their scale.) It is meant for many environments:
against the kernel its error falls with size (docs/modelling.md has the table).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from engine.model.queueing.formulas import blocking_of_many
from engine.model.queueing.warm_pool import approximate_warm_pool, exact_warm_pool

_EXACT_UP_TO: Final = 100.0
_MIN_LOAD: Final = 1e-3
_LOG_LEAST: Final = math.log(_MIN_LOAD)
_POINTS: Final = 4
"""Of the table of stationary pools, for each factor e of load."""


class Level(NamedTuple):
    """One step: what holds in it.

    Attributes:
        at_s: When it begins.
        rate_per_s: Requests a second that come.
        in_flight: Requests at work.
        environments: Environments, idle ones included.
        cold_per_s, throttled_per_s: Requests a second that wait for an init, and that are refused.
    """

    at_s: float
    rate_per_s: float
    in_flight: float
    environments: float
    cold_per_s: float
    throttled_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came of it, in sum; counts are expectations.

    Attributes:
        horizon_s: How long it was.
        requests, cold, throttled: How many came, waited for an init, were refused.
        busy_s, environment_s: Seconds in flight, and of environments, in sum.
        peak_in_flight, peak_environments: At the most.
        levels: Each step.
    """

    horizon_s: float
    requests: float
    cold: float
    throttled: float
    busy_s: float
    environment_s: float
    peak_in_flight: float
    peak_environments: float
    levels: tuple[Level, ...]

    @property
    def ran(self) -> float:
        """Requests that were not refused."""
        return self.requests - self.throttled


def flow(
    rates_per_s: Sequence[float],
    step_s: float,
    *,
    service_s: float,
    keep_alive_s: float = 600.0,
    limit: float = math.inf,
    provisioned: float = 0.0,
    burst: float = 1000.0,
    growth_per_s: float = 100.0,
) -> Flow:
    """Follow rates that are constant within steps.

    Args:
        rates_per_s: Requests a second, one for each step; 0 or more.
        step_s: Length of a step.
        service_s: Mean service.
        keep_alive_s: How long an idle environment lives.
        limit: Requests in flight at most.
        provisioned: Environments that are always there.
        burst: Environments that may be started at once; 0 = no limit.
        growth_per_s: And each second after that.
    """
    pools = _Pools(service_s, keep_alive_s, max(rates_per_s, default=0.0) * service_s)
    needs = _Highest(max(1, round(keep_alive_s / step_s)))
    decay = math.exp(-step_s / service_s)
    tokens, offered = burst, 0.0
    levels: list[Level] = []
    for number, rate in enumerate(rates_per_s):
        before, target = offered, rate * service_s
        offered = target + (before - target) * decay  # at the end of the step
        mean = target + (before - offered) * service_s / step_s
        need, renewed = pools.moving(offered, max(0.0, offered - before) / step_s)
        need = min(need, limit)
        there = max(needs.highest, provisioned)
        new = max(0.0, need - there)
        if burst:
            tokens = min(burst, tokens + (growth_per_s * step_s if number else 0.0))
            new = min(new, tokens)
            tokens -= new
        needs.add(min(need, there + new))
        environments = max(needs.highest, provisioned)
        capacity = min(limit, environments)
        lost = blocking_of_many(mean, capacity) if capacity < need or capacity >= limit else 0.0
        cold = new / step_s
        if environments > provisioned and offered:
            # Below the highest need of the window chance seldom reaches it: Gumbel's tail.
            rarer = math.exp(-max(0.0, environments - need) / renewed.scale)
            cold += rate * renewed.share * rarer * (1 - lost)
        served = rate * (1 - lost)
        levels.append(
            Level(number * step_s, rate, mean * (1 - lost), environments, min(cold, served), rate - served)
        )
    return _summed(levels, step_s)


class _Renewed(NamedTuple):
    """Share of requests that replace an expired environment at the highest need, and Gumbel's scale there."""

    share: float
    scale: float


class _Pools:
    """Cold share and environments of the stationary warm pool for any load, between points of a table."""

    def __init__(self, service_s: float, keep_alive_s: float, most: float) -> None:
        self._keep_alive_s = keep_alive_s
        self._shares: list[float] = []
        self._spares: list[float] = []  # environments beyond the load, in standard deviations of it
        count = max(0, math.ceil(math.log(max(most, _MIN_LOAD) / _MIN_LOAD) * _POINTS)) + 2
        for place in range(count):
            load = _MIN_LOAD * math.exp(place / _POINTS)
            formula = exact_warm_pool if load <= _EXACT_UP_TO else approximate_warm_pool
            pool = formula(load / service_s, service_s, keep_alive_s)
            self._shares.append(pool.cold_share)
            self._spares.append((pool.environments - load) / math.sqrt(load))

    def moving(self, load: float, growth_per_s: float) -> tuple[float, _Renewed]:
        """Environments needed for `load` while it grows, and how many of them are renewed."""
        share, need = self._at(load)
        if load <= _MIN_LOAD:
            return need, _Renewed(share, 1.0)
        scale = 1 / math.log(need / load) if need > load else math.inf
        x = growth_per_s * self._keep_alive_s / scale
        if 1e-6 < x < 500:
            share *= x / math.expm1(x)
            need -= scale * math.log(x / -math.expm1(-x))
        elif x >= 500:
            share, need = 0.0, need - scale * math.log(x)
        return max(need, load), _Renewed(share, scale)

    def _at(self, load: float) -> tuple[float, float]:
        """Cold share and environments of the stationary pool."""
        if load <= _MIN_LOAD:
            return self._shares[0], self._spares[0] * load / math.sqrt(_MIN_LOAD)
        place = (math.log(load) - _LOG_LEAST) * _POINTS
        low = min(int(place), len(self._shares) - 2)
        part = place - low
        share = self._shares[low] + part * (self._shares[low + 1] - self._shares[low])
        spare = self._spares[low] + part * (self._spares[low + 1] - self._spares[low])
        return share, load + spare * math.sqrt(load)


class _Highest:
    """The maximum of the last `count` values; adding one takes constant time on average."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._seen = 0
        self._kept: deque[tuple[int, float]] = deque()
        self.highest = 0.0

    def add(self, value: float) -> None:
        """Add the newest value and drop the oldest."""
        kept = self._kept
        while kept and kept[-1][1] <= value:
            kept.pop()
        kept.append((self._seen, value))
        self._seen += 1
        if kept[0][0] <= self._seen - 1 - self._count:
            kept.popleft()
        self.highest = kept[0][1]


def _summed(levels: Sequence[Level], step_s: float) -> Flow:
    def total(place: int) -> float:
        return math.fsum(level[place] for level in levels) * step_s

    return Flow(
        horizon_s=len(levels) * step_s,
        requests=total(1),
        busy_s=total(2),
        environment_s=total(3),
        cold=total(4),
        throttled=total(5),
        peak_in_flight=max((level.in_flight for level in levels), default=0.0),
        peak_environments=max((level.environments for level in levels), default=0.0),
        levels=tuple(levels),
    )
