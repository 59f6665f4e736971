"""The result of `engine simulate`: predictions, priced and judged, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.model.cost.bill import Bill, FreeTierChoice, bill
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import Usage, total
from engine.model.queueing import comparison
from engine.model.queueing.objectives import ObjectiveCheck, Objectives, documents, overall
from engine.model.queueing.prediction import Prediction
from engine.model.simulation import policies

_DAY_S: Final = 86_400


@dataclass(slots=True)
class SimulationResult:
    """Predictions of all functions, priced and checked against objectives.

    Attributes:
        predictions: Of each function.
        objectives: Each function has to keep them; the bill is that of all.
        book, free_tier, days: Prices of a month.
        policies: The same under every policy, if that was asked for.
        comparison: Beside a live run, if one was given.
    """

    predictions: Sequence[Prediction]
    objectives: Objectives
    book: PriceBook
    free_tier: FreeTierChoice
    days: int
    policies: Sequence[policies.Compared] = ()
    comparison: Sequence[comparison.ComparisonRow] = ()
    bill: Bill = field(init=False)
    checks: list[ObjectiveCheck] = field(init=False)

    def __post_init__(self) -> None:
        """Price the month and check the objectives."""
        self.bill = bill(self._usage(self.days * _DAY_S), self.book, free_tier=self.free_tier)
        self.checks = []
        for prediction in self.predictions:
            price = self.bill.usd if prediction is self.predictions[0] else None
            for check in self.objectives.checks(prediction, price):
                several = len(self.predictions) > 1 and "USD" not in check.name
                name = f"{prediction.function.name}: {check.name}" if several else check.name
                self.checks.append(check._replace(name=name))

    def figures(self) -> dict[str, float]:
        """Return what a live run of the first function would show."""
        first = self.predictions[0]
        return comparison.figures(first, float(bill(first.usage(first.horizon_s), self.book).usd))

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        functions = {one.function.name: one.document() for one in self.predictions}
        (first, *others) = functions.values()
        document: dict[str, Any] = {
            "verdict": overall(self.checks).value,
            "objectives": documents(self.checks),
            **({**first, "functions": functions} if others else first),
            "cost": {**self.bill.document(), "days": self.days},
        }
        if self.policies:
            document["policies"] = policies.document(self.policies)
        if self.comparison:
            document["predicted_and_observed"] = [row._asdict() for row in self.comparison]
        return document

    def _usage(self, month_s: float) -> Usage:
        return total(*(one.usage(month_s) for one in self.predictions))
