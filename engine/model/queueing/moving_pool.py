"""The warm pool under a load that moves: which numbers of environments were reached in the last keep-alive.

With the environment used last taken first and a fixed idle time-out, there are as many environments as the
busy count was at the highest in the last time-out, and a request is cold if it sets a new highest. A Poisson
count of mean m passes from k - 1 to k, for the first time in a while, at the rate
lambda pi(k - 1) (1 - m / k): its excursions above the mean are rare and nearly independent. So each number k
has been reached with the probability 1 - exp(-H), H being that rate summed over the last time-out. Where the
mean itself rises past k,
H is at least what the count at that moment says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from itertools import chain, repeat
from typing import Final, NamedTuple

_SURE: Final = 6.0
"""Standard deviations below the mean from which on a number is surely reached."""

_FAR: Final = 9.0
"""And above it, from which on it surely is not."""

_FINE: Final = 4.0
"""Numbers in each standard deviation that are looked at."""

_NEGLIGIBLE: Final = 1e-7
"""Of an H: what is less is left out."""

_LEAST_DRIFT: Final = 0.3
"""Of the drift back to the mean, in its standard deviations: next to the mean there is almost none."""

_HIGHER: Final = 1.2
"""Times as high: a peak whose end is a moment of its own."""

_TICK: Final = 1e-6
"""Of a keep-alive: moments closer than that are the same."""

_REMEMBERED: Final = 512
"""Loads whose rates of passing are kept: a wave comes back to them."""

_FEW: Final = 50.0
"""Load below which a Poisson count is summed up, not taken for normal."""

_ROOT2: Final = math.sqrt(2)


class PoolStep(NamedTuple):
    """What one step came to: environments that were started, and the mean number that is there after it."""

    started: float
    environments: float


class MovingPool:
    """The environments of one function beyond those that always are there.

    Args:
        keep_alive_s: How long an idle environment lives.
        max_load: The highest mean of the busy count that will come.
        always: Environments that never expire.
        limit: Environments at the most.

    Attributes:
        passed: How often each number was passed by chance since the beginning; `highest` reads it.
    """

    def __init__(self, keep_alive_s: float, max_load: float, always: float, limit: float) -> None:
        self._keep_alive_s = keep_alive_s
        self._always = always
        self._numbers: list[int] = []  # the highest of each group of numbers
        self._widths: list[int] = []
        last = min(max_load + _FAR * math.sqrt(max_load) + 12, limit)
        number = math.floor(always)
        while number < math.floor(last):
            width = max(1, math.floor(math.sqrt(number) / _FINE))
            width = min(width, math.floor(last) - number)
            number += width
            self._numbers.append(number)
            self._widths.append(width)
        self._hazard = [0.0] * len(self._numbers)
        self.passed = [0.0] * len(self._numbers)
        self._recent: deque[tuple[float, int, list[float]]] = deque()
        self._loads: deque[tuple[float, float]] = deque()  # descending: until when, and how high
        self._environments = always
        self._marked = list(self.passed)
        self._max_passed = 0.0
        self._chances: dict[tuple[float, float], tuple[int, list[float]]] = {}
        self._floors: tuple[float, int, list[float]] = (0.0, 0, [])

    def step(
        self,
        end_s: float,
        step_s: float,
        rate_per_s: float,
        loads: tuple[float, float],
        most: float,
        lost: float = 0.0,
    ) -> PoolStep:
        """Go on to `end_s`.

        Args:
            end_s: When the step ends.
            step_s: How long it is.
            rate_per_s: Requests that come.
            loads: Mean busy count in its middle, and at its end.
            most: Environments that may be started, at the most.
            lost: Environments that were lost to what ran in them.
        """
        middle, load = loads
        before, expired = self._forget(end_s - self._keep_alive_s * (1 - _TICK))
        old_sure, old = self._surely_reached(before)
        self._keep(end_s, load)
        sure, floors = self._surely_reached(self._loads[0][1])
        first, rates = self._passing(rate_per_s, middle)
        added = [rate * step_s for rate in rates]
        end = max(sure + len(floors), min(first, len(self._hazard)) + len(added))
        started = 0.0
        if added or sure != old_sure or floors is not old:
            started = self._surely_started(old_sure, sure, old)
            aligned = old[sure - old_sure :] if sure >= old_sure else [*repeat(0.0, old_sure - sure), *old]
            started += self._started(sure, end, (first, added), (aligned, floors))
        for offset, more in enumerate(added):
            self.passed[first + offset] += more
        self._subtract(expired, 0.5)
        self._max_passed = max(self._max_passed, load)
        self._recent.append((end_s, first, added))
        started = min(started, most)
        self._environments = min(self._reached(sure, floors, end), self._environments + most - lost)
        return PoolStep(started, self._environments)

    def _surely_started(self, old_sure: int, sure: int, old: list[float]) -> float:
        """Environments that the mean is far above of now, and was not before."""
        least = chain(old, repeat(0.0))
        places = range(old_sure, sure)
        return math.fsum(
            self._widths[place] * math.exp(-max(self._hazard[place], floor))
            for place, floor in zip(places, least, strict=False)
        )

    def _started(
        self,
        sure: int,
        end: int,
        more: tuple[int, list[float]],
        floors: tuple[list[float], list[float]],
    ) -> float:
        """Environments started because H grew: by `more`, from a place on; `floors` are then and now."""
        hazard, exp, started = self._hazard, math.exp, 0.0
        before = hazard[sure:end]
        for place, rate in enumerate(more[1], more[0]):
            hazard[place] += rate
        old, new = (chain(one, repeat(0.0)) for one in floors)
        changes = zip(map(max, before, old), map(max, hazard[sure:end], new), strict=True)
        for (was, now), width in zip(changes, self._widths[sure:end], strict=True):
            if now > was:
                started += width * (exp(-was) - exp(-now))
        return started

    def _reached(self, sure: int, floors: list[float], end: int) -> float:
        """The mean number of environments: of those that are surely there, and of the others up to `end`."""
        found = self._always
        if sure:
            found += self._numbers[sure - 1] - math.floor(self._always)
        expm1 = math.expm1
        numbers = zip(
            self._hazard[sure:end], chain(floors, repeat(0.0)), self._widths[sure:end], strict=False
        )
        for hazard, floor, width in numbers:
            if hazard > floor:
                found -= width * expm1(-hazard)
            elif floor:
                found -= width * expm1(-floor)
        return found

    def skip(self, passed_s: float) -> None:
        """Time passed in which everything stayed as it is."""
        self._recent = deque((until_s + passed_s, first, added) for until_s, first, added in self._recent)
        self._loads = deque((until_s + passed_s, load) for until_s, load in self._loads)

    def next_drop_s(self) -> float:
        """When the environments of a peak expire that is higher than what came after it; else infinity."""
        if len(self._loads) < 2 or self._loads[0][1] < _HIGHER * self._loads[1][1]:
            return math.inf
        return self._loads[0][0] + self._keep_alive_s

    def mark(self) -> None:
        """Here begins what `repeat` repeats."""
        self._marked = list(self.passed)

    def repeat(self, times: float) -> None:
        """What was passed since the mark is passed so often again."""
        pairs = zip(self.passed, self._marked, strict=True)
        self.passed = [now + times * (now - before) for now, before in pairs]

    def extend(self, times: float) -> None:
        """The last step comes so often again, and nothing changes but how often numbers were passed."""
        _, first, added = self._recent[-1]
        for place, more in enumerate(added, first):
            self.passed[place] += times * more

    def highest(self) -> int:
        """The highest busy count: one time in two it is not more."""
        sure, floors = self._surely_reached(self._max_passed)
        for place in range(len(self.passed) - 1, -1, -1):
            least = floors[place - sure] if 0 <= place - sure < len(floors) else 0.0
            if max(self.passed[place], least) >= math.log(2) or place < sure:
                return self._numbers[place]
        return 0

    # ---------------------------------------------------------------- inside

    def _passing(self, rate_per_s: float, load: float) -> tuple[int, list[float]]:
        """For the numbers around `load`: how often each is passed a second; and the place of the first."""
        known = self._chances.get((rate_per_s, load))
        if known is not None:
            return known
        first, rates = 0, list[float]()
        if load > 0 and rate_per_s:
            spread, log_load = math.sqrt(load), math.log(load)
            first = bisect_left(self._numbers, load - _SURE * spread - 0.5)
            negligible = _NEGLIGIBLE / (rate_per_s * self._keep_alive_s + 1)
            for place in range(first, len(self._numbers)):
                width = self._widths[place]
                middle = self._numbers[place] - (width - 1) / 2
                weight = math.exp((middle - 1) * log_load - load - math.lgamma(middle))
                if middle > load and weight < negligible:
                    break
                drift = max(1 - load / middle, _LEAST_DRIFT / (spread + 1)) if middle > load else 1.0
                rates.append(rate_per_s * weight * drift)
        if len(self._chances) < _REMEMBERED:
            self._chances[rate_per_s, load] = first, rates
        return first, rates

    def _surely_reached(self, load: float) -> tuple[int, list[float]]:
        """How many groups are surely reached at `load`, and what H is at least of those that follow."""
        known, sure, floors = self._floors
        if known == load:
            return sure, floors
        sure, floors = 0, []
        if load > 0:
            sure = bisect_left(self._numbers, load - _SURE * math.sqrt(load) - 0.5)
            for place in range(sure, len(self._numbers)):
                middle = self._numbers[place] - (self._widths[place] - 1) / 2
                floors.append(_surprise(middle, load))
                if floors[-1] < _NEGLIGIBLE:
                    break
        self._floors = (load, sure, floors)
        return sure, floors

    def _forget(self, before_s: float) -> tuple[float, list[tuple[int, list[float]]]]:
        """Drop half of what is older: it expires in the course of the step, the other half is returned.

        Also returns the highest load that is left.
        """
        recent, expired = self._recent, list[tuple[int, list[float]]]()
        while recent and recent[0][0] <= before_s:
            _, first, added = recent.popleft()
            expired.append((first, added))
        self._subtract(expired, 0.5)
        loads = self._loads
        while len(loads) > 1 and loads[0][0] <= before_s:
            loads.popleft()
        return loads[0][1] if loads else 0.0, expired

    def _subtract(self, expired: list[tuple[int, list[float]]], share: float) -> None:
        hazard = self._hazard
        for first, added in expired:
            for place, more in enumerate(added, first):
                hazard[place] = max(0.0, hazard[place] - share * more)

    def _keep(self, end_s: float, load: float) -> None:
        while self._loads and self._loads[-1][1] <= load:
            self._loads.pop()
        self._loads.append((end_s, load))


def _surprise(number: float, load: float) -> float:
    """-log P(N < number) for a Poisson count N."""
    spread = math.sqrt(load)
    if number > load + 3 * spread + 3:
        weight = math.exp((number - 1) * math.log(load) - load - math.lgamma(number))
        return weight * load / number / (1 - load / (number + 1))
    if load < _FEW:
        below, term = 0.0, math.exp(-load)
        for k in range(math.ceil(number)):
            below += term
            term *= load / (k + 1)
    else:
        below = 0.5 * math.erfc(-(number - 0.5 - load) / spread / _ROOT2)
    return -math.log(max(below, 1e-17))
