"""How many environments stay warm, and how often a request finds none: Poisson arrivals, idle time-out.

With the most recently used environment taken first and a fixed idle time-out, the number of live
environments is the maximum of the busy count over the last time-out, and a request is cold if it sets a
new one. So both follow from the first-passage times of the busy count of M/M/∞, whose Laplace transforms
obey a recurrence in one variable; they are inverted numerically (Talbot's contour, 1e-13 absolute).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from engine.model.queueing.formulas import poisson_weight

_NODES: Final = 24
_NEGLIGIBLE: Final = 1e-18
_WIDEST_EXACT: Final = 20_000.0
"""Erlangs up to which the exact sum is worth its time (half a second)."""


class WarmPool(NamedTuple):
    """What a warm pool comes to.

    Attributes:
        cold_share: Share of requests that start an environment.
        environments: Mean number of live environments.
        busy: Mean number of them at work.
        method: "exact" or "approximation".
    """

    cold_share: float
    environments: float
    busy: float
    method: str

    @property
    def idle_share(self) -> float:
        """Share of the environments' time in which they do nothing."""
        return 1 - self.busy / self.environments if self.environments else 0.0

    def idle_s_per_request(self, rate_per_s: float) -> float:
        """Seconds of idle environment that stand behind each request."""
        return (self.environments - self.busy) / rate_per_s


def warm_pool(rate_per_s: float, service_s: float, keep_alive_s: float, provisioned: int = 0) -> WarmPool:
    """The pool of one function: exact where that is affordable, else the approximation.

    Args:
        rate_per_s: Poisson arrivals per second, more than 0.
        service_s: Mean service in seconds, exponential, more than 0.
        keep_alive_s: Idle time-out in seconds, 0 or more.
        provisioned: Environments that never expire: only requests beyond them can be cold.
    """
    exact = rate_per_s * service_s <= _WIDEST_EXACT
    return (exact_warm_pool if exact else approximate_warm_pool)(
        rate_per_s, service_s, keep_alive_s, provisioned
    )


def exact_warm_pool(
    rate_per_s: float, service_s: float, keep_alive_s: float, provisioned: int = 0
) -> WarmPool:
    """The same, exactly: P(cold) = sum of pi(k-1) P(T_k > tau), E[W] = sum of P(W >= k).

    T_k is the first-passage time of the busy count from k-1 to k. Its transform is
    f_k(s) = a / (a + s + (k-1)(1 - f_{k-1}(s))), with the time unit one service and a the load.
    """
    load, tau = rate_per_s * service_s, keep_alive_s / service_s
    first, last = _reach(load)
    weights = [poisson_weight(k, load) for k in range(last + 1)]
    if tau <= 0:
        spilt = [(k - provisioned, weights[k]) for k in range(provisioned, last + 1)]
        beyond_s = sum(more * weight for more, weight in spilt)
        return WarmPool(sum(weight for _, weight in spilt), provisioned + beyond_s, load, "exact")
    passed, reached = _within(load, tau, weights)
    cold = sum(weights[k - 1] * (1 - passed[k]) for k in range(max(1, first, provisioned + 1), last + 1))
    environments = provisioned + sum(_at_least(weights, reached)[provisioned + 1 :])
    return WarmPool(min(1.0, max(0.0, cold)), environments, load, "exact")


def environment_shares(rate_per_s: float, service_s: float, keep_alive_s: float) -> list[float]:
    """Share of time with k live environments, k = 0, 1, ...: exact."""
    load = rate_per_s * service_s
    weights = [poisson_weight(k, load) for k in range(_reach(load)[1] + 1)]
    _, reached = _within(load, keep_alive_s / service_s, weights)
    at_least = [*_at_least(weights, reached), 0.0]
    return [more - less for more, less in pairwise(at_least)]


def approximate_warm_pool(
    rate_per_s: float, service_s: float, keep_alive_s: float, provisioned: int = 0
) -> WarmPool:
    """The same for any load, in O(sqrt(load)): passages above the mean are nearly exponential."""
    load = rate_per_s * service_s
    cold, environments = 0.0, float(max(math.floor(load), provisioned))
    for k, weight in _weights_above(load):
        if k <= provisioned:
            continue
        drift = 1 - load / k
        passing = rate_per_s * weight * drift * keep_alive_s
        cold += weight * drift * math.exp(-passing)
        environments += -math.expm1(-passing)
    return WarmPool(min(1.0, cold), max(environments, load), load, "approximation")


def rare_cold_share(rate_per_s: float, keep_alive_s: float) -> float:
    """P(cold) of a function so rarely called that requests never overlap: fixed time-out."""
    return math.exp(-rate_per_s * keep_alive_s)


def rare_cold_share_random(rate_per_s: float, mean_keep_alive_s: float) -> float:
    """The same where the time-out is exponential with that mean, and starts anew with each request."""
    return 1 / (1 + rate_per_s * mean_keep_alive_s)


# -------------------------------------------------------------------- inside


def _reach(load: float) -> tuple[int, int]:
    """Numbers of environments between which anything happens that a double can hold."""
    spread = math.sqrt(load)
    first = max(0, math.floor(load - 9.5 * spread - 2))
    last = math.ceil(load + 9.5 * spread + 20)
    while poisson_weight(last, load) < _NEGLIGIBLE * 1e-4 and last > load + 2:
        last -= 1
    return first, last


def _within(load: float, tau: float, weights: list[float]) -> tuple[list[float], list[float]]:
    """For each k: P(T_k <= tau), and P(the busy count begins below k and reaches k within tau)."""
    passed, reached = [0.0] * len(weights), [0.0] * len(weights)
    for s, factor in _contour(tau):
        passage = 0j  # f_0: the count never is below 0
        below = 0j
        scale = factor / s
        for k in range(1, len(weights)):
            passage = load / (load + s + (k - 1) * (1 - passage))
            below = passage * (below + weights[k - 1])
            passed[k] += (scale * passage).real
            reached[k] += (scale * below).real
    return passed, reached


def _contour(tau: float) -> Iterator[tuple[complex, complex]]:
    """Nodes and weights of Talbot's method with the constants of Trefethen, Weideman and Schmelzer.

    f(tau) is the sum over the upper half of the contour of the real part of weight x transform(node).
    """
    for j in range(_NODES // 2):
        angle = (2 * j + 1) * math.pi / _NODES
        cotangent = 1 / math.tan(0.6407 * angle)
        z = _NODES * (0.5017 * angle * cotangent - 0.6122 + 0.2645j * angle)
        slope = _NODES * (
            0.5017 * cotangent - 0.5017 * 0.6407 * angle / math.sin(0.6407 * angle) ** 2 + 0.2645j
        )
        yield z / tau, -2j * cmath.exp(z) * slope / (_NODES * tau)


def _at_least(weights: list[float], reached: list[float]) -> list[float]:
    """P(W >= k) for each k: the busy count is there, or was within the time-out."""
    beyond = _tails(weights)
    return [1.0, *(min(1.0, beyond[k] + reached[k]) for k in range(1, len(weights)))]


def _tails(weights: list[float]) -> list[float]:
    """P(N >= k) for each k, summed from the far end."""
    tails = [0.0] * (len(weights) + 1)
    for k in range(len(weights) - 1, -1, -1):
        tails[k] = tails[k + 1] + weights[k]
    return tails


def _weights_above(load: float) -> Iterator[tuple[int, float]]:
    """(k, pi(k-1)) for every k above the load that matters."""
    k = math.floor(load) + 1
    weight = poisson_weight(k - 1, load)
    while weight > _NEGLIGIBLE:
        yield k, weight
        weight *= load / k
        k += 1
