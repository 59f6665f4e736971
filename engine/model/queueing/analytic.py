"""One function under steady or moving load, answered by formulas: nothing is drawn, unless it says so.

Poisson arrivals at a steady rate: Little, Erlang B, the warm pool. Arrivals at equal distances:
`regular_arrivals`. Any other: `fluid`, with the same response times. What runs, is billed and takes a place
is an attempt; a cold request waits for its own environment, as on Lambda; the engine gives it the first that
is free.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.core.throttling import SCALING_PERIOD_S
from engine.model.distributions import (
    Answered,
    Distribution,
    Exponential,
    Mixture,
    Sum,
    mean_billed_ms,
)
from engine.model.queueing.fluid import Flow, FlowLimits, Level, flow
from engine.model.queueing.formulas import (
    MANY_SERVERS,
    blocking,
    blocking_of,
    blocking_of_many,
)
from engine.model.queueing.in_flight import CountedInFlight, InFlight, PoissonInFlight
from engine.model.queueing.peak_in_flight import median_highest
from engine.model.queueing.planned_load import PlannedLoad
from engine.model.queueing.prediction import Prediction
from engine.model.queueing.regular_arrivals import regular
from engine.model.queueing.warm_pool import WarmPool, approximate_warm_pool, warm_pool
from engine.model.simulation.run_statistics import PERCENTILES, Times
from engine.model.simulation.workload import Trigger
from engine.model.traffic.shapes import Shape

_HIGHEST_SHARE: Final = 1 - 1e-6
"""Stands for "at the most" where a distribution has no end."""

_HARDLY_LATE: Final = 1e-5
"""Share of time-outs that is too small to change what a formula says."""

FLUID_ERROR: Final = (
    "within 20 % of a simulation for cold starts, 10 % for environments (25 % if some time out), "
    "4 points for refusals"
)
_ONOFF_LATE: Final = "; of on-off traffic of which some time out, environments are an upper bound"


def predict(
    function: Function,
    account: Account,
    shape: Shape,
    *,
    horizon_s: float,
    service: Distribution,
    init: Distribution,
    error_share: float = 0.0,
    trigger: Trigger = Trigger.SYNCHRONOUS,
    rough: bool = False,
) -> Prediction:
    """Predict what `shape` does to `function`, alone in its account.

    Args:
        function: Its limits; requests over them are refused.
        account: Its limits.
        shape: The traffic.
        horizon_s: How long it lasts.
        service: In the handler, seconds.
        init: Of an environment, seconds.
        error_share: Of the attempts, how many fail by an error of the handler.
        trigger: Who sends the events.
        rough: Whether it may be less exact, and faster.
    """
    load = PlannedLoad(function, account, shape, horizon_s, service, init, error_share, trigger)
    return predict_load(load, rough=rough)


def predict_load(load: PlannedLoad, *, rough: bool = False) -> Prediction:
    """The same for a load that is put together already."""
    if not load.limit:
        return _nothing_runs(load)
    if load.shape.kind == "poisson":
        return _steady(load)
    if load.shape.kind == "constant":
        return _regular(load, rough=rough)
    return _moving(load, rough=rough)


def _nothing_runs(load: PlannedLoad) -> Prediction:
    """A reservation of 0: how a function is switched off."""
    requests = load.shape.requests(load.horizon_s)
    environments = load.function.provisioned_concurrency
    return _prediction(
        load,
        _Found(
            method="analytic",
            error="exact: no concurrency, so nothing runs",
            requests=requests,
            ran=0.0,
            peak_per_s=load.shape.peak_per_s(load.horizon_s),
            concurrency=0.0,
            concurrency_p99=0.0,
            concurrency_peak=0.0,
            in_flight=CountedInFlight([1.0]),
            environments=environments,
            environments_peak=environments,
            cold=0.0,
            throttled=1.0,
            by_limit=requests,
        ),
    )


# -------------------------------------------------------------------- steady


def _steady(load: PlannedLoad) -> Prediction:
    function, horizon_s, capped = load.function, load.horizon_s, load.capped
    mean_s, limit = capped.mean_s, load.limit
    rate = load.shape.numbers[0] * load.attempts
    by_rate = max(0.0, 1 - load.mean_requests_per_s / rate)
    let_in = rate * (1 - by_rate)
    pool = warm_pool(let_in, mean_s, function.keep_alive_s, function.provisioned_concurrency)
    outside = _blocking(let_in * mean_s, function.provisioned_concurrency)
    late = capped.late_share
    cold = min(1.0, late * outside + (1 - late) * pool.cold_share)
    hold_s = mean_s + cold * load.init.mean_s
    by_limit = _refused_at(load, let_in * hold_s, limit)
    starts = _starts(load, let_in * (1 - by_limit), cold, late * outside)
    by_scaling = starts.refused_share * (1 - by_limit)
    lost = by_rate + (1 - by_rate) * (by_limit + by_scaling)
    admitted = rate * (1 - lost)
    environments = _pool_with_losses(load, let_in, pool)
    if environments >= limit:  # none expires any more: each is started once, or after a time-out
        environments = float(limit)
        cold = min(cold, late + limit / max(admitted * horizon_s, 1.0))
    offered = let_in * hold_s
    ran = admitted * horizon_s
    created = ran * cold
    environments, loads = starts.over_time(max(environments, admitted * hold_s), offered)
    in_flight = PoissonInFlight(loads, limit)
    peak = min(median_highest(offered, let_in, horizon_s * starts.free_share), limit)
    exact = isinstance(load.service, Exponential) and late < _HARDLY_LATE and by_limit < _HARDLY_LATE
    return _prediction(
        load,
        _Found(
            method="analytic",
            error=(
                "exact for Poisson arrivals and exponential runs"
                if exact and pool.method == "exact"
                else "within 10 % for cold starts, 5 % for environments (25 % if some time out), "
                "1 point for refusals (4 by their rate)"
            )
            + "; against AWS's published measurements 3 % for environments, 13 % for cold starts",
            requests=load.shape.numbers[0] * horizon_s,
            ran=ran,
            peak_per_s=load.shape.numbers[0],
            concurrency=admitted * (mean_s + cold * load.init.mean_s),
            concurrency_p99=in_flight.quantile(0.99),
            concurrency_peak=peak,
            in_flight=in_flight,
            environments=environments,
            environments_peak=max(peak, math.ceil(environments)),
            cold=created,
            cold_error=0.0 if exact else 0.1,
            throttled=lost,
            by_rate=by_rate * rate * horizon_s,
            by_limit=let_in * by_limit * horizon_s,
            by_scaling=let_in * by_scaling * horizon_s,
            inside=ran * (1 - outside),
            assumptions=(
                "arrivals are Poisson, independent of each other, at the same rate all the time",
                "in the long run: the first environments, started from none, come on top",
            ),
        ),
    )


def _refused_at(load: PlannedLoad, offered: float, limit: int) -> float:
    """Share that finds no place; an event that is tried again until it is let in is lost in overload only."""
    if load.trigger is Trigger.ASYNCHRONOUS:
        return max(0.0, 1 - limit / offered) if offered else 0.0
    return _blocking(offered, limit)


@dataclass(frozen=True, slots=True)
class _Starts:
    """What the limited rate of starts does to a steady load: there is a burst, and then it is used up.

    Attributes:
        refused_share: Of the requests, for want of an environment.
        free_share: Of the time, before the burst is used up; 1 if it never is.
        all_busy: Whether no environment is idle from then on: they are lost as fast as they may be started.
    """

    refused_share: float = 0.0
    free_share: float = 1.0
    all_busy: bool = False

    def over_time(self, environments: float, in_flight: float) -> tuple[float, list[tuple[float, float]]]:
        """The mean number of environments, and (mean in flight, share of the time).

        Both arguments are what there is during the burst.
        """
        free = self.free_share
        if free == 1:
            return environments, [(in_flight, 1.0)]
        later = in_flight * max(0.0, 1 - self.refused_share / (1 - free))
        if self.all_busy:
            environments = free * environments + (1 - free) * later
        return environments, [(in_flight, free), (later, 1 - free)]


def _starts(load: PlannedLoad, per_s: float, cold: float, lost: float) -> _Starts:
    """What becomes of `per_s` requests a second.

    Args:
        load: Account and horizon.
        per_s: Those that find a place.
        cold: Of them, how many want an environment started.
        lost: Of what runs, after how much an environment is gone: it never comes to be idle.
    """
    burst = load.account.scaling_rate
    growth_per_s = burst / SCALING_PERIOD_S
    if not burst or per_s * cold <= growth_per_s:
        return _Starts()
    allowed_per_s = growth_per_s + burst / load.horizon_s
    for_growth = max(0.0, cold - allowed_per_s / per_s)
    for_loss = max(0.0, 1 - allowed_per_s / (per_s * lost)) if lost else 0.0
    free_s = burst / (per_s * cold - growth_per_s)
    return _Starts(max(for_growth, for_loss), min(1.0, free_s / load.horizon_s), for_loss > 0)


def _pool_with_losses(load: PlannedLoad, rate: float, pool: WarmPool) -> float:
    """Environments where some are lost to time-outs: a peak is forgotten before a keep-alive is over."""
    if load.capped.late_share < _HARDLY_LATE or not pool.busy:
        return pool.environments
    window_s = _window_s(load, rate)
    provisioned = load.function.provisioned_concurrency
    return approximate_warm_pool(rate, load.capped.mean_s, window_s, provisioned).environments


def _window_s(load: PlannedLoad, rate: float) -> float:
    """How long a peak is remembered if it loses environments to time-outs, as a keep-alive without them.

    A peak k environments higher is exp(theta k) rarer, and is forgotten by one environment a time-out.
    """
    function = load.function
    keep_s, provisioned = function.keep_alive_s, function.provisioned_concurrency
    mean_s, late = load.capped.mean_s, load.capped.late_share
    busy = rate * mean_s
    found = approximate_warm_pool(rate, mean_s, keep_s, provisioned).environments
    window_s = keep_s
    for _ in range(12):
        theta = math.log(max(found / busy, 1.0 + 1e-9))
        forgotten_per_s = theta * rate * late
        window_s = -math.expm1(-forgotten_per_s * keep_s) / forgotten_per_s
        there = approximate_warm_pool(rate, mean_s, window_s, provisioned).environments
        found = (found + there) / 2
    return window_s


# -------------------------------------------------------------------- at equal distances


def _regular(load: PlannedLoad, *, rough: bool) -> Prediction:
    function, horizon_s, capped = load.function, load.horizon_s, load.capped
    rate = load.shape.numbers[0]
    found = regular(
        rate,
        capped,
        load.init,
        keep_alive_s=function.keep_alive_s,
        provisioned=function.provisioned_concurrency,
        limit=load.limit,
        requests_per_s=load.mean_requests_per_s,
        rough=rough,
    )
    attempts = load.attempts
    let_in = 1 - found.refused_share
    lost = capped.late_share * (1 - found.inside_share)
    starts = _starts(load, rate * let_in * attempts, found.cold_share, lost)
    by_scaling = starts.refused_share * let_in
    refused = min(1.0, found.refused_share + by_scaling)
    admitted = rate * (1 - refused)
    ran = admitted * horizon_s * attempts
    hold_s = capped.mean_s + found.cold_share * load.init.mean_s
    in_flight = rate * let_in * attempts * hold_s
    environments, loads = starts.over_time(min(max(found.environments, in_flight), load.limit), in_flight)
    held_back = PoissonInFlight(loads, load.limit)
    retries = () if attempts == 1 else ("retries are taken to come at equal distances, too",)
    return _prediction(
        load,
        _Found(
            method="analytic",
            error=found.error,
            requests=rate * horizon_s,
            ran=ran,
            peak_per_s=rate,
            concurrency=admitted * attempts * hold_s,
            concurrency_p99=min(found.in_flight_p99, held_back.quantile(0.99))
            if starts.refused_share
            else found.in_flight_p99,
            concurrency_peak=found.in_flight_peak,
            in_flight=held_back if starts.refused_share else found.in_flight,
            environments=environments,
            environments_peak=max(found.in_flight_peak, math.ceil(environments - 1e-9)),
            cold=ran * found.cold_share,
            cold_interval=found.cold_interval,
            throttled=refused,
            by_rate=found.by_rate * rate * horizon_s,
            by_limit=(found.refused_share - found.by_rate) * rate * horizon_s,
            by_scaling=by_scaling * rate * horizon_s,
            inside=ran * found.inside_share,
            seed=found.seed,
            assumptions=(
                "arrivals come at equal distances, for ever: the first inits are over",
                *retries,
            ),
        ),
    )


# -------------------------------------------------------------------- moving


def _moving(load: PlannedLoad, *, rough: bool) -> Prediction:
    function, account, capped = load.function, load.account, load.capped
    attempts, limit = load.attempts, load.limit
    shape = load.shape.scaled(attempts) if attempts != 1 else load.shape
    limits = FlowLimits(
        keep_alive_s=function.keep_alive_s,
        limit=limit,
        provisioned=function.provisioned_concurrency,
        burst=account.scaling_rate,
        growth_per_s=account.scaling_rate / SCALING_PERIOD_S,
        requests_per_s=0.0 if load.requests_per_s == math.inf else load.requests_per_s,
    )

    def follow(limits: FlowLimits) -> Flow:
        return flow(
            shape,
            load.horizon_s,
            service=capped,
            limits=limits,
            init_s=load.init.mean_s,
            lost_share=capped.late_share,
            rough=rough,
        )

    ran = remembered = follow(limits)
    is_late = capped.late_share >= _HARDLY_LATE
    if is_late:
        remembered = follow(replace(limits, keep_alive_s=_moving_window_s(load, shape)))
    in_flight = PoissonInFlight([(level.load, level.seconds) for level in ran.levels], limit)
    return _prediction(
        load,
        _Found(
            method="fluid",
            error=FLUID_ERROR + (_ONOFF_LATE if shape.kind == "onoff" and is_late else ""),
            requests=load.shape.requests(load.horizon_s),
            ran=ran.ran,
            peak_per_s=load.shape.peak_per_s(load.horizon_s),
            concurrency=(ran.ran * capped.mean_s + ran.cold * load.init.mean_s) / load.horizon_s,
            concurrency_p99=in_flight.quantile(0.99),
            concurrency_peak=min(ran.highest, limit),
            in_flight=in_flight,
            environments=remembered.environment_s / load.horizon_s,
            environments_peak=remembered.peak_environments,
            cold=ran.cold,
            cold_error=0.2,
            throttled=ran.throttled / ran.requests if ran.requests else 0.0,
            by_limit=ran.throttled,
            inside=_inside(ran, function.provisioned_concurrency),
            samples=_samples(ran.levels),
            assumptions=(
                "rates are expectations; arrivals are Poisson about them; it begins with no environment",
                *(("retries come at the moment of the failure",) if attempts != 1 else ()),
                *_chance_of_refusals(ran),
            ),
        ),
    )


def _moving_window_s(load: PlannedLoad, shape: Shape) -> float:
    """`_window_s` of attempts that come in that shape."""
    if shape.kind != "onoff":
        return _window_s(load, shape.mean_per_s(load.horizon_s))
    rate, _, off_s = shape.numbers  # nothing is lost, and so nothing forgotten, while nothing comes
    return min(load.function.keep_alive_s, _window_s(load, rate) + off_s)


def _inside(ran: Flow, provisioned: int) -> float:
    """How much of it ran in provisioned environments."""
    if not provisioned:
        return 0.0
    return math.fsum(
        (level.rate_per_s - level.throttled_per_s)
        * (1 - blocking_of(level.load, provisioned))
        * level.seconds
        for level in ran.levels
    )


def _chance_of_refusals(ran: Flow) -> tuple[str, ...]:
    """By how much one run differs: while it refuses, what runs is given, and all the rest is refused."""
    came = math.fsum(one.rate_per_s * one.seconds for one in ran.levels if one.throttled_per_s > 0)
    if ran.throttled < 1:
        return ()
    spread = f"one run differs from that by {math.sqrt(came):,.0f} (a standard deviation)"
    return (f"{ran.throttled:,.0f} are refused on average; {spread} for its arrivals alone",)


def _samples(levels: tuple[Level, ...]) -> dict[str, list[float]]:
    shown = levels[:: max(1, len(levels) // 720)]
    names = ("at_s", "rate_per_s", "in_flight", "environments", "cold_per_s", "throttled_per_s")
    return {name: [getattr(level, name) for level in shown] for name in names}


# -------------------------------------------------------------------- what they have in common


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a method found; the rest of a prediction follows from it. Names as in `Prediction`.

    Attributes:
        cold: Cold starts.
        cold_error: Share by which that may be off; `cold_interval` goes first.
        throttled: Share of the attempts that is refused.
        by_rate, by_limit, by_scaling: How many attempts are refused, by reason.
        inside: Attempts inside provisioned concurrency.
    """

    method: str
    error: str
    requests: float
    ran: float
    peak_per_s: float
    concurrency: float
    concurrency_p99: float
    concurrency_peak: float
    in_flight: InFlight
    environments: float
    environments_peak: float
    cold: float
    cold_error: float = 0.0
    cold_interval: tuple[float, float] | None = None
    throttled: float
    by_rate: float = 0.0
    by_limit: float = 0.0
    by_scaling: float = 0.0
    inside: float = 0.0
    seed: int | None = None
    samples: dict[str, list[float]] | None = None
    assumptions: tuple[str, ...] = ()


def _prediction(load: PlannedLoad, found: _Found) -> Prediction:
    function, capped = load.function, load.capped
    cold = found.cold / found.ran if found.ran else 0.0
    billed_ms = mean_billed_ms(capped)
    init_ms = found.cold * load.init.mean_s * 1000
    answered = Answered(load.service, function.timeout_s)
    times = _times(found.ran, cold, answered, load.init)
    interval = found.cold_interval
    if interval is None and found.cold_error:
        interval = cold * (1 - found.cold_error), min(1.0, cold * (1 + found.cold_error))
    return Prediction(
        method=found.method,
        error=found.error,
        function=function,
        horizon_s=load.horizon_s,
        requests=found.requests,
        ran=found.ran,
        peak_per_s=found.peak_per_s,
        concurrency=found.concurrency,
        concurrency_p99=found.concurrency_p99,
        concurrency_peak=found.concurrency_peak,
        in_flight=found.in_flight,
        busy=found.ran * capped.mean_s / load.horizon_s,
        environments=found.environments,
        environments_peak=found.environments_peak,
        created=found.cold + function.provisioned_concurrency,
        cold_share=cold,
        cold_interval=interval,
        throttled_share=found.throttled,
        refusals=_refusals(function, found),
        failed_share=load.failed_share,
        timeout_share=capped.late_share,
        lost_share=load.lost_share,
        all_times=times[0],
        warm_times=times[1],
        cold_times=times[2],
        billed_ms=found.ran * billed_ms + init_ms,
        init_ms=init_ms,
        inside=found.inside,
        inside_ms=found.inside * billed_ms,
        seed=found.seed,
        assumptions=(*found.assumptions, *load.assumptions()),
        samples=found.samples or {},
    )


def _blocking(load: float, servers: int) -> float:
    return blocking(load, servers) if servers <= MANY_SERVERS else blocking_of_many(load, servers)


def _times(ran: float, cold: float, answered: Answered, init: Distribution) -> tuple[Times, Times, Times]:
    """Return the response times of all, of warm and of cold requests."""
    slow = Sum(init, answered)
    both = Mixture(cold, slow, answered)
    return _read(both, ran), _read(answered, ran * (1 - cold)), _read(slow, ran * cold)


def _read(distribution: Distribution, number: float) -> Times:
    shares = [(p, p / 100 if p < 100 else _HIGHEST_SHARE) for p in PERCENTILES]
    return Times(
        count=round(number),
        mean_s=distribution.mean_s,
        percentiles_s={p: distribution.quantile_s(share) for p, share in shares},
    )


def _refusals(function: Function, found: _Found) -> dict[str, float]:
    reserved = function.reserved_concurrency is not None
    named = {
        "reserved_request_rate" if reserved else "request_rate": found.by_rate,
        "function_limit" if reserved else "account_limit": found.by_limit,
        "scaling_rate": found.by_scaling,
    }
    return {name: number for name, number in named.items() if number >= 1e-9}
