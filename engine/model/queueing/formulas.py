"""Queueing formulas: Little, Poisson, Erlang B and C, square-root staffing, queues with set-up.

Loads are in Erlangs: arrivals per second times seconds of service. Arrivals are Poisson; Erlang B and the
M/G/∞ results hold for every service law, Erlang C and the set-up queues for exponential service.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_DENSITY: Final = 1 / math.sqrt(2 * math.pi)
_HALF_ROOT: Final = math.sqrt(0.5)
_NORMAL_FROM: Final = 1e6
"""Mean from which a Poisson number is taken for normal: its skewness is a thousandth."""

MANY_SERVERS: Final = 20_000
"""Servers from which Erlang B is worth its limit: it is off by less than a thousandth there."""

_LIMIT_FROM: Final = 100.0
"""And from which that is near enough where it is asked for often."""

_MAX_STATES: Final = 2_000_000


def offered_load(rate_per_s: float, duration_s: float, cold_share: float = 0.0, init_s: float = 0.0) -> float:
    """Mean concurrency, by Little's law; an init occupies an environment like service."""
    return rate_per_s * (duration_s + cold_share * init_s)


def sine_load(
    mean_per_s: float, amplitude_per_s: float, period_s: float, service_s: float, at_s: float
) -> float:
    """Mean concurrency at `at_s` under the rate mean + amplitude sin(wt), exponential service (M_t/M/∞)."""
    w = 2 * math.pi / period_s
    lag = w * service_s
    wave = (math.sin(w * at_s) - lag * math.cos(w * at_s)) / (1 + lag * lag)
    return service_s * (mean_per_s + amplitude_per_s * wave)


def concurrency_needed(rate_per_s: float, duration_s: float, requests_per_concurrency: float = 10.0) -> float:
    """Concurrency quota that lets the mean load in: Lambda admits 10 requests a second per unit of it.

    Source: Lambda Developer Guide, "Understanding Lambda function scaling".
    """
    return max(rate_per_s * duration_s, rate_per_s / requests_per_concurrency)


# -------------------------------------------------------------------- Poisson


def poisson_weight(k: int, mean: float) -> float:
    """P(N = k)."""
    if mean == 0:
        return 1.0 if k == 0 else 0.0
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))


def poisson_quantile(mean: float, share: float) -> int:
    """Smallest k with P(N <= k) >= `share`: the concurrency that is not exceeded for that share of time."""
    if not 0 <= share < 1:
        raise ValueError(f"share must be in [0, 1), got {share}")
    if mean > _NORMAL_FROM and share > 0:
        return math.ceil(mean + _NORMAL.inv_cdf(share) * math.sqrt(mean))
    # Everything below is out of reach of a double: the sum may begin there.
    k = max(0, math.floor(mean - 40 * math.sqrt(mean) - 40))
    below = 0.0
    while True:
        below += poisson_weight(k, mean)
        if below >= share or (k > mean and poisson_weight(k, mean) < 1e-300):
            return k
        k += 1


# -------------------------------------------------------------------- Erlang B: no waiting


def blocking(erlangs: float, servers: int) -> float:
    """Erlang B: the share of arrivals that find all `servers` busy and are lost; for any service law."""
    if not erlangs:
        return 0.0 if servers else 1.0
    if erlangs < 0:
        raise ValueError(f"a load is not negative, got {erlangs}")
    inverse = 1.0
    for n in range(1, servers + 1):  # as below, spelled out: fluid flows ask for it ten times a step
        inverse = 1.0 + n / erlangs * inverse
    return 1.0 / inverse


def blocking_by_servers(erlangs: float) -> Iterator[tuple[int, float]]:
    """(0, B), (1, B), ...: stable for any size, as the inverse of B only grows."""
    if erlangs < 0:
        raise ValueError(f"a load is not negative, got {erlangs}")
    inverse = 1.0
    yield 0, 1.0
    for n in count(1):
        inverse = 1.0 + n / erlangs * inverse if erlangs else math.inf
        yield n, 1.0 / inverse


def servers_for_blocking(erlangs: float, share: float) -> int:
    """Fewest servers that lose at most `share` of the arrivals."""
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    return next(n for n, lost in blocking_by_servers(erlangs) if lost <= share)


def load_for_blocking(servers: int, share: float) -> float:
    """Largest load, in Erlangs, of which `servers` lose at most `share`."""
    lost = blocking if servers <= MANY_SERVERS else blocking_of_many
    low, high = 0.0, 2.0 * servers + 2.0
    while lost(high, servers) < share:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if lost(middle, servers) <= share:
            low = middle
        else:
            high = middle
    return low


# -------------------------------------------------------------------- Erlang C: those who come wait


def waiting(erlangs: float, servers: int) -> float:
    """Erlang C: the share of arrivals that wait; 1 if the servers cannot keep up."""
    if erlangs >= servers:
        return 1.0
    lost = blocking(erlangs, servers)
    return lost / (1 - erlangs / servers * (1 - lost))


def mean_wait_s(erlangs: float, servers: int, service_s: float) -> float:
    """Mean wait of all arrivals, seconds; infinity if the servers cannot keep up."""
    if erlangs >= servers:
        return math.inf
    return waiting(erlangs, servers) * service_s / (servers - erlangs)


def wait_beyond(erlangs: float, servers: int, service_s: float, wait_s: float) -> float:
    """P(wait > `wait_s`)."""
    if erlangs >= servers:
        return 1.0
    return waiting(erlangs, servers) * math.exp(-(servers - erlangs) * wait_s / service_s)


# -------------------------------------------------------------------- square-root staffing


def staffing(erlangs: float, beta: float) -> int:
    """Servers for a load rho: rho + beta sqrt(rho), rounded up."""
    return math.ceil(erlangs + beta * math.sqrt(erlangs) - 1e-9)


def delay_limit(beta: float) -> float:
    """Share that waits, as the load grows, with rho + beta sqrt(rho) servers (Halfin and Whitt)."""
    return 1 / (1 + beta * _NORMAL.cdf(beta) / _NORMAL.pdf(beta))


def blocking_limit(beta: float) -> float:
    """B sqrt(rho), as the load grows, with rho + beta sqrt(rho) servers."""
    return _DENSITY * math.exp(-0.5 * beta * beta) / (0.5 * math.erfc(-beta * _HALF_ROOT))


def blocking_of_many(erlangs: float, servers: float) -> float:
    """Erlang B for many servers, at once: its limit, which tends to 1 - servers / load where they are few."""
    if erlangs <= 0:
        return 0.0
    if servers <= 0:
        return 1.0
    beta = (servers - erlangs) / math.sqrt(erlangs)
    if beta < -8:
        return 1 - servers / erlangs
    return min(1.0, blocking_limit(beta) / math.sqrt(erlangs))


def blocking_of(load: float, servers: float) -> float:
    """Erlang B, also between whole numbers of servers; for a hundred or more, its limit."""
    if load <= 0:
        return 0.0 if servers > 0 else 1.0
    if servers >= _LIMIT_FROM:
        return blocking_of_many(load, servers)
    low = math.floor(servers)
    lost = blocking(load, low)
    part = servers - low
    if not part:
        return lost
    more = load * lost / (low + 1 + load * lost)
    return float(lost ** (1 - part) * more**part)


# -------------------------------------------------------------------- queues with set-up


def single_setup_response_s(rate_per_s: float, service_per_s: float, setup_per_s: float) -> float:
    """Mean response of one server that is set up anew after every idle period: M/M/1/setup."""
    if rate_per_s >= service_per_s:
        return math.inf
    return 1 / (service_per_s - rate_per_s) + 1 / setup_per_s


def setup_response_s(
    rate_per_s: float, service_per_s: float, servers: int, setup_per_s: float = math.inf
) -> float:
    """Mean response in seconds of M/M/k/setup: a server per waiting job is set up, and turned off when idle.

    A job takes whichever comes first, a freed server or a new one; a set-up nobody needs any more is
    cancelled. `setup_per_s` infinite gives M/M/k. Solved level by level (servers on), each level a
    tridiagonal system over the number of jobs, cut off where its weight is below 1e-15.

    Source: "Exact Analysis of the M/M/k/setup Class of Markov Chains via Recursive Renewal Reward".
    """
    if rate_per_s >= servers * service_per_s:
        return math.inf
    if setup_per_s == math.inf:
        erlangs = rate_per_s / service_per_s
        return 1 / service_per_s + mean_wait_s(erlangs, servers, 1 / service_per_s)
    most = _jobs_worth_counting(rate_per_s, service_per_s, servers, setup_per_s)
    level = [1.0]
    for n in range(1, most + 1):
        level.append(level[-1] * rate_per_s / (rate_per_s + min(n, servers) * setup_per_s))
    mass, jobs = sum(level), sum(n * weight for n, weight in enumerate(level))
    for on in range(1, servers + 1):
        began = [
            min(n - on + 1, servers - on + 1) * setup_per_s * weight for n, weight in enumerate(level, on - 1)
        ]
        # What enters a level by set-ups leaves it where its last waiting job has gone.
        first = sum(began[1:]) / (on * service_per_s)
        level = _level(rate_per_s, on * service_per_s, setup_per_s, servers - on, first, began[1:])
        mass += sum(level)
        jobs += sum(n * weight for n, weight in enumerate(level, on))
    return jobs / mass / rate_per_s


def _level(
    rate: float, serving: float, setup: float, off: int, first: float, entering: list[float]
) -> list[float]:
    """Weights of the states with a given number of servers on: first job count known, the rest solved for."""
    size = len(entering)
    slope, shift = [0.0] * size, [0.0] * size  # weight[n] = slope[n] weight[n - 1] + shift[n]
    for n in range(size - 1, 0, -1):
        above_slope = slope[n + 1] if n + 1 < size else 0.0
        above_shift = shift[n + 1] if n + 1 < size else 0.0
        divisor = rate + serving + min(n, off) * setup - serving * above_slope
        slope[n] = rate / divisor
        shift[n] = (serving * above_shift + entering[n]) / divisor
    weights = [first]
    for n in range(1, size):
        weights.append(slope[n] * weights[-1] + shift[n])
    return weights


def _jobs_worth_counting(rate: float, service: float, servers: int, setup: float) -> int:
    slowest = max(rate / (servers * service), rate / (rate + servers * setup))
    return min(_MAX_STATES // servers, servers + math.ceil(-36 / math.log(slowest)) + 50)
