"""What is asked of a function, and whether an answer keeps it: the verdict of the commands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from engine.core.late_dataclass import dataclass
from engine.model.queueing.prediction import Prediction


class Verdict(StrEnum):
    """Whether an objective is kept."""

    OK = "ok"
    AT_RISK = "at risk"  # kept, but by less than its margin or than the error of the answer
    FAILS = "fails"


UNASKED: Final = "failures (%), looked at in any case"
FAILED_PERCENT: Final = 0.1
"""Share of attempts that do not succeed above which an answer warns, whether that was asked for or not."""

_MOST_TIME_OUT: Final = 50.0
"""Percent of time-outs from which a function does not do its work: that fails, asked for or not."""


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
        p99_ms: Response time of 99 % of the requests; what times out counts as never answered.
        cold_percent, throttled_percent, failed_percent: Shares; of what failed, time-outs are part.
        usd_per_month: The whole bill.
        margin: A value above this share of its bound is at risk.
    """

    p99_ms: float | None = None
    cold_percent: float | None = None
    throttled_percent: float | None = None
    failed_percent: float | None = None
    usd_per_month: float | None = None
    margin: float = 0.9

    def checks(self, prediction: Prediction, usd_per_month: Decimal | None) -> list[ObjectiveCheck]:
        """Return a check for each objective that was given, and one of failures where they are many."""
        cold = 100 * prediction.cold_share
        cold_high = 100 * prediction.cold_interval[1] if prediction.cold_interval is not None else cold
        p99_ms = 1000 * prediction.all_times.percentiles_s.get(99.0, 0.0)
        throttled, failed = 100 * prediction.throttled_share, 100 * prediction.failed_share
        found: list[tuple[str, float | None, float, float]] = [
            ("p99 (ms)", self.p99_ms, p99_ms, p99_ms),
            ("cold starts (%)", self.cold_percent, cold, cold_high),
            ("throttles (%)", self.throttled_percent, throttled, throttled),
            ("failures (%)", self.failed_percent, failed, failed),
        ]
        if usd_per_month is not None:
            found.append(("USD per month", self.usd_per_month, float(usd_per_month), float(usd_per_month)))
        checks = [
            ObjectiveCheck(name, bound, value, self._verdict(bound, value, high))
            for name, bound, value, high in found
            if bound is not None
        ]
        if self.failed_percent is None and failed > FAILED_PERCENT:
            useless = 100 * prediction.timeout_share > _MOST_TIME_OUT
            verdict = Verdict.FAILS if useless else Verdict.AT_RISK
            checks.append(ObjectiveCheck(UNASKED, FAILED_PERCENT, failed, verdict))
        return checks

    def checks_of_all(self, throttled_share: float, usd_per_month: Decimal) -> list[ObjectiveCheck]:
        """Return the checks of several functions in sum: refusals and the bill."""
        throttled, usd = 100 * throttled_share, float(usd_per_month)
        return [
            ObjectiveCheck(name, bound, value, self._verdict(bound, value, value))
            for name, bound, value in (
                ("all: throttles (%)", self.throttled_percent, throttled),
                ("all: USD per month", self.usd_per_month, usd),
            )
            if bound is not None
        ]

    def _verdict(self, bound: float, value: float, high: float) -> Verdict:
        if value > bound:
            return Verdict.FAILS
        return Verdict.AT_RISK if high > self.margin * bound and value else Verdict.OK


def overall(checks: Sequence[ObjectiveCheck]) -> Verdict:
    """The worst of them; nothing asked is nothing broken."""
    for verdict in (Verdict.FAILS, Verdict.AT_RISK):
        if any(check.verdict is verdict for check in checks):
            return verdict
    return Verdict.OK


def documents(checks: Sequence[ObjectiveCheck]) -> list[Mapping[str, Any]]:
    """Return the checks as JSON values; None for what is infinite."""
    return [
        {
            **check._asdict(),
            "value": check.value if check.value < math.inf else None,
            "verdict": check.verdict.value,
        }
        for check in checks
    ]
