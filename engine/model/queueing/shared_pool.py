"""Several functions under one account limit: what is not reserved is one pool, which the others share.

A reservation is a guarantee and a ceiling, and is gone from the pool; so is provisioned concurrency without
one. A request finds no place in the pool as Erlang B says of the sum of the loads, which holds for any
mixture of runs, in every moment; the rate of requests that the pool admits is shared, too.
Source: Lambda Developer Guide, "Configuring reserved concurrency".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from engine.core.function import Account
from engine.core.late_dataclass import dataclass
from engine.model.queueing.analytic import predict_load
from engine.model.queueing.formulas import MANY_SERVERS, blocking, blocking_of
from engine.model.queueing.offered_load import OfferedLoad, in_flight_quantile
from engine.model.queueing.planned_load import PlannedLoad
from engine.model.queueing.prediction import Prediction
from engine.model.queueing.search import UNRESERVED
from engine.model.simulation.workload import Trigger

_FEW_PIECES: Final = 300
"""Up to which Erlang B is counted through; it is within a twentieth of that otherwise."""

_MAX_PIECES: Final = 50_000
_POINTS: Final = 144
"""Pieces of a period of a sine."""

_FIRST: Final = 0.1
_GROWTH: Final = 1.25
"""Pieces after a jump: the first, as a part of a run, and by which factor each is longer than the last."""

_HARDLY: Final = 1e-9
_SAID: Final = (
    "functions without a reservation share what is left of the account, whoever comes first; together their "
    "requests are Poisson (Erlang B)"
)


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """How the concurrency of an account is divided.

    Attributes:
        limit: Of the account.
        reserved: All reservations.
        provisioned: Provisioned concurrency of functions without a reservation.
    """

    limit: int
    reserved: int
    provisioned: int

    @property
    def unreserved(self) -> int:
        """For functions without a reservation, their provisioned concurrency included."""
        return self.limit - self.reserved

    @property
    def shared(self) -> int:
        """What is no function's own."""
        return self.unreserved - self.provisioned

    def document(self) -> dict[str, Any]:
        """The limits as JSON values."""
        return {
            "concurrency_limit": self.limit,
            "reserved": self.reserved,
            "provisioned_without_reservation": self.provisioned,
            "unreserved": self.unreserved,
            "shared": self.shared,
        }


@dataclass(frozen=True, slots=True)
class SharedPrediction:
    """What becomes of functions under one limit.

    Attributes:
        limits: How the account is divided.
        functions: A prediction each, in the order of the loads.
        concurrency, concurrency_p99: In flight together: mean, and for 99 % of time.
    """

    limits: AccountLimits
    functions: Sequence[Prediction]
    concurrency: float
    concurrency_p99: float

    @property
    def requests(self) -> float:
        """Events of all functions."""
        return math.fsum(one.requests for one in self.functions)

    @property
    def throttled_share(self) -> float:
        """Of these events, refused."""
        refused = math.fsum(one.throttled_share * one.requests for one in self.functions)
        return refused / self.requests if self.requests else 0.0

    @property
    def cold_share(self) -> float:
        """Of all attempts, waited for an init."""
        ran = math.fsum(one.ran for one in self.functions)
        return math.fsum(one.cold_share * one.ran for one in self.functions) / ran if ran else 0.0


def account_limits(account: Account, loads: Sequence[PlannedLoad]) -> AccountLimits:
    """Return how the account is divided among these functions.

    Raises:
        ValueError: It has not that much; AWS keeps 100 of it unreserved.
    """
    functions = [one.function for one in loads]
    reserved = [one.reserved_concurrency for one in functions if one.reserved_concurrency is not None]
    provisioned = [one.provisioned_concurrency for one in functions if one.reserved_concurrency is None]
    limits = AccountLimits(account.concurrency_limit, sum(reserved), sum(provisioned))
    if reserved and limits.unreserved < UNRESERVED:
        left = f"leave {limits.unreserved:,} of {limits.limit:,} unreserved"
        raise ValueError(f"reservations of {limits.reserved:,} {left}: AWS keeps {UNRESERVED} of it so")
    if limits.provisioned and limits.shared < UNRESERVED:
        left = f"leaves {limits.shared:,} of the {limits.unreserved:,} that are not reserved"
        raise ValueError(f"provisioned concurrency of {limits.provisioned:,} {left}: AWS keeps {UNRESERVED}")
    return limits


def predict_together(loads: Sequence[PlannedLoad]) -> SharedPrediction:
    """Predict functions of one account, looked at for the same time.

    Raises:
        ValueError: The account has not that much, or cycles of the traffic are too many to add up.
    """
    account = loads[0].account
    limits = account_limits(account, loads)
    pieces = _pieces(loads)
    if sum(_shares(one) for one in loads) < 2:  # nobody to share with: the formulas of one function hold
        account = replace(account, concurrency_limit=limits.unreserved)
        found = [predict_load(replace(one, account=account)) for one in loads]
        together = _Together(loads, pieces, found, limits)
    else:
        account = replace(account, concurrency_limit=_ample(loads), requests_per_concurrency=0)
        offered = [predict_load(replace(one, account=account) if _shares(one) else one) for one in loads]
        together = _Together(loads, pieces, offered, limits)
        found = [
            _let_in(one, account, alone, limits, together.refused(place)) if _shares(one) else alone
            for place, (one, alone) in enumerate(zip(loads, offered, strict=True))
        ]
    return SharedPrediction(limits, found, math.fsum(one.concurrency for one in found), together.p99())


def _shares(load: PlannedLoad) -> bool:
    """Whether it takes from what is not reserved."""
    return load.function.reserved_concurrency is None


def _ample(loads: Sequence[PlannedLoad]) -> int:
    """A limit that none of them meets."""
    most = max(one.shape.peak_per_s(one.horizon_s) * one.attempts * one.capped.mean_s for one in loads)
    return math.ceil(4 * most) + 1000


def _let_in(
    load: PlannedLoad,
    ample: Account,
    offered: Prediction,
    limits: AccountLimits,
    refused: tuple[float, float],
) -> Prediction:
    """What is let in, said of all that comes.

    Args:
        load: What comes.
        ample: An account that refuses none of it.
        offered: What would become of it there.
        limits: Of its own account.
        refused: Shares, by rate and for want of a place.
    """
    by_rate, by_limit = refused
    let_in = 1 - by_rate - by_limit
    alone = offered
    if let_in != 1:
        alone = predict_load(replace(load, account=ample, shape=load.shape.scaled(max(let_in, _HARDLY))))
    attempts = load.shape.requests(load.horizon_s) * load.attempts
    rate = load.account.requests_per_concurrency
    by_unit = (f"{rate} requests/s for each unit of what is shared, of all together (AWS does not say how)",)
    counts = {"request_rate": by_rate * attempts, "account_limit": by_limit * attempts, **alone.refusals}
    return replace(
        alone,
        requests=load.shape.requests(load.horizon_s),
        peak_per_s=load.shape.peak_per_s(load.horizon_s),
        concurrency_p99=min(alone.concurrency_p99, limits.unreserved),
        concurrency_peak=min(alone.concurrency_peak, limits.unreserved),
        throttled_share=1 - let_in * (1 - alone.throttled_share),
        refusals={name: number for name, number in counts.items() if number >= _HARDLY},
        assumptions=(*alone.assumptions, _SAID, *(by_unit if rate else ())),
    )


class _Together:
    """What comes of each function and is in flight, over pieces of the time in which nothing jumps."""

    def __init__(
        self,
        loads: Sequence[PlannedLoad],
        pieces: Sequence[tuple[float, float]],
        offered: Sequence[Prediction],
        limits: AccountLimits,
    ) -> None:
        self._loads, self._limits, self._pieces = loads, limits, pieces
        self._came = [[_came(one, *piece) for piece in self._pieces] for one in loads]
        self._levels = [
            _levels(one, self._pieces, found.concurrency / found.busy if found.busy else 1.0)
            for one, found in zip(loads, offered, strict=True)
        ]
        self._outside = [  # of each level, what its own provisioned concurrency leaves to the pool
            [blocking_of(level, one.function.provisioned_concurrency) for level in levels]
            for one, levels in zip(loads, self._levels, strict=True)
        ]
        self._by_rate = [self._refused_by_rate(place) for place in range(len(self._pieces))]
        self._in_pool = [self._wanted(place) for place in range(len(self._pieces))]
        few = len(self._pieces) <= _FEW_PIECES and limits.shared <= MANY_SERVERS
        self._full = [(blocking if few else blocking_of)(one, limits.shared) for one in self._in_pool]

    def refused(self, number: int) -> tuple[float, float]:
        """Of what comes of a function, the shares refused by rate and for want of a place."""
        if self._loads[number].trigger is Trigger.ASYNCHRONOUS:  # tried again until it is let in
            wanted = self._mean(self._in_pool)
            return 0.0, max(0.0, 1 - self._limits.shared / wanted) if wanted else 0.0
        came = self._came[number]
        everything = math.fsum(came) or 1.0
        by_rate = math.fsum(count * rate for count, rate in zip(came, self._by_rate, strict=True))
        by_limit = math.fsum(
            count * (1 - rate) * outside * full
            for count, rate, outside, full in zip(
                came, self._by_rate, self._outside[number], self._full, strict=True
            )
        )
        return by_rate / everything, by_limit / everything

    def p99(self) -> int:
        """In flight together for 99 % of time."""
        limits = self._limits
        sums = []
        for place, (from_s, to_s) in enumerate(self._pieces):
            own = math.fsum(
                min(levels[place], one.function.reserved_concurrency or 0)
                for one, levels in zip(self._loads, self._levels, strict=True)
                if not _shares(one)
            )
            others = math.fsum(
                levels[place] for one, levels in zip(self._loads, self._levels, strict=True) if _shares(one)
            )
            sums.append((own + min(others, limits.unreserved), to_s - from_s))
        return min(in_flight_quantile(sums, 0.99), limits.limit)

    def _refused_by_rate(self, place: int) -> float:
        """Of the synchronous requests of the pool, what comes faster than its concurrency admits."""
        account = self._loads[0].account
        most = account.requests_per_concurrency * self._limits.unreserved
        from_s, to_s = self._pieces[place]
        came = math.fsum(
            came[place]
            for one, came in zip(self._loads, self._came, strict=True)
            if _shares(one) and one.trigger is Trigger.SYNCHRONOUS
        )
        return max(0.0, 1 - most * (to_s - from_s) / came) if most and came else 0.0

    def _wanted(self, place: int) -> float:
        """What would be in flight in the pool if nobody were refused a place."""
        return math.fsum(
            levels[place]
            * outside[place]
            * (1 - self._by_rate[place] if one.trigger is Trigger.SYNCHRONOUS else 1.0)
            for one, levels, outside in zip(self._loads, self._levels, self._outside, strict=True)
            if _shares(one)
        )

    def _mean(self, values: Sequence[float]) -> float:
        seconds = [to_s - from_s for from_s, to_s in self._pieces]
        return math.fsum(one * s for one, s in zip(values, seconds, strict=True)) / math.fsum(seconds)


def _came(load: PlannedLoad, from_s: float, to_s: float) -> float:
    """Attempts in that time."""
    return (load.shape.requests(to_s) - load.shape.requests(from_s)) * load.attempts


def _levels(load: PlannedLoad, pieces: Sequence[tuple[float, float]], held: float) -> list[float]:
    """Mean in flight in the middle of each piece, `held` times as long as the handler takes."""
    if load.shape.is_steady:
        level = load.shape.numbers[0] * load.attempts * load.capped.mean_s * held
        return [level] * len(pieces)
    offered = OfferedLoad(load.shape, load.capped)
    scale = load.attempts * held
    return [scale * offered.at((from_s + to_s) / 2) for from_s, to_s in pieces]


def _pieces(loads: Sequence[PlannedLoad]) -> list[tuple[float, float]]:
    """The time cut where a rate jumps and often after that; one cycle of it where all repeat themselves."""
    begin_s, end_s = 0.0, loads[0].horizon_s
    moving = [one for one in loads if not one.shape.is_steady]
    if not moving:
        return [(begin_s, end_s)]
    cycle_s = max(one.shape.period_s for one in moving)
    turns = end_s / cycle_s
    if turns >= 2 and all(_is_whole(one) for one in (turns, *(cycle_s / m.shape.period_s for m in moving))):
        begin_s, end_s = cycle_s, 2 * cycle_s  # the first begins with nothing
    cuts = {begin_s, end_s}
    for one in moving:
        cuts.update(_cuts(one, begin_s, end_s))
        if len(cuts) > _MAX_PIECES:
            raise ValueError(
                f"{one.shape}: too many cycles in {loads[0].horizon_s / 3600:g} h to be added up"
            )
    return list(pairwise(sorted(cuts)))


def _cuts(load: PlannedLoad, begin_s: float, end_s: float) -> Iterator[float]:
    shape = load.shape
    if shape.kind == "sine":
        count = math.ceil((end_s - begin_s) / shape.period_s * _POINTS)
        for place in range(count + 1):
            yield begin_s + (end_s - begin_s) * place / count
    run_s = load.capped.mean_s
    for from_s, to_s in pairwise(shape.cuts(begin_s, end_s)):
        step_s, now_s = _FIRST * run_s, from_s
        while now_s < to_s:
            yield now_s
            now_s += step_s
            step_s *= _GROWTH


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9 * number
