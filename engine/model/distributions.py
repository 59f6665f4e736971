"""Distributions of durations: what a user says in a few words, with mean, quantiles and samples.

A distribution is written as `120` (always 120 ms), `exp:120` (exponential with that mean) or
`lognormal:80:400` (log-normal with that median and 99th percentile), all in milliseconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import count, pairwise
from random import Random
from statistics import NormalDist
from typing import Final, Protocol

from engine.core.late_dataclass import dataclass

_NORMAL: Final = NormalDist()
_P99: Final = _NORMAL.inv_cdf(0.99)
_PIECES: Final = 256
_NEVER_S: Final = 1e12


class Distribution(Protocol):
    """A distribution of non-negative seconds."""

    @property
    def mean_s(self) -> float:
        """The mean, seconds."""

    @property
    def fixed(self) -> bool:
        """Whether it is one value only."""

    def below(self, seconds: float, /) -> float:
        """P(X <= seconds)."""

    def quantile_s(self, share: float, /) -> float:
        """The seconds not exceeded with that probability, 0 <= share < 1."""

    def draw_s(self, rng: Random, /) -> float:
        """One value."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same number of seconds."""

    seconds: float

    @property
    def mean_s(self) -> float:
        return self.seconds

    @property
    def fixed(self) -> bool:
        return True

    def below(self, seconds: float, /) -> float:
        return 1.0 if seconds >= self.seconds else 0.0

    def quantile_s(self, _share: float, /) -> float:
        return self.seconds

    def draw_s(self, _rng: Random, /) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponential with a mean in seconds."""

    mean_s: float

    @property
    def fixed(self) -> bool:
        return False

    def below(self, seconds: float, /) -> float:
        """1 - exp(-t / mean)."""
        return -math.expm1(-seconds / self.mean_s) if seconds > 0 else 0.0

    def quantile_s(self, share: float, /) -> float:
        """-mean log(1 - q)."""
        return -self.mean_s * math.log1p(-share)

    def draw_s(self, rng: Random, /) -> float:
        return rng.expovariate(1 / self.mean_s)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """exp of a normal: `mu` and `sigma` are those of log(seconds)."""

    mu: float
    sigma: float

    @property
    def mean_s(self) -> float:
        """exp(mu + sigma^2 / 2)."""
        return math.exp(self.mu + self.sigma**2 / 2)

    @property
    def fixed(self) -> bool:
        return False

    def below(self, seconds: float, /) -> float:
        """By the normal distribution of the logarithm."""
        return _NORMAL.cdf((math.log(seconds) - self.mu) / self.sigma) if seconds > 0 else 0.0

    def quantile_s(self, share: float, /) -> float:
        """By the normal quantile."""
        return math.exp(self.mu + self.sigma * _NORMAL.inv_cdf(share)) if share > 0 else 0.0

    def draw_s(self, rng: Random, /) -> float:
        return rng.lognormvariate(self.mu, self.sigma)


@dataclass(frozen=True, slots=True)
class Empirical:
    """What was measured: sorted seconds, each equally likely."""

    seconds: tuple[float, ...]

    @property
    def mean_s(self) -> float:
        return math.fsum(self.seconds) / len(self.seconds)

    @property
    def fixed(self) -> bool:
        """Whether all are equal."""
        return self.seconds[0] == self.seconds[-1]

    def below(self, seconds: float, /) -> float:
        """The share at or below."""
        return bisect_right(self.seconds, seconds) / len(self.seconds)

    def quantile_s(self, share: float, /) -> float:
        """The smallest value with at least that share at or below it."""
        return self.seconds[min(len(self.seconds) - 1, max(0, math.ceil(share * len(self.seconds)) - 1))]

    def draw_s(self, rng: Random, /) -> float:
        return self.seconds[int(rng.random() * len(self.seconds))]


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of two independent distributions, such as an init and the handler after it."""

    first: Distribution
    second: Distribution

    @property
    def mean_s(self) -> float:
        """The sum of the means."""
        return self.first.mean_s + self.second.mean_s

    @property
    def fixed(self) -> bool:
        return self.first.fixed and self.second.fixed

    def below(self, seconds: float, /) -> float:
        """P(X <= seconds) of the second, averaged over 256 equal pieces of the first."""
        if self.first.fixed:
            return self.second.below(seconds - self.first.mean_s)
        pieces = (self.first.quantile_s((i + 0.5) / _PIECES) for i in range(_PIECES))
        return sum(self.second.below(seconds - piece) for piece in pieces) / _PIECES

    def quantile_s(self, share: float, /) -> float:
        return quantile_s(self.below, share, self.mean_s)

    def draw_s(self, rng: Random, /) -> float:
        return self.first.draw_s(rng) + self.second.draw_s(rng)


@dataclass(frozen=True, slots=True)
class Capped:
    """A distribution cut off at a deadline: what takes longer is answered then."""

    distribution: Distribution
    limit_s: float

    @property
    def late_share(self) -> float:
        """P(X >= the deadline): what times out."""
        return 1 - self.distribution.below(math.nextafter(self.limit_s, 0.0))

    @property
    def mean_s(self) -> float:
        """In closed form where there is one, else by 2,048 equal pieces, where the deadline matters."""
        match self.distribution:
            case Exponential(mean_s):
                return -mean_s * math.expm1(-self.limit_s / mean_s)
            case LogNormal(mu, sigma):
                late = (math.log(self.limit_s) - mu) / sigma
                answered = self.distribution.mean_s * _NORMAL.cdf(late - sigma)
                return answered + self.limit_s * _NORMAL.cdf(-late)
        if self.fixed or not self.late_share:
            return min(self.distribution.mean_s, self.limit_s)
        pieces = 8 * _PIECES
        return sum(self.quantile_s((place + 0.5) / pieces) for place in range(pieces)) / pieces

    @property
    def fixed(self) -> bool:
        return self.distribution.fixed

    def below(self, seconds: float, /) -> float:
        """P(X <= seconds); 1 from the deadline on."""
        return 1.0 if seconds >= self.limit_s else self.distribution.below(seconds)

    def quantile_s(self, share: float, /) -> float:
        """The quantile, capped at the deadline."""
        return min(self.limit_s, self.distribution.quantile_s(share))

    def draw_s(self, rng: Random, /) -> float:
        return min(self.limit_s, self.distribution.draw_s(rng))


@dataclass(frozen=True, slots=True)
class Answered:
    """A distribution under a deadline, as callers see it: what takes longer is never answered well."""

    distribution: Distribution
    limit_s: float

    @property
    def share(self) -> float:
        """Of all, what is answered."""
        return self.distribution.below(math.nextafter(self.limit_s, 0.0))

    @property
    def mean_s(self) -> float:
        """Of what is answered; infinite if nothing is."""
        share = self.share
        if not share:
            return math.inf
        capped_s = Capped(self.distribution, self.limit_s).mean_s
        return (capped_s - self.limit_s * (1 - share)) / share

    @property
    def fixed(self) -> bool:
        return self.distribution.fixed

    def below(self, seconds: float, /) -> float:
        """P(X <= seconds), which stays below 1."""
        return self.share if seconds >= self.limit_s else self.distribution.below(seconds)

    def quantile_s(self, share: float, /) -> float:
        """The quantile; infinite where it timed out."""
        return self.distribution.quantile_s(share) if share <= self.share else math.inf

    def draw_s(self, rng: Random, /) -> float:
        drawn_s = self.distribution.draw_s(rng)
        return drawn_s if drawn_s < self.limit_s else math.inf


@dataclass(frozen=True, slots=True)
class Mixture:
    """`share` of one distribution, the rest of another: response times of warm and cold requests together."""

    share: float
    cold: Distribution
    warm: Distribution

    @property
    def mean_s(self) -> float:
        """The weighted mean."""
        cold = self.share * self.cold.mean_s if self.share else 0.0
        return cold + ((1 - self.share) * self.warm.mean_s if self.share < 1 else 0.0)

    @property
    def fixed(self) -> bool:
        """Whether one of them is all there is, and is fixed."""
        return (self.share == 0 and self.warm.fixed) or (self.share == 1 and self.cold.fixed)

    def below(self, seconds: float, /) -> float:
        """The weighted distribution: cold starts rule every quantile above 1 - share."""
        below = (1 - self.share) * self.warm.below(seconds)
        return below + (self.share * self.cold.below(seconds) if self.share else 0.0)

    def quantile_s(self, share: float, /) -> float:
        if not self.share:
            return self.warm.quantile_s(share)
        return quantile_s(self.below, share, self.mean_s)

    def draw_s(self, rng: Random, /) -> float:
        """Draw from the one with probability `share`, else from the other."""
        return (self.cold if rng.random() < self.share else self.warm).draw_s(rng)


class _Distribution(Protocol):
    def __call__(self, seconds: float, /) -> float: ...


def quantile_s(below: _Distribution, share: float, guess_s: float) -> float:
    """Invert a distribution function by bisection, to about 1e-12; infinite if it never gets there."""
    high = max(guess_s, 1e-6) if guess_s < math.inf else 1e-6
    while below(high) < share:
        high *= 2
        if high > _NEVER_S:
            return math.inf
    low = 0.0
    for _ in range(80):
        middle = (low + high) / 2
        if below(middle) >= share:
            high = middle
        else:
            low = middle
    return high


def excess_s(distribution: Distribution, pieces: int) -> list[float]:
    """Age in seconds of requests that are under way at a random moment: the middles of `pieces` equal shares.

    The density of that time is P(X > u) / E[X]; it is taken along 512 equal shares of X.
    """
    mean_s = distribution.mean_s
    if distribution.fixed:
        return [(number + 0.5) / pieces * mean_s for number in range(pieces)]
    count = 2 * _PIECES
    ends_s = [0.0, *(distribution.quantile_s((number + 0.5) / count) for number in range(count))]
    shares, below = [0.0], 0.0
    for number, (low_s, high_s) in enumerate(pairwise(ends_s)):
        below += (high_s - low_s) * (1 - number / count)
        shares.append(below)
    found: list[float] = []
    place = 0
    for number in range(pieces):
        wanted = (number + 0.5) / pieces * below
        while shares[place + 1] < wanted:
            place += 1
        part = (wanted - shares[place]) / ((shares[place + 1] - shares[place]) or 1.0)
        found.append(ends_s[place] + part * (ends_s[place + 1] - ends_s[place]))
    return found


def log_normal(median_s: float, p99_s: float) -> LogNormal:
    """The log-normal with that median and 99th percentile."""
    return LogNormal(math.log(median_s), math.log(p99_s / median_s) / _P99)


def empirical(seconds: Sequence[float]) -> Empirical:
    """Return the distribution of measured values, at least one."""
    if not seconds:
        raise ValueError("no values were measured")
    return Empirical(tuple(sorted(seconds)))


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


def stretched(distribution: Distribution, factor: float) -> Distribution:
    """The same law with every value `factor` times as long.

    Raises:
        TypeError: It is none that can be written, nor measured values.
    """
    match distribution:
        case Constant(seconds):
            return Constant(seconds * factor)
        case Exponential(mean_s):
            return Exponential(mean_s * factor)
        case LogNormal(mu, sigma):
            return LogNormal(mu + math.log(factor), sigma)
        case Empirical(values):
            return Empirical(tuple(one * factor for one in values))
    raise TypeError(f"{distribution!r} cannot be stretched")


def parse_distribution(text: str) -> Distribution:
    """Return a distribution from the notation of this module's docstring, milliseconds.

    Raises:
        ValueError: With what is wrong.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = "constant", text
    words = rest.split(":")
    counts = {"constant": 1, "exp": 1, "lognormal": 2}
    if kind not in counts:
        raise ValueError(f"{text!r}: must be MS, exp:MEAN or lognormal:MEDIAN:P99, in milliseconds")
    if len(words) != counts[kind]:
        raise ValueError(f"{text!r}: {kind} takes {counts[kind]} numbers, in milliseconds")
    values = [_milliseconds(text, word) / 1000 for word in words]
    if kind == "constant":
        return Constant(values[0])
    if min(values) <= 0:
        raise ValueError(f"{text!r}: must be more than 0")
    if kind == "exp":
        return Exponential(values[0])
    if values[1] <= values[0]:
        raise ValueError(f"{text!r}: the 99th percentile must be above the median")
    return log_normal(values[0], values[1])


def _milliseconds(text: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{text!r}: {word!r} is not a number of milliseconds") from None
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r}: {word!r} must be 0 or more milliseconds")
    return value
