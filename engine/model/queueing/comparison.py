"""Predicted against observed: the same figures side by side, and how far they are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.model.queueing.prediction import Prediction

FIGURES: Final = (
    "requests",
    "concurrency",
    "cold_starts",
    "throttles",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "billed_ms",
    "cost_usd",
)
"""What can be compared, by the names of the document of a live run."""

_PERCENTILES: Final = (50, 90, 95, 99)
_JUDGED: Final = ("concurrency", "cold_starts", "cost_usd")


class ComparisonRow(NamedTuple):
    """One figure; `difference` is the share by which the prediction is above what was observed."""

    name: str
    predicted: float
    observed: float
    difference: float


def figures(prediction: Prediction, cost_usd: float) -> dict[str, float]:
    """What was predicted, by the names of `FIGURES`."""
    percentiles_s = prediction.all_times.percentiles_s
    return {
        "requests": prediction.requests,
        "concurrency": prediction.busy,
        "cold_starts": prediction.cold_share * prediction.ran,
        "throttles": prediction.throttled_share * prediction.requests,
        "mean_ms": 1000 * prediction.all_times.mean_s,
        **{f"p{p}_ms": 1000 * percentiles_s.get(float(p), 0.0) for p in _PERCENTILES},
        "billed_ms": prediction.billed_ms,
        "cost_usd": cost_usd,
    }


def nearest_rank(ordered_s: Sequence[float], percent: int) -> float:
    """The smallest value with at least that percentage of all at or below it; they are ascending."""
    return ordered_s[-(-percent * len(ordered_s) // 100) - 1]


def compared(predicted: Mapping[str, float], observed: Mapping[str, float]) -> list[ComparisonRow]:
    """Return a row for each figure that both have."""
    return [
        ComparisonRow(name, predicted[name], observed[name], _difference(predicted[name], observed[name]))
        for name in FIGURES
        if name in predicted and name in observed
    ]


def document(rows: Sequence[ComparisonRow]) -> list[dict[str, Any]]:
    """The rows as JSON values; what is infinite is null: a time that is never, a share of nothing."""
    return [
        {name: None if value in (math.inf, -math.inf) else value for name, value in row._asdict().items()}
        for row in rows
    ]


def worst(rows: Sequence[ComparisonRow]) -> float:
    """The largest difference, up or down, of concurrency, cold starts and cost."""
    return max((abs(row.difference) for row in rows if row.name in _JUDGED), default=0.0)


def observed_of(document: Any) -> dict[str, float]:
    """The figures of a document of a live run.

    Raises:
        ValueError: It is none: says what is wrong.
    """
    if not isinstance(document, Mapping):
        raise ValueError("must be a JSON object of figures")
    found: dict[str, float] = {}
    for name, value in document.items():
        if name not in FIGURES:
            raise ValueError(f"{name}: no such figure (known: {', '.join(FIGURES)})")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"{name}: must be a number, 0 or more")
        found[name] = float(value)
    return found


def _difference(predicted: float, observed: float) -> float:
    if predicted == observed:  # infinite, perhaps
        return 0.0
    if observed:
        return predicted / observed - 1
    return math.inf
