"""How long a handler takes at other memory sizes: its CPU part shrinks with memory, its waiting does not.

Lambda gives CPU in proportion to memory, one vCPU at 1,769 MB. Source: Lambda Developer Guide, "Configure
Lambda function memory". A handler that runs on one thread gains nothing beyond that size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from engine.core.billing import billed_ms, exactly, gb_seconds
from engine.core.cpu_law import MB_PER_VCPU, share
from engine.core.late_dataclass import dataclass
from engine.model.cost.price_book import PriceBook

SIZES_MB: Final = (128, 256, 512, 1024, 1536, 1769, 2048, 3008)
_HEADROOM: Final = 1.1
_MILLION: Final = 1_000_000
_ROUNDING: Final = 1e-9


class HandlerRun(NamedTuple):
    """One measured invocation, seconds: CPU at one vCPU of this machine, and the rest of its duration."""

    cpu_s: float
    wait_s: float


_NOTHING: Final = HandlerRun(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTime:
    """What was measured of a handler.

    Attributes:
        runs: Warm invocations.
        init: Initialisation; it has a whole vCPU at every size.
        peak_mb: Most memory seen, or None.
        speed: How much faster one vCPU of Lambda is than one of this machine; 1 = equal, by default.
        threads: CPUs the handler can keep busy at once.
    """

    runs: tuple[HandlerRun, ...]
    init: HandlerRun = _NOTHING
    peak_mb: float | None = None
    speed: float = 1.0
    threads: float = 1.0

    def seconds_at(self, memory_mb: int) -> list[float]:
        """Each run at that size, ascending."""
        vcpus = min(self.threads, share(memory_mb)) * self.speed
        return sorted(run.wait_s + run.cpu_s / vcpus for run in self.runs)

    def seconds_of(self, runs: Sequence[HandlerRun], memory_mb: int) -> list[float]:
        """Runs that had the share of that size here, as they would be on Lambda's CPU; ascending."""
        saved = (1 - 1 / self.speed) / min(self.threads, share(memory_mb))
        return sorted(run.wait_s + run.cpu_s - saved * run.cpu_s for run in runs)

    @property
    def init_s(self) -> float:
        """Seconds of initialisation, the same at every memory size."""
        return self.init.wait_s + self.init.cpu_s / self.speed

    @property
    def cpu_share(self) -> float:
        """Of the time at one vCPU, what is CPU."""
        cpu_s = sum(run.cpu_s for run in self.runs)
        all_s = cpu_s + sum(run.wait_s for run in self.runs)
        return cpu_s / all_s if all_s else 0.0

    def fits(self, memory_mb: float) -> bool:
        """Whether the memory seen, and a tenth more, has room there."""
        return self.peak_mb is None or self.peak_mb * _HEADROOM <= memory_mb

    def assumptions(self, *, extrapolates: bool = True) -> list[str]:
        """What the figures take for granted; `extrapolates`: not all sizes were measured."""
        extrapolated = [
            f"CPU is memory / {MB_PER_VCPU:g} MB vCPU, and the handler keeps {self.threads:g} busy at most",
            "what is not CPU time is waiting (for a busy machine, too), and takes as long at every size",
            "memory needed is what was seen here, and a tenth more",
        ]
        return [
            f"one vCPU of Lambda is {self.speed:g} times as fast as one of this machine (see --host-speed)",
            "initialisation has a whole vCPU at every size",
            *(extrapolated if extrapolates else ()),
        ]


def duration_at(duration_s: float, cpu_s: float, from_mb: int, to_mb: int) -> float:
    """Seconds at another size of what takes `duration_s` at `from_mb`, `cpu_s` of it CPU at one vCPU.

    Raises:
        ValueError: That much CPU takes longer.
    """
    now, then = (MB_PER_VCPU / min(one, MB_PER_VCPU) for one in (from_mb, to_mb))
    if cpu_s * now > duration_s * (1 + _ROUNDING):
        cpu = f"{1000 * cpu_s:g} ms of CPU take {1000 * cpu_s * now:.4g} ms at {from_mb:,} MB"
        raise ValueError(f"{cpu}, longer than the {1000 * duration_s:.4g} ms of a run")
    return duration_s - cpu_s * now + cpu_s * then


class Size(NamedTuple):
    """One memory size.

    Attributes:
        memory_mb: Configured.
        mean_s, p50_s, p99_s: Duration.
        usd_per_million: A million invocations: duration rounded up, and requests.
        fits: Whether there is memory enough.
        measured: Whether it ran with the CPU of this size; else it is extrapolated.
        warm_s: Durations without initialisation, ascending.
    """

    memory_mb: int
    mean_s: float
    p50_s: float
    p99_s: float
    usd_per_million: Decimal
    fits: bool
    measured: bool
    warm_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """All sizes, and the best of those that fit, by cost, by time, and by both."""

    sizes: tuple[Size, ...]
    cheapest: Size
    fastest: Size
    balanced: Size

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values; money as text."""
        return {
            "sizes": [
                {
                    **one._asdict(),
                    "usd_per_million": str(one.usd_per_million),
                    "warm_s": [round(warm_s, 7) for warm_s in one.warm_s],
                }
                for one in self.sizes
            ],
            "cheapest_mb": self.cheapest.memory_mb,
            "fastest_mb": self.fastest.memory_mb,
            "balanced_mb": self.balanced.memory_mb,
        }


def fitted(small_mb: float, small_s: float, large_mb: float, large_s: float) -> HandlerRun:
    """CPU and waiting from durations at two sizes up to 1,769 MB, such as two REPORT lines give.

    Raises:
        ValueError: The sizes are equal or too large, or more memory made it slower.
    """
    if not 0 < small_mb < large_mb <= MB_PER_VCPU:
        raise ValueError(f"two sizes are needed, the smaller first, up to {MB_PER_VCPU:g} MB")
    if large_s > small_s:
        raise ValueError("it took longer with more memory: these are not runs of the same work")
    cpu_s = (small_s - large_s) / (MB_PER_VCPU / small_mb - MB_PER_VCPU / large_mb)
    return HandlerRun(cpu_s, max(0.0, small_s - cpu_s * MB_PER_VCPU / small_mb))


def tuned(
    measured: ServiceTime,
    book: PriceBook,
    *,
    architecture: str = "x86_64",
    sizes_mb: Sequence[int] = SIZES_MB,
    cost_weight: float = 0.5,
    cold_share: float = 0.0,
    runs_at: Mapping[int, Sequence[HandlerRun]] = MappingProxyType({}),
) -> Tuning:
    """Price and time at each size; `cost_weight` (0 to 1) is how much money counts in "balanced".

    `cold_share` (0 to 1) of the invocations initialise an environment, wait for it and are billed for it.
    Sizes in `runs_at` were measured with their share of a CPU, and did not have memory enough if there are no
    runs; all others are extrapolated.

    Raises:
        ValueError: No size has memory enough.
    """
    prices = _Prices(
        book.meters[f"lambda.duration.{architecture}"].bands[0].usd,
        book.meters["lambda.requests"].bands[0].usd,
    )
    sizes = tuple(_size(measured, prices, cold_share, one, runs_at.get(one)) for one in sorted(set(sizes_mb)))
    fit = [one for one in sizes if one.fits]
    if not fit:
        raise ValueError(f"no size has room for the {measured.peak_mb:.0f} MB that were seen")
    max_usd = max(one.usd_per_million for one in fit)
    max_s = max(one.mean_s for one in fit)

    def both(one: Size) -> float:
        money = float(one.usd_per_million / max_usd) if max_usd else 0.0
        return cost_weight * money + (1 - cost_weight) * (one.mean_s / max_s if max_s else 0.0)

    return Tuning(
        sizes=sizes,
        cheapest=min(fit, key=lambda one: (one.usd_per_million, one.mean_s)),
        fastest=min(fit, key=lambda one: (round(one.mean_s, 9), one.usd_per_million)),
        balanced=min(fit, key=both),
    )


class _Prices(NamedTuple):
    """Of the first tiers."""

    gb_second_usd: Decimal
    request_usd: Decimal

    def per_million_usd(self, took_s: Sequence[float], memory_mb: int) -> Decimal:
        with exactly():
            used = gb_seconds(sum(billed_ms(one) for one in took_s), memory_mb)
            return (used * self.gb_second_usd / len(took_s) + self.request_usd) * _MILLION


def _size(
    measured: ServiceTime,
    prices: _Prices,
    cold_share: float,
    memory_mb: int,
    runs: Sequence[HandlerRun] | None,
) -> Size:
    took_s = measured.seconds_of(runs, memory_mb) if runs else measured.seconds_at(memory_mb)
    cold_s = [one + measured.init_s for one in took_s]
    share = Decimal(str(cold_share))
    warm_usd, cold_usd = (prices.per_million_usd(one, memory_mb) for one in (took_s, cold_s))
    with exactly():
        per_million = (1 - share) * warm_usd + share * cold_usd
    return Size(
        memory_mb,
        sum(took_s) / len(took_s) + cold_share * measured.init_s,
        _quantile_s(took_s, cold_s, cold_share, 0.5),
        _quantile_s(took_s, cold_s, cold_share, 0.99),
        round(per_million, 8),
        measured.fits(memory_mb) if runs is None else bool(runs),
        bool(runs),
        tuple(took_s),
    )


def _quantile_s(warm_s: Sequence[float], cold_s: Sequence[float], cold_share: float, share: float) -> float:
    """Of ascending durations, of which `cold_share` are cold."""
    if not cold_share:
        return warm_s[max(0, math.ceil(round(share * len(warm_s), 9)) - 1)]
    weighted = sorted([*((one, 1 - cold_share) for one in warm_s), *((one, cold_share) for one in cold_s)])
    below = 0.0
    for seconds, weight in weighted:
        below += weight / len(warm_s)
        if below > share + _ROUNDING:
            return seconds
    return weighted[-1][0]
