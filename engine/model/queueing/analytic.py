"""One function under steady or slowly moving load, answered by formulas: nothing is drawn, nothing counted.

Steady load: Little, Erlang B, the warm pool. Moving load: `fluid`, with the same response times. A cold
request is taken to wait for its own environment, as on Lambda; the engine gives it the first that is free.
"""

from __future__ import annotations

import math
from itertools import count
from typing import Final

from engine.core.function import Account, Function
from engine.core.limits import SCALING_PERIOD_S
from engine.model.distributions import Capped, Distribution, Mixture, Sum
from engine.model.queueing.fluid import flow
from engine.model.queueing.formulas import MANY_SERVERS, blocking, blocking_of_many, poisson_quantile
from engine.model.queueing.prediction import Prediction
from engine.model.queueing.warm_pool import warm_pool
from engine.model.simulation.run_statistics import PERCENTILES, Times
from engine.model.traffic.shapes import Shape

_HIGHEST_SHARE: Final = 1 - 1e-6
"""Stands for "at the most" where a distribution has no end."""

_IDLE: Final = (
    "the environment used last is taken first, an idle one lives {:g} s: AWS documents neither (unverified)"
)
STEPS: Final = 4_320
"""Steps of the fluid model, over the whole horizon."""


def predict(
    function: Function,
    account: Account,
    shape: Shape,
    *,
    horizon_s: float,
    service: Distribution,
    init: Distribution,
    steps: int = STEPS,
) -> Prediction:
    """Predict what `shape` does to `function`, alone in its account.

    Args:
        function: Its limits; requests over them are refused.
        account: Its limits.
        shape: The traffic.
        horizon_s: How long it lasts.
        service: In the handler, seconds.
        init: Of an environment, seconds.
        steps: Of the fluid model, if the traffic moves.
    """
    capped = Capped(service, function.timeout_s)
    if shape.kind in ("poisson", "constant"):
        return _steady(function, account, shape, horizon_s, capped, init)
    return _moving(function, account, shape, horizon_s, capped, init, steps)


def limit_of(function: Function, account: Account) -> int:
    """Return the concurrency the function may reach: its reservation, or the account's limit."""
    reserved = function.reserved_concurrency
    return account.concurrency_limit if reserved is None else reserved


def mean_billed_ms(distribution: Capped) -> float:
    """Mean of the duration rounded up to whole milliseconds."""
    mean_ms = distribution.mean_s * 1000
    if distribution.fixed:
        return float(math.ceil(round(mean_ms, 6)))
    if mean_ms > 200:  # where it is spread over many milliseconds, rounding adds half of one
        return mean_ms + 0.5
    total = 0.0
    for place in count():  # E[ceil X] = sum of P(X > k)
        more = 1.0 - distribution.below(place / 1000)
        total += more
        if more < 1e-9:
            break
    return total


def _steady(
    function: Function, account: Account, shape: Shape, horizon_s: float, service: Capped, init: Distribution
) -> Prediction:
    rate, mean_s, limit = shape.numbers[0], service.mean_s, limit_of(function, account)
    load = rate * mean_s
    lost = _blocking(load, limit)
    admitted = rate * (1 - lost)
    pool = warm_pool(rate, mean_s, function.keep_alive_s, function.provisioned_concurrency)
    environments = min(pool.environments, float(limit))
    cold = pool.cold_share
    if environments >= limit:  # none expires any more: each is started once
        cold = min(cold, limit / max(admitted * horizon_s, 1.0))
    busy = admitted * mean_s
    inside = 1 - _blocking(load, function.provisioned_concurrency)
    created = admitted * cold * horizon_s
    init_ms = created * init.mean_s * 1000
    peak = min(poisson_quantile(load, _HIGHEST_SHARE), limit)
    times = _times(admitted * horizon_s, cold, service, init)
    return Prediction(
        method="analytic",
        error=(
            "exact for Poisson arrivals and exponential service"
            if pool.method == "exact"
            else "within 1 % of the exact formula at this size"
        )
        + "; against AWS's published measurements 3 % for environments, 13 % for cold starts",
        function=function,
        horizon_s=horizon_s,
        requests=rate * horizon_s,
        peak_per_s=rate,
        concurrency=busy,
        concurrency_p99=min(poisson_quantile(load, 0.99), limit),
        concurrency_peak=peak,
        environments=environments,
        environments_peak=max(peak, environments),
        created=created + function.provisioned_concurrency,
        cold_share=cold,
        throttled_share=lost,
        refusals=_refused(function, rate * lost * horizon_s),
        all_times=times[0],
        warm_times=times[1],
        cold_times=times[2],
        billed_ms=admitted * horizon_s * mean_billed_ms(service) + init_ms,
        init_ms=init_ms,
        inside_share=inside,
        assumptions=(
            "arrivals are Poisson, independent of each other, at the same rate all the time",
            _IDLE.format(function.keep_alive_s),
            "a refused request is not tried again",
        ),
    )


def _moving(
    function: Function,
    account: Account,
    shape: Shape,
    horizon_s: float,
    service: Capped,
    init: Distribution,
    steps: int,
) -> Prediction:
    mean_s, limit = service.mean_s, limit_of(function, account)
    step_s = max(horizon_s / steps, 1e-3)
    rates = [shape.rate_per_s((number + 0.5) * step_s) for number in range(round(horizon_s / step_s))]
    ran = flow(
        rates,
        step_s,
        service_s=mean_s,
        keep_alive_s=function.keep_alive_s,
        limit=limit,
        provisioned=function.provisioned_concurrency,
        burst=account.scaling_rate,
        growth_per_s=account.scaling_rate / SCALING_PERIOD_S,
    )
    cold = ran.cold / ran.ran if ran.ran else 0.0
    init_ms = ran.cold * init.mean_s * 1000
    busiest = sorted(level.in_flight for level in ran.levels)
    top = poisson_quantile(busiest[math.ceil(0.99 * len(busiest)) - 1], 0.5) if busiest else 0.0
    p = function.provisioned_concurrency
    inside_s = sum(min(level.in_flight, p) for level in ran.levels) * step_s if p else 0.0
    keys = ("at_s", "rate_per_s", "in_flight", "environments", "cold_per_s", "throttled_per_s")
    shown = ran.levels[:: max(1, len(ran.levels) // 720)]
    times = _times(ran.ran, cold, service, init)
    samples = dict(zip(keys, (list(column) for column in zip(*shown, strict=True)), strict=True))
    return Prediction(
        method="fluid",
        error="cold starts within 10 %, environments within 5 % of a simulation at 75 in flight; less above",
        function=function,
        horizon_s=horizon_s,
        requests=ran.requests,
        peak_per_s=max(rates),
        concurrency=ran.busy_s / ran.horizon_s,
        concurrency_p99=min(top, limit),
        concurrency_peak=min(poisson_quantile(ran.peak_in_flight, 0.999), limit),
        environments=ran.environment_s / ran.horizon_s,
        environments_peak=ran.peak_environments,
        created=ran.cold + p,
        cold_share=cold,
        throttled_share=ran.throttled / ran.requests if ran.requests else 0.0,
        refusals=_refused(function, ran.throttled),
        all_times=times[0],
        warm_times=times[1],
        cold_times=times[2],
        billed_ms=ran.ran * mean_billed_ms(service) + init_ms,
        init_ms=init_ms,
        inside_share=inside_s / ran.busy_s if ran.busy_s else 0.0,
        assumptions=(
            "rates are levels, not requests: chance is taken from the stationary formulas",
            _IDLE.format(function.keep_alive_s),
            "a refused request is not tried again",
        ),
        samples=samples,
    )


def _blocking(load: float, servers: int) -> float:
    return blocking(load, servers) if servers <= MANY_SERVERS else blocking_of_many(load, servers)


def _times(ran: float, cold: float, service: Capped, init: Distribution) -> tuple[Times, Times, Times]:
    """Return the response times of all, of warm and of cold requests."""
    slow = Sum(init, service)
    both = Mixture(cold, slow, service)
    return _read(both, ran), _read(service, ran * (1 - cold)), _read(slow, ran * cold)


def _read(distribution: Distribution, number: float) -> Times:
    shares = [(p, p / 100 if p < 100 else _HIGHEST_SHARE) for p in PERCENTILES]
    return Times(
        count=round(number),
        mean_s=distribution.mean_s,
        percentiles_s={p: distribution.quantile_s(share) for p, share in shares},
    )


def _refused(function: Function, number: float) -> dict[str, float]:
    if number < 1e-9:
        return {}
    return {"function_limit" if function.reserved_concurrency is not None else "account_limit": number}
