"""Shapes of traffic: how many requests a second come when, in a few words, and arrivals drawn from them.

`poisson:100`, `constant:100`, `sine:MEAN:AMPLITUDE:PERIOD_S`, `step:BEFORE:AFTER:AT_S`,
`ramp:BEFORE:AFTER:LENGTH_S`, `spike:BASE:PEAK:AT_S:LENGTH_S`, `onoff:RATE:ON_S:OFF_S`; rates are requests a
second. A ramp begins at once and then stays; a sine that would go below 0 is cut there. All but `constant`,
which comes at equal distances, are Poisson with that rate. Means and numbers of requests are integrals in
closed form; nothing is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

from engine.core.late_dataclass import dataclass
from engine.core.written_numbers import in_digits

_WORDS: Final = {
    "poisson": ("RATE",),
    "constant": ("RATE",),
    "sine": ("MEAN", "AMPLITUDE", "PERIOD_S"),
    "step": ("BEFORE", "AFTER", "AT_S"),
    "ramp": ("BEFORE", "AFTER", "LENGTH_S"),
    "spike": ("BASE", "PEAK", "AT_S", "LENGTH_S"),
    "onoff": ("RATE", "ON_S", "OFF_S"),
}


class RateStep(NamedTuple):
    """A stretch of time and the rate that is not exceeded in it."""

    from_s: float
    to_s: float
    max_per_s: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of traffic and its numbers, in the order of this module's docstring."""

    kind: str
    numbers: tuple[float, ...]

    def __str__(self) -> str:
        return ":".join([self.kind, *(f"{number:g}" for number in self.numbers)])

    @property
    def is_steady(self) -> bool:
        """Whether the rate is the same all the time."""
        return self.kind in ("poisson", "constant")

    @property
    def is_smooth(self) -> bool:
        """Whether the rate also changes between jumps; otherwise it is constant there."""
        return self.kind in ("sine", "ramp")

    @property
    def period_s(self) -> float:
        """After how long it repeats itself; infinity = never."""
        match self.kind, self.numbers:
            case "sine", (_, _, period_s):
                return period_s
            case "onoff", (_, on_s, off_s):
                return on_s + off_s
            case _:
                return math.inf

    def rate_per_s(self, at_s: float) -> float:
        """Requests a second at that moment."""
        match self.kind, self.numbers:
            case "sine", (mean, amplitude, period_s):
                return max(0.0, mean + amplitude * math.sin(2 * math.pi * at_s / period_s))
            case "step", (before, after, moment_s):
                return after if at_s >= moment_s else before
            case "ramp", (before, after, length_s):
                return before + (after - before) * min(1.0, at_s / length_s)
            case "spike", (base, peak, moment_s, length_s):
                return peak if moment_s <= at_s < moment_s + length_s else base
            case "onoff", (rate, on_s, off_s):
                return rate if at_s % (on_s + off_s) < on_s else 0.0
            case _:
                return self.numbers[0]

    def pieces(self, horizon_s: float) -> Iterator[RateStep]:
        """The time up to `horizon_s`, cut where the rate jumps or turns."""
        cuts = [0.0, *(one for one in self._jumps(horizon_s) if 0 < one < horizon_s), horizon_s]
        for from_s, to_s in pairwise(cuts):
            middle = self.rate_per_s((from_s + to_s) / 2)
            most = middle
            if self.is_smooth and middle:  # between two turns it is highest at an end
                most = max(self.rate_per_s(from_s), self.rate_per_s(to_s))
            yield RateStep(from_s, to_s, most)

    def cuts(self, begin_s: float, end_s: float) -> list[float]:
        """From `begin_s` to `end_s`, with every moment between them at which the rate jumps."""
        period_s = self.period_s
        whole = math.floor(begin_s / period_s + 1e-9) * period_s if period_s < math.inf else 0.0
        jumps = (whole + one for one in self._jumps(end_s - whole))
        return [begin_s, *(one for one in jumps if begin_s + 1e-9 < one < end_s - 1e-9), end_s]

    def requests(self, to_s: float) -> float:
        """How many come before `to_s`, on average: the integral of the rate."""
        match self.kind, self.numbers:
            case "sine", (mean, amplitude, period_s):
                return _sine_requests(mean, amplitude, period_s, to_s)
            case "step", (before, after, moment_s):
                return before * min(to_s, moment_s) + after * max(0.0, to_s - moment_s)
            case "ramp", (before, after, length_s):
                rising_s = min(to_s, length_s)
                mean = before + (after - before) * rising_s / (2 * length_s)
                return mean * rising_s + after * (to_s - rising_s)
            case "spike", (base, peak, moment_s, length_s):
                return base * to_s + (peak - base) * min(length_s, max(0.0, to_s - moment_s))
            case "onoff", (rate, on_s, off_s):
                turns, rest_s = divmod(to_s, on_s + off_s)
                return rate * (turns * on_s + min(on_s, rest_s))
            case _:
                return self.numbers[0] * to_s

    def mean_per_s(self, horizon_s: float) -> float:
        """Requests a second, on average up to `horizon_s`."""
        return self.requests(horizon_s) / horizon_s

    def peak_per_s(self, horizon_s: float) -> float:
        """Requests a second at the most, up to `horizon_s`."""
        return max(piece.max_per_s for piece in self.pieces(min(horizon_s, self._described_s())))

    def shares(self, horizon_s: float, parts: int) -> list[float]:
        """Of the requests, how many come in each of so many equal parts of the time; they add up to 1."""
        if self.is_steady:
            return [1 / parts] * parts
        counts = [self.requests(horizon_s * part / parts) for part in range(parts + 1)]
        if not counts[-1]:
            return [1 / parts] * parts
        return [(after - before) / counts[-1] for before, after in pairwise(counts)]

    def _described_s(self) -> float:
        """After how long everything has happened that ever will, or will again."""
        return math.inf if self.period_s == math.inf else 2 * self.period_s

    def scaled(self, factor: float) -> Shape:
        """The same with `factor` times as many requests, at the same times."""
        rates = {"sine": 2, "step": 2, "ramp": 2, "spike": 2}.get(self.kind, 1)
        return Shape(
            self.kind,
            tuple(one * factor if place < rates else one for place, one in enumerate(self.numbers)),
        )

    def _jumps(self, horizon_s: float) -> list[float]:
        match self.kind, self.numbers:
            case "step" | "ramp", (_, _, moment_s):
                return [moment_s]
            case "spike", (_, _, moment_s, length_s):
                return [moment_s, moment_s + length_s]
            case "onoff", (_, on_s, off_s):
                turns = range(math.ceil(horizon_s / (on_s + off_s)))
                return [turn * (on_s + off_s) + part for turn in turns for part in (0.0, on_s)]
            case "sine", (mean, amplitude, period_s):
                quarters = [0.25, 0.75]
                if amplitude > mean:
                    low = math.asin(mean / amplitude) / (2 * math.pi)
                    quarters = [0.25, 0.5 + low, 0.75, 1 - low]
                turns = range(math.ceil(horizon_s / period_s))
                return [(turn + part) * period_s for turn in turns for part in quarters]
            case _:
                return []


def parse_shape(text: str) -> Shape:
    """A shape in the notation of this module's docstring; a number alone is `poisson`.

    Raises:
        ValueError: With what is wrong.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = "poisson", text
    words = _WORDS.get(kind)
    if words is None:
        raise ValueError(f"{text!r}: no such traffic (known: {', '.join(_WORDS)})")
    texts = rest.split(":")
    if len(texts) != len(words):
        raise ValueError(f"{text!r}: must be {':'.join((kind, *words))}")
    numbers = tuple(_number(text, one, word) for one, word in zip(texts, words, strict=True))
    return Shape(kind, numbers)


def arrivals(shape: Shape, horizon_s: float, rng: Random) -> list[float]:
    """Draw the seconds of requests in [0, `horizon_s`), ascending."""
    if shape.kind == "constant":
        rate = shape.numbers[0]
        return [number / rate for number in range(math.ceil(horizon_s * rate - 1e-9))]
    at_s: list[float] = []
    random, log = rng.random, math.log
    for from_s, to_s, most in shape.pieces(horizon_s):
        if not most:
            continue
        moment_s = from_s - log(1.0 - random()) / most
        while moment_s < to_s:
            if not shape.is_smooth or random() * most < shape.rate_per_s(moment_s):
                at_s.append(moment_s)
            moment_s -= log(1.0 - random()) / most
    return at_s


def _sine_requests(mean: float, amplitude: float, period_s: float, to_s: float) -> float:
    """The integral of max(0, mean + amplitude sin(w t)) up to `to_s`."""
    w = 2 * math.pi / period_s
    if amplitude <= mean:
        return mean * to_s + amplitude * (1 - math.cos(w * to_s)) / w
    low = math.asin(mean / amplitude)
    zero_s, again_s = (math.pi + low) / w, (2 * math.pi - low) / w

    def area(until_s: float) -> float:
        """Within the first period."""
        found = 0.0
        for from_s, end_s in ((0.0, zero_s), (again_s, period_s)):
            top_s = min(until_s, end_s)
            if top_s > from_s:
                wave = math.cos(w * from_s) - math.cos(w * top_s)
                found += mean * (top_s - from_s) + amplitude * wave / w
        return found

    turns, rest_s = divmod(to_s, period_s)
    return turns * area(period_s) + area(rest_s)


def _number(text: str, word: str, name: str) -> float:
    try:
        value = float(in_digits(word))
    except ValueError:
        raise ValueError(f"{text!r}: {name} {word!r} is not a number") from None
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r}: {name} must not be negative or infinite, got {word}")
    if value == 0 and name not in ("BEFORE", "AFTER", "BASE", "AMPLITUDE", "OFF_S", "AT_S"):
        raise ValueError(f"{text!r}: {name} must be more than 0")
    return value
