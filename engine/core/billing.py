"""What invocations cost, exactly: billed milliseconds, GB-seconds and the prices that apply to them.

Every sum is exact and unrounded: round once, for print. Sources: AWS Lambda pricing page and price
list (`core.lambda_prices`); "AWS Lambda standardizes billing for INIT phase" for the rule in force since
2025-08-01.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import Context, Decimal, localcontext
from typing import Final

from engine.core.lambda_prices import NO_FREE_TIER, FreeTier, PriceSheet, Tier
from engine.core.rate import Rate

MB_PER_GB: Final = 1024
FREE_STORAGE_MB: Final = 512
"""Ephemeral storage every environment has at no charge (AWS Lambda pricing page)."""

_ASYNCHRONOUS_BYTES: Final = 256 * 1024
_ASYNCHRONOUS_CHUNK_BYTES: Final = 64 * 1024
_PROVISIONED_PERIOD_S: Final = 300

_US_PER_MS: Final = 1000
_MB_MS_PER_GB_SECOND: Final = MB_PER_GB * 1000
_EXACT_DIGITS: Final = 100
"""More digits than any bill has, so that no intermediate result is rounded."""


def billed_ms(duration_s: float, init_s: float | None = None) -> int:
    """Milliseconds AWS bills for one invocation: ceil(init + duration), no minimum.

    Both are seconds, >= 0; no init is None. They are rounded to whole microseconds first, so that a
    duration of exactly 3 s that binary floating point holds as 3.0000000000000004 is not billed as 3001 ms.
    """
    microseconds = int(duration_s * 1e6 + 0.5)  # `whole_us`, without the call
    if init_s is not None:
        microseconds += whole_us(init_s)
    return -(-microseconds // _US_PER_MS)


def whole_us(duration_s: float) -> int:
    """Whole microseconds, the nearest; seconds, >= 0. `round` costs several times as much."""
    return int(duration_s * 1e6 + 0.5)


def gb_seconds(billed_ms: int, memory_mb: int) -> Decimal:
    """GB-seconds of `billed_ms` at `memory_mb` (configured, not used); 1 GB is 1024 MB here."""
    with exactly():
        return Decimal(billed_ms * memory_mb) / _MB_MS_PER_GB_SECOND


def storage_gb_seconds(billed_ms: int, storage_mb: int) -> Decimal:
    """GB-seconds of ephemeral storage above the free 512 MB, for `billed_ms` of execution."""
    return gb_seconds(billed_ms, max(0, storage_mb - FREE_STORAGE_MB))


def duration_usd(
    gb_seconds: Decimal, tiers: Sequence[Tier], *, free_gb_seconds: Decimal = Decimal(0)
) -> Decimal:
    """US dollars for a month's `gb_seconds` of one architecture and region, summed over all functions.

    Tiers are marginal: each band's price applies to what lies inside the band. What is free is taken
    off first, as in AWS's worked examples, so the bands count what is paid for.

    Raises:
        ValueError: If `gb_seconds` is negative.
    """
    if gb_seconds < 0:
        raise ValueError(f"gb_seconds must not be negative, got {gb_seconds}")
    with exactly():
        return marginal_usd(max(Decimal(0), gb_seconds - free_gb_seconds), tiers)


def marginal_usd(quantity: Decimal, bands: Sequence[tuple[Decimal | None, Decimal]]) -> Decimal:
    """US dollars for `quantity` of anything whose price is marginal, exact and unrounded.

    A band is where it ends (None = never) and the price of what lies inside it, lowest band first; the
    price is never that of the last band for the whole quantity.
    """
    with exactly():
        total_usd, floor = Decimal(0), Decimal(0)
        for up_to, usd in bands:
            ceiling = quantity if up_to is None else min(quantity, up_to)
            if ceiling <= floor:
                break
            total_usd += (ceiling - floor) * usd
            floor = ceiling
        return total_usd


def asynchronous_requests(payload_bytes: int) -> int:
    """Requests one asynchronous event counts as: 1 for its first 256 KB, 1 more for each 64 KB begun.

    Source: AWS Lambda pricing page, "Requests"; payloads go up to 1 MB.
    """
    beyond = max(0, payload_bytes - _ASYNCHRONOUS_BYTES)
    return 1 + -(-beyond // _ASYNCHRONOUS_CHUNK_BYTES)


def standing_gb_seconds(environments: int, memory_mb: int, enabled_s: float) -> Decimal:
    """GB-seconds of provisioned concurrency, enabled for `enabled_s` seconds: rounded up to five minutes.

    Source: AWS Lambda pricing page, "Provisioned Concurrency".
    """
    periods = -(-round(enabled_s * 1e6) // (_PROVISIONED_PERIOD_S * 1_000_000))
    with exactly():
        return Decimal(environments * memory_mb * periods * _PROVISIONED_PERIOD_S) / MB_PER_GB


def requests_usd(requests: int, sheet: PriceSheet, *, free: FreeTier = NO_FREE_TIER) -> Decimal:
    """US dollars for a month's `requests`, all functions together."""
    with exactly():
        return max(0, requests - free.requests) * sheet.request_usd


def exactly() -> AbstractContextManager[Context]:
    """A decimal context in which nothing here is rounded, whatever the caller's says."""
    return localcontext(prec=_EXACT_DIGITS)


def rate(sheet: PriceSheet, memory_mb: int, architecture: str) -> Rate:
    """The tier-1 rate of a function with `memory_mb` (configured, not used) on `architecture`."""
    usd = sheet.duration[architecture][0].usd_per_gb_second
    with exactly():
        millisecond_usd = usd * memory_mb / _MB_MS_PER_GB_SECOND
    return Rate(request_usd=sheet.request_usd, millisecond_usd=millisecond_usd)
