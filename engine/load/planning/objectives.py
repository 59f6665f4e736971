"""What callers are promised: percentiles of response times, and shares of requests, as `--slo` has them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import Field

from engine.core.written_numbers import in_digits
from engine.load.planning.frozen_table import FrozenTable

_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")
_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_SHARES: Final = ("errors", "throttles")
_KNOWN: Final = "p50, p90, p99, p99.9 and the like, max, errors, throttles"

MIN_REQUESTS: Final = 100
"""Answers below which no objective counts as missed while a run goes on."""


class ObjectiveSeen(NamedTuple):
    """One objective: in words, whether it was kept, and what was seen."""

    text: str
    kept: bool
    saw: str


class CallerObjectives(FrozenTable):
    """Upper bounds of what callers see; absent is not asked for.

    Attributes:
        latency_ms: By percentile (`99.0`; 100 is the highest of all), of requests that were answered well.
        errors: Share of the offered requests that were not answered well: refused, failed or open.
        throttles: Share of them that were refused.
    """

    latency_ms: dict[float, float] = Field(default_factory=dict, strict=False)
    errors: float | None = None
    throttles: float | None = None

    def seen(
        self,
        latency_ms: Mapping[float, float],
        *,
        offered: int,
        throttled: int,
        good: int,
        pending: int = 0,
    ) -> Iterator[ObjectiveSeen]:
        """Compare with what was seen; `latency_ms` has every percentile that is asked for.

        `pending`: requests that are not counted as errors, because their time has not come yet.
        """
        for percent, bound_ms in self.latency_ms.items():
            name = "the slowest answer" if percent == 100 else f"p{percent:g}"
            found = latency_ms[percent] if good else math.inf
            saw = f"{found:,.1f} ms" if good else "nothing was answered well"
            yield ObjectiveSeen(f"{name} is at most {bound_ms:g} ms", found <= bound_ms, saw)
        for text, bound, count in (
            ("are not answered well", self.errors, offered - good - pending),
            ("are refused", self.throttles, throttled),
        ):
            if bound is not None:
                saw = f"{count:,} of {offered:,}" + (f" ({count / offered:.2%})" if offered else "")
                kept = count <= bound * offered
                yield ObjectiveSeen(f"at most {100 * bound:.4g} % of the requests {text}", kept, saw)


def parse_objectives(text: str) -> CallerObjectives:
    """`p99=300ms,errors=0.1%`: bounds of percentiles with their unit (us, ms, s), and of shares.

    Raises:
        ValueError: With what is wrong.
    """
    latency_ms: dict[float, float] = {}
    shares: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (equals and value):
            raise ValueError(f"{part.strip()!r}: must be NAME=BOUND (known: {_KNOWN})")
        percentile = _PERCENTILE.fullmatch(name)
        if percentile or name == "max":
            percent = float(percentile[1]) if percentile else 100.0
            if percent == 0 or percent in latency_ms:
                raise ValueError(f"{part.strip()!r}: {'p0 is no bound' if not percent else 'given twice'}")
            latency_ms[percent] = _milliseconds(part.strip(), value)
        elif name in _SHARES:
            if name in shares:
                raise ValueError(f"{part.strip()!r}: given twice")
            shares[name] = _share(part.strip(), value)
        else:
            raise ValueError(f"{part.strip()!r}: no such objective (known: {_KNOWN})")
    return CallerObjectives(latency_ms=latency_ms, **shares)


def _milliseconds(part: str, value: str) -> float:
    number = value.rstrip("mus")
    unit = value[len(number) :]
    if unit not in _MS:
        raise ValueError(f"{part!r}: {value!r} needs a unit: us, ms or s")
    milliseconds = _number(part, number) * _MS[unit]
    if milliseconds == 0:
        raise ValueError(f"{part!r}: must be above 0")
    return milliseconds


def _share(part: str, value: str) -> float:
    share = _number(part, value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    if share > 1:
        raise ValueError(f"{part!r}: {value!r} is more than all; write a share, or a number with %")
    return share


def _number(part: str, text: str) -> float:
    try:
        number = float(in_digits(text))
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{part!r}: {text!r} is no number from 0")
    return number
