"""What is asked of a function, and whether an answer keeps it: the verdict of the commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from engine.model.queueing.prediction import Prediction


class Verdict(StrEnum):
    """Whether an objective is kept."""

    OK = "ok"
    AT_RISK = "at risk"  # kept, but by less than its margin or than the error of the answer
    FAILS = "fails"


class ObjectiveCheck(NamedTuple):
    """One objective: what it bounds, the bound, what is predicted, the verdict."""

    name: str
    bound: float
    value: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Upper bounds; None = not asked for.

    Attributes:
        p99_ms: Response time of 99 % of the requests.
        cold_percent, throttled_percent: Shares.
        usd_per_month: The whole bill.
        margin: A value above this share of its bound is at risk.
    """

    p99_ms: float | None = None
    cold_percent: float | None = None
    throttled_percent: float | None = None
    usd_per_month: float | None = None
    margin: float = 0.9

    def checks(self, prediction: Prediction, usd_per_month: Decimal | None) -> list[ObjectiveCheck]:
        """Return a check for each objective that was given."""
        cold_error = 100 * (prediction.cold_error or 0.0)
        found: list[tuple[str, float | None, float, float]] = [
            ("p99 (ms)", self.p99_ms, 1000 * prediction.all_times.percentiles_s.get(99.0, 0.0), 0.0),
            ("cold starts (%)", self.cold_percent, 100 * prediction.cold_share, cold_error),
            ("throttles (%)", self.throttled_percent, 100 * prediction.throttled_share, 0.0),
        ]
        if usd_per_month is not None:
            found.append(("USD per month", self.usd_per_month, float(usd_per_month), 0.0))
        return [
            ObjectiveCheck(name, bound, value, self._verdict(bound, value, error))
            for name, bound, value, error in found
            if bound is not None
        ]

    def _verdict(self, bound: float, value: float, error: float) -> Verdict:
        if value > bound:
            return Verdict.FAILS
        return Verdict.AT_RISK if value + error > self.margin * bound and value else Verdict.OK


def overall(checks: list[ObjectiveCheck]) -> Verdict:
    """The worst of them; nothing asked is nothing broken."""
    for verdict in (Verdict.FAILS, Verdict.AT_RISK):
        if any(check.verdict is verdict for check in checks):
            return verdict
    return Verdict.OK


def documents(checks: list[ObjectiveCheck]) -> list[Mapping[str, Any]]:
    """Return the checks as JSON values."""
    return [{**check._asdict(), "verdict": check.verdict.value} for check in checks]
