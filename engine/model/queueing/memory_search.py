"""Which memory size keeps what is asked for the least money: the same load at each, with its own runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from engine.core.late_dataclass import dataclass
from engine.model.queueing.objectives import (
    FAILED_PERCENT,
    UNASKED,
    ObjectiveCheck,
    Objectives,
    Verdict,
    overall,
)
from engine.model.queueing.prediction import Prediction


@dataclass(frozen=True, slots=True)
class SizeAnswer:
    """The load on one memory size: prediction, bill of a month, and what became of the objectives."""

    prediction: Prediction
    usd_per_month: Decimal
    checks: Sequence[ObjectiveCheck]

    @property
    def memory_mb(self) -> int:
        """The size."""
        return self.prediction.function.memory_mb

    @property
    def broken(self) -> list[ObjectiveCheck]:
        """What is not kept. Time-outs that only warn elsewhere are among it: more memory ends them."""
        many = 100 * self.prediction.timeout_share > FAILED_PERCENT
        return [one for one in self.checks if one.verdict is Verdict.FAILS or (many and one.name == UNASKED)]

    def document(self) -> dict[str, Any]:
        """The answer as JSON values; money as text."""
        found = self.prediction
        p99_s = found.all_times.percentiles_s[99.0]
        return {
            "memory_mb": self.memory_mb,
            "mean_ms": 1000 * found.warm_times.mean_s,
            "p99_ms": 1000 * p99_s if p99_s < math.inf else None,
            "in_flight": found.concurrency,
            "cold_share": found.cold_share,
            "throttled_share": found.throttled_share,
            "timeout_share": found.timeout_share,
            "usd_per_month": str(self.usd_per_month),
            "verdict": overall(self.checks).value,
            "kept": not self.broken,
        }


def answers_by_memory(
    sizes_mb: Iterable[int],
    predicted: Callable[[int], Prediction],
    price: Callable[[Prediction], Decimal],
    objectives: Objectives,
) -> list[SizeAnswer]:
    """The load at each size, ascending."""
    found = []
    for memory_mb in sorted(set(sizes_mb)):
        one = predicted(memory_mb)
        usd = price(one)
        found.append(SizeAnswer(one, usd, objectives.checks(one, usd)))
    return found


def cheapest_kept(answers: Sequence[SizeAnswer]) -> SizeAnswer | None:
    """The size that costs least of those that keep what is asked; None if none does."""
    kept = [one for one in answers if not one.broken]
    return min(kept, key=lambda one: (one.usd_per_month, one.memory_mb), default=None)
