"""The result of `engine simulate`: predictions, priced and judged, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from engine.cli.simulate.nodes import NodesResult
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import Bill, FreeTierChoice, bill
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import DAY_S, Usage, total
from engine.model.queueing import comparison
from engine.model.queueing.objectives import ObjectiveCheck, Objectives, documents, overall
from engine.model.queueing.prediction import Prediction
from engine.model.simulation import policies
from engine.model.simulation.confidence_intervals import count_interval


@dataclass(slots=True)
class SimulationResult:
    """Predictions of all functions, priced and checked against objectives.

    Attributes:
        predictions: Of each function: sums are over all of them.
        objectives: Each function has to keep them; the bill is that of all.
        book, free_tier: Prices.
        days: Of the month that is said beside the run; None = no month is said.
        shown: Functions that are listed, at most.
        policies: The same under every policy, if that was asked for.
        comparison: Beside a live run, if one was given.
        nodes: What the nodes were used for, if there were any.
        run_bill: Of what was played, as it is.
        bill: Of a month of it; without a month, that of the run.
    """

    predictions: Sequence[Prediction]
    objectives: Objectives
    book: PriceBook
    free_tier: FreeTierChoice
    days: int | None
    shown: int
    policies: Sequence[policies.Compared] = ()
    comparison: Sequence[comparison.ComparisonRow] = ()
    nodes: NodesResult | None = None
    run_bill: Bill = field(init=False)
    bill: Bill = field(init=False)
    checks: list[ObjectiveCheck] = field(init=False)

    def __post_init__(self) -> None:
        """Price run and month, and check the objectives."""
        self.run_bill = bill(self._usage(None), self.book, free_tier=self.free_tier)
        self.bill = self.run_bill
        if self.days is not None:
            self.bill = bill(self._usage(self.days * DAY_S), self.book, free_tier=self.free_tier)
        self.checks = []
        for prediction in self.predictions:
            price = self.bill.usd if prediction is self.predictions[0] else None
            for check in self.objectives.checks(prediction, price):
                several = len(self.predictions) > 1 and "USD" not in check.name
                name = f"{prediction.function.name}: {check.name}" if several else check.name
                self.checks.append(check._replace(name=name))

    @property
    def horizon_s(self) -> float:
        """Seconds that were looked at."""
        return self.predictions[0].horizon_s

    @property
    def requests(self) -> float:
        """Events of all functions."""
        return sum(one.requests for one in self.predictions)

    @property
    def factor(self) -> float:
        """Runs in a month; 1 if no month is said."""
        if self.days is None or not self.horizon_s:
            return 1.0
        return self.days * DAY_S / self.horizon_s

    def figures(self) -> dict[str, float]:
        """Return what a live run of the first function would show."""
        first = self.predictions[0]
        live = first if first.on_engine is None else first.on_engine
        return comparison.figures(live, float(bill(live.usage(), self.book).usd))

    def totals(self) -> dict[str, Any]:
        """Return the sums over all functions as JSON values."""
        found = self.predictions
        ran = sum(one.ran for one in found)
        return {
            "functions": len(found),
            "requests": self.requests,
            "attempts": ran,
            "cold_starts": round(sum(one.cold_share * one.ran for one in found)),
            "throttles": round(sum(one.throttled_share * one.requests for one in found)),
            "environments": sum(one.environments for one in found),
            "in_flight": sum(one.concurrency for one in found),
            "billed_ms": sum(one.billed_ms for one in found),
        }

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values: of several functions, the sums and those that are listed."""
        first = self.predictions[0]
        content: dict[str, Any] = first.document()
        if len(self.predictions) > 1:
            content = {
                **{name: content[name] for name in ("method", "error", "seed", "horizon_s", "assumptions")},
                **{name: value for name, value in self.totals().items() if name != "functions"},
                "function_count": len(self.predictions),
                "functions": {one.function.name: one.document() for one in self.predictions[: self.shown]},
            }
        month = {"days": self.days, "times": self.factor} if self.days is not None else {}
        document: dict[str, Any] = {
            "verdict": overall(self.checks).value,
            "objectives": documents(self.checks),
            **content,
            "cost": {**self.bill.document(), "of": "run" if self.days is None else "month", **month},
            "cost_of_run": self.run_bill.document(),
        }
        if self.policies:
            document["policies"] = policies.document(self.policies)
        if self.nodes is not None:
            document["nodes"] = self.nodes.document()
        if self.comparison:
            document["predicted_and_observed"] = comparison.document(self.comparison)
        return document

    def month_line(self) -> str:
        """How the month follows from the run."""
        low, high = (self.factor * end for end in count_interval(round(self.requests)))
        return (
            f"a month of {self.days} days is {self.factor:,.4g} times what was played: "
            f"{low:,.3g} to {high:,.3g} requests (95 %, by their number alone)"
        )

    def _usage(self, month_s: float | None) -> Usage:
        return total(*(one.usage(month_s) for one in self.predictions))
