"""Arrivals at equal distances: fewer requests meet each other than if they came by chance.

In flight: each of the last arrivals is still there with a chance of its own (a sum of Bernoulli numbers). The
loss of D/D/c and of D/M/c/c is exact; other laws at a limit, and environments and cold starts of a rate that
is not too high, are taken from a run of the simulator's kernel, which says so. Source: the loss formula of
GI/M/c/c (Takacs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from statistics import NormalDist
from typing import Final

from engine.core.late_dataclass import dataclass
from engine.model.distributions import Capped, Distribution, Exponential, Mixture, Sum
from engine.model.queueing.formulas import blocking
from engine.model.queueing.in_flight import CountedInFlight, InFlight, PoissonInFlight
from engine.model.queueing.warm_pool import warm_pool
from engine.model.simulation import kernel
from engine.model.simulation.confidence_intervals import share_interval
from engine.model.simulation.kernel import Rules

_ARRIVALS: Final = 60_000
_FEW_ARRIVALS: Final = 6_000
"""Of a run of the kernel: a tenth of a second, and where a rough answer will do."""

_HARDLY_LATE: Final = 1e-5
"""Share of time-outs that is too small to change what a formula says."""

_KEEP_ALIVES: Final = 8
"""That such a run must last, for its cold starts to mean anything."""

_PHASES: Final = 8
_MAX_SUMMED: Final = 60.0
"""Load up to which the law of what is in flight is summed up; beyond it is normal."""

_SEED: Final = 1
_SURE: Final = 1e-9
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Regular:
    """What arrivals at equal distances come to.

    Attributes:
        refused_share, by_rate: Refused, and the part of it that is refused for the rate of requests.
        cold_share, cold_interval: Of what runs, in the long run.
        environments: Mean number.
        in_flight_p99, in_flight_peak: For 99 % of time; at the most.
        in_flight: For any share of the time; of a rough answer an upper bound.
        inside_share: Of what runs, in provisioned environments.
        seed: Of what was drawn, if anything was.
        error: What is known of the accuracy.
    """

    refused_share: float
    by_rate: float
    cold_share: float
    cold_interval: tuple[float, float] | None
    environments: float
    in_flight_p99: int
    in_flight_peak: int
    in_flight: InFlight
    inside_share: float
    seed: int | None
    error: str


def regular(
    rate_per_s: float,
    service: Capped,
    init: Distribution,
    *,
    keep_alive_s: float,
    provisioned: int,
    limit: int,
    requests_per_s: float,
    rough: bool = False,
) -> Regular:
    """What `rate_per_s` arrivals at equal distances do; times are in seconds.

    Args:
        rate_per_s: More than 0.
        service: In the handler.
        init: Of an environment.
        keep_alive_s: How long an idle environment lives.
        provisioned: Environments that are always there.
        limit: Requests in flight at the most.
        requests_per_s: Requests that are let in; infinity = any number.
        rough: Whether a short run of the kernel will do.
    """
    by_rate = max(0.0, 1 - requests_per_s / rate_per_s)
    rate = rate_per_s * (1 - by_rate)
    load = rate * service.mean_s
    late = service.late_share > _HARDLY_LATE
    plain = not late and (service.fixed or isinstance(service.distribution, Exponential))
    seen = None
    if not service.fixed or late:
        size = _FEW_ARRIVALS if rough else _ARRIVALS
        seen = _Run.of(rate, service, init, keep_alive_s, provisioned, limit, size)
    loss = _loss(rate, service, limit) if plain else None
    said = []
    if loss is None and seen is not None and limit < load + 12 * math.sqrt(load) + 12:
        loss = seen.refused_share
        said.append(f"refusals and cold starts from {seen.count:,} simulated arrivals")
    elif seen is not None and seen.is_long:
        said.append(f"cold starts from {seen.count:,} simulated arrivals")
    refused = by_rate + (1 - by_rate) * (loss or 0.0)
    cold, interval, environments = _pool(rate, service, init, keep_alive_s, provisioned, seen)
    # Where environments are lost, inits never are over: they hold a place, too.
    held = Mixture(cold, Sum(init, service), service) if late and cold and init.mean_s else service
    counts = [] if rough else _in_flight(rate, held, 64 if service.fixed else _PHASES)
    load = rate * held.mean_s
    drawn = bool(said)
    if not said and not service.fixed:
        said.append("cold starts and environments of a Poisson load that varies as much: within 15 %")
    return Regular(
        refused_share=refused,
        by_rate=by_rate,
        cold_share=cold,
        cold_interval=interval,
        environments=min(environments, float(limit)),
        in_flight_p99=min(_quantile(counts, 0.99, load), limit),
        in_flight_peak=min(max(_quantile(counts, 1 - 1e-6, load), seen.peak if seen else 0), limit),
        in_flight=CountedInFlight(counts, limit) if counts else PoissonInFlight([(load, 1.0)], limit),
        inside_share=_inside(rate, service, provisioned, seen),
        seed=_SEED if drawn else None,
        error="; ".join(("arrivals at equal distances: in flight exact", *said)),
    )


def loss_of_exponential(load: float, servers: int) -> float:
    """D/M/c/c: the share of arrivals at equal distances that finds all `servers` busy; exponential runs."""
    logs = [0.0]
    product = 0.0
    for j in range(1, servers + 1):
        decay = j / load
        product += math.log(-math.expm1(-decay)) + decay  # of (1 - f) / f, f = exp(-j / load)
        choose = math.lgamma(servers + 1) - math.lgamma(j + 1) - math.lgamma(servers - j + 1)
        logs.append(choose + product)
    highest = max(logs)
    return math.exp(-highest) / math.fsum(math.exp(one - highest) for one in logs)


def loss_of_fixed(load: float, servers: int) -> float:
    """D/D/c: each cycle of ceil(load) arrivals finds `servers` places."""
    needed = math.ceil(load - 1e-9)
    return 0.0 if servers >= needed else 1 - servers / needed


def _loss(rate: float, service: Capped, limit: int) -> float:
    load = rate * service.mean_s
    if service.fixed:
        return loss_of_fixed(load, limit)
    return loss_of_exponential(load, limit) if limit < load + 12 * math.sqrt(load) + 12 else 0.0


# -------------------------------------------------------------------- in flight


def _in_flight(rate: float, service: Distribution, phases: int) -> list[float]:
    """P(N = k) at a random moment; empty if the load is too large to be summed up."""
    if rate * service.mean_s > _MAX_SUMMED:
        return []
    total: list[float] = []
    for phase in range(phases):
        age_s = (phase + 0.5) / phases / rate
        law = [1.0]
        while (there := 1 - service.below(age_s)) > _SURE:
            law = _with_one(law, there)
            age_s += 1 / rate
        total += [0.0] * (len(law) - len(total))
        for k, share in enumerate(law):
            total[k] += share / phases
    return total


def _with_one(law: Sequence[float], there: float) -> list[float]:
    """The law of a number, and of one more that is there with that chance; what is next to nothing is cut."""
    away = 1 - there
    more = [away * law[0]]
    more += [away * now + there * less for less, now in pairwise(law)]
    more.append(there * law[-1])
    while len(more) > 1 and more[-1] < _SURE * _SURE:
        more.pop()
    return more


def _quantile(law: Sequence[float], share: float, load: float) -> int:
    if not law:  # with exponential runs the variance is half the load; it never is more than that of Poisson
        return math.ceil(load + _NORMAL.inv_cdf(share) * math.sqrt(load / 2))
    below = 0.0
    for k, chance in enumerate(law):
        below += chance
        if below >= share - 1e-12:
            return k
    return len(law) - 1


def _variance(rate: float, service: Capped) -> float:
    """Of the number in flight, many together: rate x the integral of F (1 - F)."""
    if service.fixed:
        return 0.0
    pieces = 512
    ends_s = [0.0, *(service.quantile_s((place + 0.5) / pieces) for place in range(pieces))]
    total = 0.0
    for place in range(pieces):
        below = place / pieces
        total += (ends_s[place + 1] - ends_s[place]) * below * (1 - below)
    return rate * total


# -------------------------------------------------------------------- environments


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of the kernel; what is counted, without its first third."""

    count: int
    ran: int
    cold: int
    inside: int
    refused_share: float
    environments: float
    peak: int
    is_long: bool

    @classmethod
    def of(
        cls,
        rate: float,
        service: Capped,
        init: Distribution,
        keep_alive_s: float,
        provisioned: int,
        limit: int,
        size: int,
    ) -> _Run:
        rng = Random(_SEED)  # noqa: S311  # it simulates
        at_s = [number / rate for number in range(size)]
        hold_s = [service.draw_s(rng) for _ in range(size)]
        late = bool(service.late_share) and not provisioned  # the kernel renews no provisioned environment
        kills = bytearray(one >= service.limit_s for one in hold_s) if late else bytearray()
        inits_s = [init.draw_s(rng) for _ in range(1 if init.fixed else 1009)]
        rules = Rules(limit, provisioned, keep_alive_s, 0, 0.0, 0, 0.0, own=True)
        outcomes, started_s, billed_s = bytearray(size), [0.0] * size, [0.0] * size
        inside = bytearray(size if provisioned else 0)
        begin = size // 3
        horizon_s = at_s[-1]

        arrays = outcomes, started_s, billed_s, inside
        totals = kernel.run(at_s, hold_s, kills, inits_s, horizon_s, rules, *arrays)
        seen = outcomes[begin:]
        ran = seen.count(0) + seen.count(1)
        return cls(
            count=size,
            ran=ran,
            cold=seen.count(1),
            inside=sum(inside[begin:]),
            refused_share=seen.count(2) / len(seen),
            environments=totals[2] / horizon_s,
            peak=totals[1],
            is_long=horizon_s >= _KEEP_ALIVES * keep_alive_s,
        )


def _pool(
    rate: float,
    service: Capped,
    init: Distribution,
    keep_alive_s: float,
    provisioned: int,
    seen: _Run | None,
) -> tuple[float, tuple[float, float] | None, float]:
    """Cold share, its interval, and the mean number of environments."""
    load = rate * service.mean_s
    if seen is not None and seen.is_long:
        share = seen.cold / seen.ran if seen.ran else 0.0
        return share, share_interval(seen.cold, seen.ran), seen.environments
    if service.fixed and not service.late_share:
        needed = math.ceil(load - 1e-9)
        idle_s = (needed - load) / rate
        if provisioned >= needed:
            return 0.0, None, float(provisioned)
        if idle_s < keep_alive_s or idle_s < 1e-12:
            return 0.0, None, float(max(needed, provisioned))
        return 1.0, None, load + rate * (keep_alive_s + init.mean_s) + provisioned
    late = service.late_share
    variance = _variance(rate, service)
    if variance < 1e-9:
        return late, None, max(load, provisioned)
    # The count varies like a Poisson count of that mean, about a level that does not vary.
    base = load - variance
    pool = warm_pool(
        variance / service.mean_s, service.mean_s, keep_alive_s, max(0, math.floor(provisioned - base))
    )
    cold = pool.cold_share * variance / load
    share = min(1.0, late + (1 - late) * cold)
    return share, (share * 0.85, min(1.0, share * 1.15)), max(base + pool.environments, provisioned)


def _inside(rate: float, service: Capped, provisioned: int, seen: _Run | None) -> float:
    if not provisioned:
        return 0.0
    if seen is not None:
        return seen.inside / seen.ran if seen.ran else 0.0
    return (
        1 - loss_of_fixed(rate * service.mean_s, provisioned)
        if service.fixed
        else 1 - blocking(rate * service.mean_s, provisioned)
    )
