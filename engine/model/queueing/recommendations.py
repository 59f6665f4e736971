"""What else follows from an answer: where limits are crossed, what to provision, what to ask AWS for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from engine.core.function import Account, Function
from engine.model.cost.bill import FreeTierChoice, bill
from engine.model.cost.price_book import PriceBook
from engine.model.distributions import Capped, Distribution
from engine.model.queueing.analytic import predict
from engine.model.queueing.formulas import concurrency_needed, load_for_blocking, offered_load
from engine.model.queueing.prediction import Prediction
from engine.model.queueing.provisioning import break_even, cheapest, for_spill
from engine.model.queueing.ramps import step
from engine.model.queueing.warm_pool import warm_pool
from engine.model.traffic.shapes import Shape

FACTORS: Final = (1, 3, 10, 30, 100, 300, 1000)
KEEP_ALIVES_S: Final = (60.0, 300.0, 600.0, 1200.0)
_FEW_REFUSED: Final = 0.01
_MAX_IN_FLIGHT: Final = 1e7
_RARE: Final = 1e-6
_TOO_MANY_REFUSED: Final = 0.001
_MAX_LISTED: Final = 200_000.0
"""Erlangs up to which a number of environments is looked for one by one."""


class Scaled(NamedTuple):
    """The same traffic, `factor` times as much."""

    factor: int
    rate_per_s: float
    in_flight: float
    quota: float
    throttled_share: float
    cold_share: float
    usd_per_month: Decimal


class Provision(NamedTuple):
    """A number of provisioned environments and what it is good for."""

    purpose: str
    environments: int
    spill_share: float
    last_utilisation: float
    usd_per_month: Decimal


def _as_it_is(found: Prediction) -> Prediction:
    return found


def scaled(
    function: Function,
    account: Account,
    shape: Shape,
    *,
    horizon_s: float,
    service: Distribution,
    init: Distribution,
    book: PriceBook,
    month_s: float,
    factors: Sequence[int] = FACTORS,
    completed: Callable[[Prediction], Prediction] = _as_it_is,
) -> list[Scaled]:
    """Predict `factors` times the same traffic under the same limits, billed without the free tier.

    `completed` adds what is billed beside Lambda.
    """
    rows: list[Scaled] = []
    for factor in factors:
        one = shape.scaled(factor)
        if one.peak_per_s(horizon_s) * service.mean_s > _MAX_IN_FLIGHT:
            break
        found = predict(function, account, one, horizon_s=horizon_s, service=service, init=init, rough=True)
        load = offered_load(one.peak_per_s(horizon_s), Capped(service, function.timeout_s).mean_s)
        rows.append(
            Scaled(
                factor,
                found.mean_per_s,
                load,
                max(load, one.peak_per_s(horizon_s) / 10),
                found.throttled_share,
                found.cold_share,
                bill(completed(found).usage(month_s), book).usd,
            )
        )
    return rows


def crossing_per_s(function: Function, account: Account, service: Distribution) -> float:
    """Poisson requests a second from which one in a hundred is refused: for places, or for their rate."""
    mean_s = Capped(service, function.timeout_s).mean_s
    limit = account.limit_of(function)
    by_places = load_for_blocking(limit, _FEW_REFUSED) / mean_s if mean_s else math.inf
    per_s = account.requests_per_concurrency * limit
    return min(by_places, per_s / (1 - _FEW_REFUSED)) if per_s else by_places


def provisions(
    function: Function,
    found: Prediction,
    service: Distribution,
    book: PriceBook,
    month_s: float,
    free: FreeTierChoice,
) -> list[Provision]:
    """None, the number that costs least, and those that leave one request in 100 or a million outside.

    The load is taken to be steady, at the mean rate.
    """
    mean_s = Capped(service, function.timeout_s).mean_s
    load = offered_load(found.mean_per_s, mean_s)
    if load > _MAX_LISTED or found.throttled_share > _TOO_MANY_REFUSED:
        return []
    least = float(break_even(book, function.architecture))
    chosen = [
        ("none", 0, 1.0, 0.0),
        ("least cost", *cheapest(load, least)),
        ("1 % outside", *for_spill(load, 0.01)),
        ("1 in a million outside", *for_spill(load, _RARE)),
    ]
    rows = []
    for purpose, environments, spill, last in chosen:
        one = _with(found, environments, 1 - spill)
        usd = bill(one.usage(month_s), book, free_tier=free).usd
        rows.append(Provision(purpose, environments, spill, last, usd))
    return rows


def _with(found: Prediction, environments: int, inside: float) -> Prediction:
    function = replace(found.function, provisioned_concurrency=environments)
    share = inside if environments else 0.0
    run_ms = found.billed_ms - found.init_ms
    return replace(found, function=function, inside=found.ran * share, inside_ms=run_ms * share)


def keep_alives(
    function: Function, found: Prediction, service: Distribution
) -> list[tuple[float, float, float]]:
    """(keep-alive, cold share, environments) at the mean rate."""
    mean_s = Capped(service, function.timeout_s).mean_s
    if not found.mean_per_s or not mean_s:
        return []
    rows = []
    for keep_s in sorted({*KEEP_ALIVES_S, function.keep_alive_s}):
        pool = warm_pool(found.mean_per_s, mean_s, keep_s, function.provisioned_concurrency)
        rows.append((keep_s, pool.cold_share, pool.environments))
    return rows


def recommendations(
    function: Function,
    account: Account,
    found: Prediction,
    service: Distribution,
    provided: Sequence[Provision],
) -> list[str]:
    """Return recommendations as sentences, each with the number behind it."""
    mean_s = Capped(service, function.timeout_s).mean_s
    limit = account.limit_of(function)
    said: list[str] = []
    needed = concurrency_needed(found.peak_per_s, mean_s)
    if needed > limit:
        said.append(
            f"ask for a concurrency of {math.ceil(needed):,} or more: of {_count(found.peak_per_s)} requests "
            f"a second {_count(found.peak_per_s * mean_s)} are in flight, and Lambda admits 10 for each unit"
        )
    elif found.throttled_share > 0:
        said.append(f"{100 * found.throttled_share:.3g} % are refused at a concurrency of {limit:,}")
    if account.scaling_rate:
        ramp = step(found.peak_per_s, mean_s, account.scaling_rate, account.scaling_rate / 10)
        if ramp.full_after_s:
            said.append(
                f"if the peak comes at once, environments suffice after {_count(ramp.full_after_s)} s; until "
                f"then {_count(ramp.refused)} requests ({100 * ramp.refused_share:.3g} %) are refused"
            )
    costs = {one.purpose: one for one in provided}
    if costs and not function.provisioned_concurrency:
        none, best, wide = costs["none"], costs["least cost"], costs["1 in a million outside"]
        if best.environments:
            saved = 100 * (1 - best.usd_per_month / none.usd_per_month) if none.usd_per_month else Decimal(0)
            said.append(f"provision {best.environments:,} for the least cost: it saves {saved:.3g} %")
        more = wide.usd_per_month - none.usd_per_month
        said.append(
            f"provision {wide.environments:,} and one request in a million starts on demand: "
            f"{abs(more):,.2f} dollars a month {'more' if more > 0 else 'less'} than none"
        )
    if found.cold_share > 0.01:
        said.append("p99 is that of cold starts: more than 1 % of the requests are")
    return said


def document(rows: Sequence[NamedTuple]) -> list[dict[str, Any]]:
    """Return rows as JSON values; money as text."""
    return [
        {name: str(one) if isinstance(one, Decimal) else one for name, one in row._asdict().items()}
        for row in rows
    ]


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
