"""Provisioned concurrency: when it pays, how much of it, and what spills over it."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from engine.core.billing import exactly
from engine.model.cost.price_book import PriceBook
from engine.model.queueing.formulas import blocking, blocking_by_servers, servers_for_blocking


class Provisioning(NamedTuple):
    """A number of provisioned environments under Poisson load.

    Attributes:
        environments: How many.
        spill_share: Share of requests that run on demand beside them (Erlang B, any service law).
        last_utilisation: Share of time in which the last of them is busy.
    """

    environments: int
    spill_share: float
    last_utilisation: float


def break_even(book: PriceBook, architecture: str = "x86_64") -> Decimal:
    """The utilisation above which one provisioned environment is cheaper than the same work on demand."""
    on_demand = book.meters[f"lambda.duration.{architecture}"].bands[0].usd
    standing = book.meters[f"lambda.provisioned.standing.{architecture}"].bands[0].usd
    inside = book.meters[f"lambda.provisioned.duration.{architecture}"].bands[0].usd
    if on_demand <= inside:
        return Decimal("Infinity")
    with exactly():
        return standing / (on_demand - inside)


def cheapest(erlangs: float, utilisation: float) -> Provisioning:
    """The number at which the last one is still busy for more than `utilisation` of the time."""
    chosen = Provisioning(0, 1.0, 0.0)
    for (_, before), (n, after) in pairwise(blocking_by_servers(erlangs)):
        busy = erlangs * (before - after)
        if busy <= utilisation:
            return chosen
        chosen = Provisioning(n, after, busy)
    return chosen


def for_spill(erlangs: float, share: float) -> Provisioning:
    """The fewest of which at most `share` of the requests spill over."""
    return provisioning(erlangs, servers_for_blocking(erlangs, share))


def provisioning(erlangs: float, environments: int) -> Provisioning:
    """Return what `environments` provisioned ones would do for a load of `erlangs`."""
    after = blocking(erlangs, environments)
    if not environments:
        return Provisioning(0, after, 0.0)
    return Provisioning(environments, after, erlangs * (blocking(erlangs, environments - 1) - after))
