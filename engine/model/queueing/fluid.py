"""Load that moves, or is too large to count requests: rates and environments as continuous levels over time.

What is offered is followed exactly (`OfferedLoad`), and so is the number of environments (`MovingPool`), both
in expectation. Where a limit refuses requests, the load that is let in follows the offered one with the
stationary relation between load and refusals (Erlang B) in every moment; runs are taken for exponential then.
Steps are short where the rate jumps and long where nothing moves; of a rate that repeats itself one period is
followed once it gives the same as the one before. docs/modelling.md has the errors against the simulator.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from itertools import pairwise
from typing import Final, NamedTuple

from engine.core.late_dataclass import dataclass
from engine.model.distributions import Distribution
from engine.model.queueing.formulas import blocking_of
from engine.model.queueing.moving_pool import MovingPool
from engine.model.queueing.offered_load import OfferedLoad
from engine.model.traffic.shapes import Shape

_POINTS: Final = 144
"""Steps of a period of a sine."""

_FEW_POINTS: Final = 32
"""And of one that is short beside a keep-alive, or where a rough answer will do."""

_SLOW_GROWTH: Final = 1.08
_GROWTH: Final = 1.25
_ROUGH_GROWTH: Final = 1.6
"""Each step after a jump is longer than the last by this factor: after one that comes once, after one that
comes in every period, and where a rough answer will do."""

_MAX_SETTLING: Final = 4_000
"""Steps after which a piece of constant rate is taken to have settled, whatever it does."""

_SAME: Final = 2e-3
_ENDLESS: Final = 1e15
_MANY_PERIODS: Final = 10**12
_NEAR: Final = 1.1
"""Between loads of two steps, mostly not more than this factor."""

_HARDLY: Final = 1e-10
"""Share of refusals below which the load is no longer held back by a limit."""


class Level(NamedTuple):
    """One step: what holds in it.

    Attributes:
        at_s, step_s: When it begins, and how long it is.
        times: How often it comes: in each of so many periods.
        rate_per_s: Requests a second that come.
        load: Mean in flight at its end if nothing were refused for want of a place.
        in_flight: Requests at work or waiting for an init.
        environments: Environments, idle ones included.
        cold_per_s, throttled_per_s: Requests a second that wait for an init, and that are refused.
    """

    at_s: float
    step_s: float
    times: float
    rate_per_s: float
    load: float
    in_flight: float
    environments: float
    cold_per_s: float
    throttled_per_s: float

    @property
    def seconds(self) -> float:
        """How long it holds in all."""
        return self.step_s * self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came of it, in sum; counts are expectations.

    Attributes:
        horizon_s: How long it was.
        requests, cold, throttled: How many came, waited for an init, were refused.
        environment_s: Seconds of environments, in sum.
        peak_in_flight: The highest mean.
        highest: The highest count: one time in two it is not more.
        peak_environments: At the most.
        levels: Each step.
    """

    horizon_s: float
    requests: float
    cold: float
    throttled: float
    environment_s: float
    peak_in_flight: float
    highest: float
    peak_environments: float
    levels: tuple[Level, ...]

    @property
    def ran(self) -> float:
        """Requests that were not refused."""
        return self.requests - self.throttled


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLimits:
    """What holds a flow back.

    Attributes:
        keep_alive_s: How long an idle environment lives.
        limit: Requests in flight at most.
        provisioned: Environments that are always there.
        burst, growth_per_s: Environments that may be started at once (0 = any number), and a second later on.
        requests_per_s: Requests that are let in, in a bucket of one second; 0 = any number.
    """

    keep_alive_s: float = 600.0
    limit: float = math.inf
    provisioned: float = 0.0
    burst: float = 1000.0
    growth_per_s: float = 100.0
    requests_per_s: float = 0.0


def flow(
    shape: Shape,
    horizon_s: float,
    *,
    service: Distribution,
    limits: FlowLimits,
    init_s: float = 0.0,
    lost_share: float = 0.0,
    rough: bool = False,
) -> Flow:
    """Follow `shape` from nothing to `horizon_s`.

    Args:
        shape: The traffic.
        horizon_s: How long it is followed, seconds.
        service: In the handler, seconds.
        limits: What holds it back.
        init_s: Mean time of an init, seconds.
        lost_share: Of what runs, how often its environment is gone after it.
        rough: Whether long steps will do.
    """
    moving = _Moving(shape, horizon_s, service, limits, init_s, lost_share, rough)
    moving.run()
    return moving.flow()


@dataclass(slots=True)
class _Moving:
    """A flow while it is followed."""

    shape: Shape
    horizon_s: float
    service: Distribution
    limits: FlowLimits
    init_s: float
    lost_share: float
    rough: bool
    levels: list[Level] = field(default_factory=list)
    offered: OfferedLoad = field(init=False)
    pool: MovingPool = field(init=False)
    now_s: float = 0.0
    carried: float = 0.0
    environments: float = 0.0
    start_tokens: float = field(init=False)
    request_tokens: float = field(init=False)
    inits: deque[tuple[float, float, float]] = field(default_factory=deque)  # begun from, to: how many
    held_back: bool = False
    ramping: bool = False  # whether environments come at a limited rate
    drains_per_s: tuple[float, float] = (0.0, 0.0)  # by which start and request tokens fell in the last step
    in_step: float = 0.0
    equivalent: float = 0.0  # the load that was found last where a limit holds it back
    steady_from_s: float = math.inf
    peak_environments: float = 0.0

    def __post_init__(self) -> None:
        self.offered = OfferedLoad(self.shape, self.service)
        most = self.shape.peak_per_s(self.horizon_s) * (self.offered.service_s + self.init_s)
        limits = self.limits
        self.environments = self.peak_environments = limits.provisioned
        self.pool = MovingPool(limits.keep_alive_s, most, limits.provisioned, limits.limit)
        self.start_tokens, self.request_tokens = limits.burst, limits.requests_per_s

    # ---------------------------------------------------------------- pieces of time

    def run(self) -> None:
        """Follow it to its end."""
        period_s = self.shape.period_s
        whole = math.floor(self.horizon_s / period_s + 1e-9) if period_s < math.inf else 0
        done, before = 0, None
        while done < whole:
            begin, tokens = len(self.levels), self._tokens()
            self.pool.mark()
            self._through(done * period_s, (done + 1) * period_s)
            done += 1
            seen = self._sums(begin)
            window_s = self.limits.keep_alive_s * (0.3 if self.rough else 1.0)
            known_s = window_s + 10 * self.offered.longest_s
            settled = before is not None and _are_alike(seen, before)
            before = seen
            if settled and self.now_s > known_s and done < whole:
                times = min(whole - done, self._periods_alike(tokens))
                self._repeat(begin, times, tokens)
                done += times
                self._skip_to(done * period_s)
        rest_s = self.horizon_s - whole * period_s if whole else self.horizon_s
        if rest_s > 1e-9 * self.horizon_s:
            begin_s = whole * period_s if whole else 0.0
            self._skip_to(begin_s)
            self._through(begin_s, self.horizon_s)

    def _through(self, begin_s: float, end_s: float) -> None:
        for from_s, to_s in self._pieces(begin_s, end_s):
            if self.shape.is_smooth:
                self._plateau(to_s)
            else:
                self._after_jump(from_s, to_s)

    def _pieces(self, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
        if not self.shape.is_smooth:
            cuts = self.shape.cuts(begin_s, end_s)
        else:
            few = self.rough or self.shape.period_s < self.limits.keep_alive_s / 4
            width_s = min(self.shape.period_s, end_s) / (_FEW_POINTS if few else _POINTS)
            count = max(1, math.ceil((end_s - begin_s) / width_s - 1e-9))
            cuts = [begin_s + (end_s - begin_s) * place / count for place in range(count + 1)]
        yield from pairwise(cuts)

    def _after_jump(self, from_s: float, to_s: float) -> None:
        """A piece of constant rate: short steps at first."""
        self.steady_from_s = from_s
        once = self.shape.period_s == math.inf and not self.rough
        part, growth = (30, _SLOW_GROWTH) if once else (3, _ROUGH_GROWTH) if self.rough else (10, _GROWTH)
        step_s = max(self.offered.service_s / part, (to_s - from_s) / 1000)
        step_s = min(step_s, (to_s - from_s) / 8)
        settling_s = from_s + 2 * self.offered.longest_s + self.init_s
        while self.now_s < min(to_s, settling_s) - 1e-9:
            self._step(self._until(step_s, to_s))
            step_s = min(step_s * growth, self._widest_s(to_s - from_s))
        self._plateau(to_s)

    def _plateau(self, to_s: float) -> None:
        """Nothing jumps any more: steps of a part of a keep-alive until nothing changes, then one."""
        length_s = to_s - self.now_s
        begin_s, last, number = self.now_s, None, 0
        while self.now_s < to_s - 1e-9:
            self._step(self._until(self._widest_s(length_s), to_s))
            level = self.levels[-1]
            seen = (level.environments, level.cold_per_s, level.throttled_per_s)
            same = last is not None and _are_alike(seen, last)
            last = seen
            long = self.now_s - begin_s > 1.3 * self.limits.keep_alive_s
            number += 1
            if number == _MAX_SETTLING or (
                long and ((self.rough and not self.held_back) or (same and number > 5))
            ):
                self._extend(min(to_s, self.now_s + self._tokens_last_s()))
                begin_s, last, number = self.now_s, None, 0

    def _until(self, step_s: float, to_s: float) -> float:
        """When the next step ends: right before the environments of a peak expire, and right after that."""
        to_s = min(to_s, self.now_s + step_s)
        expires_s, moment_s = self.pool.next_drop_s(), 3e-6 * self.limits.keep_alive_s
        if self.now_s < expires_s - 2 * moment_s < to_s:
            return expires_s - moment_s
        return expires_s if self.now_s < expires_s < to_s else to_s

    def _widest_s(self, length_s: float) -> float:
        window_s = self.limits.keep_alive_s / (1.5 if self.rough else 6.0)
        if self.ramping:
            window_s = min(window_s, max(length_s / (12 if self.rough else 100), self.offered.service_s))
        return min(length_s, max(window_s, self.offered.service_s / 4))

    # ---------------------------------------------------------------- one step

    def _step(self, to_s: float) -> None:
        step_s = to_s - self.now_s
        limits, tokens = self.limits, self._tokens()
        came = self.shape.requests(to_s) - self.shape.requests(self.now_s)
        load = self.offered.at(to_s, self.steady_from_s)
        mean = self.offered.at(self.now_s + step_s / 2, self.steady_from_s)
        admitted = self._admitted(came, step_s)
        most = self.start_tokens + limits.growth_per_s * step_s if limits.burst else math.inf
        capacity = limits.limit if self._renews else min(limits.limit, self.environments + most)
        gone = self.lost_share * self._outside(load)
        waiting, late = self._initialising(to_s, gone * admitted / step_s if self._renews else 0.0)
        wanted = load + late
        waiting += max(0.0, min(wanted, capacity) - max(self.environments, self.carried))
        refused_by_rate = came - admitted
        if self._is_tight(wanted, capacity) or refused_by_rate:
            carried, lost = self._held_back(step_s, admitted, waiting, capacity)
            lost += self._refused_in_step(step_s, admitted, lost, capacity)
            self.held_back = lost > _HARDLY or abs(carried - wanted) > 1e-3 * wanted or refused_by_rate > 0
            in_flight = (self.carried + carried) / 2
        else:
            carried, lost, self.held_back = wanted, 0.0, False
            self.in_step = self._synchrony()
            in_flight = mean + late
        self.ramping = self.held_back and lost > _HARDLY and capacity < limits.limit
        ran = admitted * (1 - lost)
        if self._renews:
            share = self._renewable_share(step_s, ran, carried, gone, most)
            if share < 1:
                stayed = self._still_running(step_s, gone)
                carried, ran = stayed + share * (carried - stayed), ran * share
                in_flight = (self.carried + carried) / 2
                self.held_back = self.ramping = True
        lost_environments = gone * max(0.0, self.carried + ran - carried)
        starts = min(most, ran)  # for each there is a request
        found = self.pool.step(
            to_s, step_s, admitted / step_s, (in_flight, carried), starts, lost_environments
        )
        started = min(most, found.started + lost_environments)
        cold = min(ran, started)
        if limits.burst:
            self.start_tokens = min(limits.burst, most - started)
        if cold and self.init_s:
            self.inits.append((self.now_s, to_s, cold))
        before, self.environments = self.environments, max(found.environments, carried)
        self.peak_environments = max(self.peak_environments, self.environments)
        self.levels.append(
            Level(
                at_s=self.now_s,
                step_s=step_s,
                times=1.0,
                rate_per_s=came / step_s,
                load=min(wanted, carried) if refused_by_rate or self._renews else wanted,
                in_flight=in_flight,
                environments=(before + self.environments) / 2,
                cold_per_s=cold / step_s,
                throttled_per_s=(came - ran) / step_s,
            )
        )
        self.carried, self.now_s = carried, to_s
        now = self._tokens()
        self.drains_per_s = (tokens[0] - now[0]) / step_s, (tokens[1] - now[1]) / step_s

    @property
    def _renews(self) -> bool:
        """Whether starts replace environments that are lost: then they, not places, limit what is let in."""
        return self.lost_share > 0 and self.limits.burst > 0

    def _admitted(self, came: float, step_s: float) -> float:
        """Requests that their rate lets in."""
        per_s = self.limits.requests_per_s
        if not per_s:
            return came
        tokens = self.request_tokens + per_s * step_s
        admitted = min(came, tokens)
        self.request_tokens = min(per_s, tokens - admitted)
        return admitted

    def _renewable_share(self, step_s: float, ran: float, carried: float, gone: float, most: float) -> float:
        """Of what is let in, for how much there are environments, or they may be started.

        Those at work in the end and those that are lost until then (the share `gone` of what ends) come out
        of those there are and the `most` that may be started.
        """
        there = self.environments + most
        if carried + gone * (self.carried + ran - carried) <= there:
            return 1.0
        stayed = self._still_running(step_s, gone)
        anyhow = stayed + gone * (self.carried - stayed)
        more = (1 - gone) * (carried - stayed) + gone * ran
        return min(1.0, max(0.0, (there - anyhow) / more))

    def _still_running(self, step_s: float, gone: float) -> float:
        """Of those at work now, how many still are after the step; runs are taken for exponential."""
        return self.carried * math.exp(-step_s / (self.offered.service_s + gone * self.init_s))

    def _synchrony(self) -> float:
        """Runs by which a jump over the limit lets fewer in than exponential runs say, for each place.

        Places taken at once are given back at once: by renewal theory (1 - cv^2) / 2 runs later, on average.
        """
        return (1 - self.offered.variation) / 2

    def _refused_in_step(self, step_s: float, admitted: float, lost: float, capacity: float) -> float:
        """The part of that which falls into this step: it is spread over one mean run."""
        overloaded = admitted / step_s * self.offered.service_s > capacity
        if not overloaded or not admitted:
            return 0.0
        part = self._synchrony() * min(1.0, step_s / self.offered.service_s)
        part = min(part, self.in_step) if part > 0 else max(part, self.in_step)
        more = max(-lost, min(1 - lost, part * capacity / admitted))
        self.in_step -= more * admitted / capacity
        return more

    def _outside(self, load: float) -> float:
        """Share of requests that run on demand."""
        provisioned = self.limits.provisioned
        return blocking_of(load, provisioned) if provisioned else 1.0

    def _initialising(self, to_s: float, renewed_per_s: float) -> tuple[float, float]:
        """Cold requests that initialise at `to_s`; and those that still run only because they initialised.

        In the step that ends then, environments begin to be renewed at that rate; what else it starts is not
        known yet.
        """
        service_s, init_s = self.offered.service_s, self.init_s
        if not init_s:
            return 0.0, 0.0
        while self.inits and self.inits[0][1] < to_s - init_s - service_s:
            self.inits.popleft()

        def begun(from_s: float, until_s: float) -> float:
            found = renewed_per_s * max(0.0, until_s - max(from_s, self.now_s))
            for begin_s, end_s, count in self.inits:
                overlap_s = min(end_s, until_s) - max(begin_s, from_s)
                if overlap_s > 0:
                    found += count * overlap_s / (end_s - begin_s)
            return found

        return begun(to_s - init_s, to_s), begun(to_s - init_s - service_s, to_s - service_s)

    def _is_tight(self, wanted: float, capacity: float) -> bool:
        return self.held_back or wanted + 6 * math.sqrt(wanted) + 6 > capacity

    def _held_back(
        self, step_s: float, admitted: float, waiting: float, capacity: float
    ) -> tuple[float, float]:
        """What is carried at the end of the step, and the share refused in it, by the equivalent load."""
        if capacity <= 0:
            return 0.0, 1.0
        decay = step_s / self.offered.service_s
        target = self.carried + admitted + min(waiting, self.carried) * decay

        def beyond(load: float) -> float:
            lost = blocking_of(load, capacity)
            return load * (1 - lost) * (1 + decay) + admitted * lost - target

        load = _root(beyond, self.equivalent or max(capacity, target, 1e-9))
        self.equivalent = load
        lost = blocking_of(load, capacity)
        return min(load * (1 - lost), capacity), lost

    # ---------------------------------------------------------------- what repeats itself

    def _extend(self, to_s: float) -> None:
        """Go on as in the last step."""
        last = self.levels[-1]
        step_s = to_s - self.now_s
        if step_s < last.step_s and to_s < self.horizon_s:
            return
        self.levels.append(last._replace(at_s=self.now_s, step_s=step_s, environments=self.environments))
        self.pool.extend(step_s / last.step_s)
        self._use_tokens(*(drain * step_s for drain in self.drains_per_s))
        self._skip_to(to_s)

    def _repeat(self, begin: int, times: int, tokens: tuple[float, float]) -> None:
        """What came since `begin`, when there were so many `tokens`, comes so often again."""
        self.pool.repeat(times)
        self.levels[begin:] = [level._replace(times=1.0 + times) for level in self.levels[begin:]]
        now = self._tokens()
        self._use_tokens((tokens[0] - now[0]) * times, (tokens[1] - now[1]) * times)

    def _tokens(self) -> tuple[float, float]:
        """Environments that may be started at once, and requests that are let in at once."""
        return self.start_tokens, self.request_tokens

    def _use_tokens(self, starts: float, requests: float) -> None:
        self.start_tokens = min(self.limits.burst, max(0.0, self.start_tokens - starts))
        self.request_tokens = min(self.limits.requests_per_s, max(0.0, self.request_tokens - requests))

    def _tokens_last_s(self) -> float:
        """For how long things may go on as in the last step until a bucket is empty."""
        drained = zip(self._tokens(), self.drains_per_s, strict=True)
        return min(left / drain if drain > _HARDLY * left else math.inf for left, drain in drained)

    def _periods_alike(self, tokens: tuple[float, float]) -> int:
        """How many more periods go on like the last one, before which there were so many `tokens`.

        Half as many as would empty a bucket: within a period there are fewer tokens than at its end.
        """
        found = _MANY_PERIODS
        for left, before in zip(self._tokens(), tokens, strict=True):
            if before - left > _SAME * _SAME * before:
                found = min(found, math.floor(left / (before - left) / 2))
        return found

    def _skip_to(self, now_s: float) -> None:
        passed_s = now_s - self.now_s
        if passed_s > 0:
            self.pool.skip(passed_s)
            self.inits = deque((begin + passed_s, end + passed_s, count) for begin, end, count in self.inits)
            self.now_s = now_s

    def _sums(self, begin: int) -> tuple[float, float, float]:
        levels = self.levels[begin:]
        return (
            math.fsum(one.cold_per_s * one.step_s for one in levels),
            math.fsum(one.throttled_per_s * one.step_s for one in levels),
            math.fsum(one.environments * one.step_s for one in levels),
        )

    def flow(self) -> Flow:
        """What came of it."""

        def total(name: str) -> float:
            return math.fsum(getattr(level, name) * level.seconds for level in self.levels)

        return Flow(
            horizon_s=self.horizon_s,
            requests=self.shape.requests(self.horizon_s),
            cold=total("cold_per_s"),
            throttled=total("throttled_per_s"),
            environment_s=total("environments"),
            peak_in_flight=max((level.in_flight for level in self.levels), default=0.0),
            highest=min(self.pool.highest(), self.limits.limit),
            peak_environments=self.peak_environments,
            levels=tuple(self.levels),
        )


def _are_alike(now: Sequence[float], before: Sequence[float]) -> bool:
    return all(
        abs(one - other) <= _SAME * max(abs(one), 1e-9) for one, other in zip(now, before, strict=True)
    )


def _root(function: Callable[[float], float], guess: float) -> float:
    """Where a rising function is 0, to 1e-5 of it, by false position; it is looked for around the guess."""
    middle, value = guess, function(guess)
    low, below, high, above = guess, value, guess, value
    factor = _NEAR
    while below >= 0:
        high, above = low, below
        low = low / factor if low > 1e-12 else 0.0
        below = function(low)
        if not low and below >= 0:
            return 0.0
        factor *= factor
    while above < 0 and high < _ENDLESS:
        low, below = high, above
        high *= factor
        above = function(high)
        factor *= factor
    side = 0
    for _ in range(60):
        middle = (low * above - high * below) / (above - below)
        value = function(middle)
        if value < 0:
            low, below = middle, value
            above = above / 2 if side < 0 else above  # Illinois: the other end must not stay for ever
            side = -1
        else:
            high, above = middle, value
            below = below / 2 if side > 0 else below
            side = 1
        if high - low < 1e-5 * high or abs(value) < 1e-9:
            break
    return middle
