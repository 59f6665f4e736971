"""The answer of `engine plan` for one function: as a document, and as a report with its tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.cli.plan.against import ObservedLog
from engine.cli.plan.memory import memory_table
from engine.cli.plan.nodes import NodesAnswer, NodesQuestion
from engine.cli.plan.page import ReportContent
from engine.cli.plan.question import FoundPlan, PlanQuestion
from engine.cli.prediction_tables import (
    NotedTable,
    comparison_rows,
    container_rows,
    durable_table,
    keep_alive_rows,
    plan_rows,
    provision_rows,
    scaled_table,
)
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import Bill
from engine.model.cost.commitments import PlanOffer
from engine.model.cost.containers import (
    Container,
    ContainerComparison,
    container_assumptions,
    containers_instead,
)
from engine.model.cost.monthly import assumptions
from engine.model.queueing import comparison, recommendations
from engine.model.queueing.objectives import ObjectiveCheck, documents, overall
from engine.model.queueing.prediction import Prediction

_REPEATED = "owed for each hour, used or not; the time looked at repeats itself, use goes with requests"


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """A prediction, what it costs, whether it keeps what is asked, and what it is held against.

    Attributes:
        question, found: What was asked, and the prediction that answers it.
        prediction: The same, with everything that it takes for granted.
        bill, offers, checks: Of a month; Savings Plans for it; the objectives.
        instead: The same load on containers.
        on_nodes: The same on nodes of one's own; None: not asked for.
        log, compared: REPORT lines, and each figure predicted and observed.
    """

    question: PlanQuestion
    found: FoundPlan
    prediction: Prediction
    bill: Bill
    offers: Sequence[PlanOffer]
    checks: list[ObjectiveCheck]
    instead: Sequence[ContainerComparison]
    on_nodes: NodesAnswer | None
    log: ObservedLog | None
    compared: Sequence[comparison.ComparisonRow]

    def report(self) -> ReportContent:
        """All of it, as the terminal and the page show it."""
        document, days = self.document(), self.question.prices.month.days
        return ReportContent(
            title=f"{self.question.traffic} {self._what}/s on {self.prediction.function.memory_mb} MB",
            prediction=self.prediction,
            bill=self.bill,
            bill_of=f"a month of {days} days",
            checks=self.checks,
            document=document,
            tables={
                "Durable executions": durable_table(self.prediction),
                "Memory": memory_table(self.found.sizes),
                "More traffic": scaled_table(document),
                "Provisioned concurrency": NotedTable(provision_rows(document["provisioned"])),
                "Savings Plans": NotedTable(plan_rows(self.offers), _REPEATED if self.offers else ""),
                "Keep-alive": NotedTable(keep_alive_rows(document["keep_alive"])),
                "Instead of Lambda": NotedTable(container_rows(self.instead)),
                "Nodes instead of Lambda": NotedTable(()) if self.on_nodes is None else self.on_nodes.table(),
                f"Against {self.log.file if self.log else None}": NotedTable(comparison_rows(self.compared)),
            },
            sections={} if self.on_nodes is None else {"A month on nodes": self.on_nodes.section()},
        )

    @property
    def _what(self) -> str:
        return "requests" if self.question.executions is None else "invocations of executions"

    def document(self) -> dict[str, Any]:
        """The answer of `--json`."""
        document = {
            "verdict": overall(self.checks).value,
            "objectives": documents(self.checks),
            "traffic": str(self.question.traffic),
            **({"found": self.found.numbers} if self.found.numbers else {}),
            **self.prediction.document(),
            "cost": {**self.bill.document(), "days": self.question.prices.month.days},
            "savings_plans": [one.document() for one in self.offers],
            **({"containers": [one.document() for one in self.instead]} if self.instead else {}),
            **({} if self.on_nodes is None else {"nodes": self.on_nodes.document()}),
            **({"memory_sizes": [one.document() for one in self.found.sizes]} if self.found.sizes else {}),
            **self._recommended(),
        }
        if self.log is not None:
            document["predicted_and_observed"] = comparison.document(self.compared)
            document["taken_from_the_log"] = self.log.taken
        return document

    def _recommended(self) -> dict[str, Any]:
        """What other traffic, provisioned concurrency and another keep-alive would change, and what to do."""
        question, found, service = self.question, self.prediction, self.found.service
        function, account, prices = found.function, question.account, question.prices
        provided = recommendations.provisions(
            function, found, service, prices.book, prices.month_s, prices.free_tier
        )
        scaled = recommendations.scaled(
            function,
            account,
            question.traffic,
            horizon_s=question.asked.horizon_s,
            service=service,
            init=question.asked.init,
            book=prices.book,
            month_s=prices.month_s,
            completed=question.completed,
        )
        return {
            "traffic_times": recommendations.document(scaled),
            "limit_crossed_at_requests_per_s": recommendations.crossing_per_s(function, account, service),
            "provisioned": recommendations.document(provided),
            "keep_alive": [
                {"keep_alive_s": keep_s, "cold_share": cold, "environments": environments}
                for keep_s, cold, environments in recommendations.keep_alives(function, found, service)
            ],
            "recommendations": recommendations.recommendations(function, account, found, service, provided),
        }


def answer_of(
    question: PlanQuestion,
    found: FoundPlan,
    *,
    containers: Sequence[Container],
    at_once: int,
    nodes: NodesQuestion | None,
    log: ObservedLog | None,
) -> PlanAnswer:
    """Price and judge what was found, and hold it against containers, nodes and the log, if there are any."""
    prices, predicted = question.prices, found.prediction
    instead = [_instead(question, predicted, one, at_once) for one in containers]
    compared = [] if log is None else log.compared(predicted, question.asked.horizon_s, prices.book)
    bill = prices.bill(predicted)
    on_nodes = None if nodes is None else nodes.answer(predicted, prices, bill)
    said = (
        *predicted.assumptions,
        *assumptions(prices.month),
        *container_assumptions(instead),
        *(() if on_nodes is None else on_nodes.assumptions),
        *(() if log is None else log.assumptions()),
    )
    return PlanAnswer(
        question,
        found,
        replace(predicted, assumptions=said),
        bill,
        prices.offers(predicted),
        question.objectives.checks(predicted, bill.usd),
        instead,
        on_nodes,
        log,
        compared,
    )


def _instead(
    question: PlanQuestion, found: Prediction, container: Container, at_once: int
) -> ContainerComparison:
    """The predicted load on containers, enough for what is in flight for 99 % of the time."""
    return containers_instead(
        container,
        question.prices.book,
        busy=math.ceil(found.concurrency_p99),
        billed_ms=Decimal(str(round(found.billed_ms / found.ran, 6))) if found.ran else 0,
        memory_mb=found.function.memory_mb,
        architecture=found.function.architecture,
        days=question.prices.month.days,
        at_once=at_once,
    )
