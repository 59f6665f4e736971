"""What is asked of one function: predicted as it stands, or with the number that is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.cli.durable_options import PlannedExecutions
from engine.cli.model_options import refuse
from engine.cli.plan.against import Asked
from engine.cli.plan.memory import SizeDurations, unkept
from engine.cli.plan.monthly_prices import MonthlyPrices
from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.model.distributions import Distribution
from engine.model.queueing.analytic import predict
from engine.model.queueing.memory_search import SizeAnswer, answers_by_memory, cheapest_kept
from engine.model.queueing.objectives import Objectives
from engine.model.queueing.prediction import Prediction
from engine.model.queueing.search import UNRESERVED, fewest_provisioned, smallest_reservation
from engine.model.simulation.workload import Trigger
from engine.model.traffic.shapes import Shape


@dataclass(frozen=True, slots=True)
class PlanQuestion:
    """A load on a function, alone in its account.

    Attributes:
        asked, account, traffic: The function with its times, its limits, and what comes.
        error_share: Of the attempts, how many fail by an error of the handler.
        trigger: Who sends the events.
        prices, objectives: What it costs in a month, and what is to be kept.
        executions: Durable executions whose invocations are the traffic; None: it is none of such.
    """

    asked: Asked
    account: Account
    traffic: Shape
    error_share: float
    trigger: Trigger
    prices: MonthlyPrices
    objectives: Objectives
    executions: PlannedExecutions | None = None

    def predicted(
        self, function: Function, service: Distribution | None = None, *, rough: bool = False
    ) -> Prediction:
        """Predict it with another function, or other durations."""
        found = predict(
            function,
            self.account,
            self.traffic,
            horizon_s=self.asked.horizon_s,
            service=service or self.asked.service,
            init=self.asked.init,
            error_share=self.error_share,
            trigger=self.trigger,
            rough=rough,
        )
        return self.completed(found)

    def completed(self, found: Prediction) -> Prediction:
        """A prediction of the invocations, with what the executions use that they belong to."""
        return found if self.executions is None else self.executions.complete(found)


@dataclass(frozen=True, slots=True)
class FoundPlan:
    """The prediction that answers a question.

    Attributes:
        prediction: With the function as it was asked for, or with the number found.
        service: How long its runs take.
        numbers: What was looked for, and its number.
        sizes: Every memory size that was looked at.
    """

    prediction: Prediction
    service: Distribution
    numbers: dict[str, int | None]
    sizes: Sequence[SizeAnswer] = ()


def answer_to(question: PlanQuestion, wanted: str | None, durations: SizeDurations | None) -> FoundPlan:
    """Predict, or look for what is `wanted`; exits with one line if no number keeps the objectives."""
    function, service = question.asked.function, question.asked.service
    if wanted is None:
        return FoundPlan(question.predicted(function), service, {})
    if durations is not None:
        return _by_memory(question, durations)
    if wanted == "reserved":
        found = _by_reservation(question)
        return FoundPlan(found, service, {wanted: found.function.reserved_concurrency})
    found = _by_provisioned(question)
    return FoundPlan(found, service, {wanted: found.function.provisioned_concurrency})


def _by_memory(question: PlanQuestion, durations: SizeDurations) -> FoundPlan:
    function = question.asked.function
    sizes = answers_by_memory(
        durations.at,
        lambda size: question.predicted(replace(function, memory_mb=size), durations.at[size]),
        lambda found: question.prices.bill(found).usd,
        question.objectives,
    )
    best = cheapest_kept(sizes)
    if best is None:
        refuse([unkept(sizes)])
    found = replace(best.prediction, assumptions=(*best.prediction.assumptions, *durations.assumptions))
    return FoundPlan(found, durations.at[best.memory_mb], {"memory": best.memory_mb}, sizes)


def _by_reservation(question: PlanQuestion) -> Prediction:
    percent = _bound(question.objectives.throttled_percent, "reserved", "--throttles")
    account, function = question.account, question.asked.function
    found = smallest_reservation(question.predicted, function, account, percent / 100)
    return _enough(found, "reserved", account.concurrency_limit - UNRESERVED, f"--throttles {percent:g}")


def _by_provisioned(question: PlanQuestion) -> Prediction:
    percent = _bound(question.objectives.cold_percent, "provisioned", "--cold")
    function = question.asked.function
    most = question.account.limit_of(function)
    found = fewest_provisioned(question.predicted, function, most, percent / 100)
    return _enough(found, "provisioned", most, f"--cold {percent:g}")


def _bound(percent: float | None, wanted: str, option: str) -> float:
    if percent is None:
        refuse([f"--find {wanted}: needs {option}, the percentage that is not to be passed"])
    return percent


def _enough(found: Prediction | None, wanted: str, most: int, objective: str) -> Prediction:
    if found is None:
        refuse([f"--find {wanted}: {most:,} are not enough for {objective}"])
    return found
