"""Plays workloads and shows what came of it: text, JSON values, the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.cli.model_options import refuse
from engine.cli.plan.page import Page, page
from engine.cli.plan.tables import (
    assumption_lines,
    bill_rows,
    check_lines,
    count,
    dollars,
    fact_rows,
    percent,
    price_line,
    seconds,
    time_rows,
)
from engine.core.function import Account
from engine.model.cost.bill import Bill, FreeTier, bill
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import Usage, total
from engine.model.queueing import comparison
from engine.model.queueing.objectives import Check, Objectives, documents, overall
from engine.model.queueing.prediction import Prediction, answer_of, levels_of
from engine.model.simulation import fast_simulator, policies
from engine.model.simulation.run_statistics import FunctionObservation
from engine.model.simulation.simulated_mapping import QueueLoad
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload
from engine.report import charts
from engine.report.tables import text_table

_DAY_S: Final = 86_400
_SAMPLES: Final = 300
_RULES_UP_TO: Final = 1_000_000
"""Requests up to which the live rules are driven, unless asked otherwise."""

_ASSUMPTIONS: Final = (
    "service and init times are independent of each other and of the load",
    "one run: another seed gives other numbers; the interval of cold starts takes them as independent",
)


def played(
    workloads: Sequence[Workload],
    account: Account,
    horizon_s: float,
    *,
    seed: int,
    method: str,
    sqs_batch: int | None,
) -> list[Prediction]:
    """What became of each function; exits if the method cannot play it."""
    requests = sum(len(one.at_s) for one in workloads)
    reason = fast_simulator.unsuited(workloads[0]) if len(workloads) == 1 else "there are several functions"
    if sqs_batch is not None:
        reason = "events come through a queue"
    if method == "fast" and reason is not None:
        refuse([f"--method fast: {reason}: the live rules are needed"])
    if method == "fast" or (method == "auto" and requests > _RULES_UP_TO and reason is None):
        return [_by_kernel(workloads[0], account, horizon_s, seed)]
    return _by_rules(workloads, account, horizon_s, seed, sqs_batch)


def _by_kernel(workload: Workload, account: Account, horizon_s: float, seed: int) -> Prediction:
    ran = fast_simulator.play(workload, account, horizon_s=horizon_s)
    seen = fast_simulator.observe(workload, ran)
    return answer_of(
        seen,
        horizon_s,
        method="simulated",
        error=f"the fast kernel ({'numba' if ran.compiled else 'Python'}), one run of {seen.arrivals:,}",
        peak_per_s=_peak(workload.at_s),
        seed=seed,
        assumptions=_ASSUMPTIONS,
    )


def _by_rules(
    workloads: Sequence[Workload], account: Account, horizon_s: float, seed: int, sqs_batch: int | None
) -> list[Prediction]:
    queues: dict[str, QueueLoad] = {}
    if sqs_batch is not None:
        queues = {
            one.function.name: QueueLoad(at_s=one.at_s, batch_s=one.service_s or [0.0], batch_size=sqs_batch)
            for one in workloads
        }
        workloads = [replace(one, at_s=[], service_s=[], endings=[]) for one in workloads]
    simulation = Simulation(
        workloads, account, horizon_s=horizon_s, sample_every_s=horizon_s / _SAMPLES, queues=queues
    )
    observed = simulation.run()
    answers = []
    for number, seen in enumerate(observed.functions):
        levels = levels_of(observed, number)
        sent = queues[seen.function.name].at_s if queues else workloads[number].at_s
        answers.append(
            answer_of(
                seen,
                horizon_s,
                method="simulated",
                error=f"the live rules, one run of {seen.arrivals:,} invocations",
                peak_per_s=_peak(sent),
                in_flight=levels["in_flight"],
                seed=seed,
                inside_share=_inside(levels["in_flight"], seen.function.provisioned_concurrency),
                samples=levels,
                assumptions=_ASSUMPTIONS,
                more=_further(seen),
            )
        )
    return answers


def by_policy(
    workloads: Sequence[Workload], account: Account, book: PriceBook, horizon_s: float, p99_ms: float | None
) -> list[policies.Compared]:
    """The same events under every policy; exits if there are several functions."""
    if len(workloads) != 1:
        refuse(["--compare: for one function; choose it by --top 1"])
    deadline_s = 1.0 if p99_ms is None else p99_ms / 1000
    (workload,) = workloads
    try:
        chosen = policies.all_policies(deadline_s, horizon_s)
        return policies.compare(workload, account, book, horizon_s=horizon_s, policies=chosen)
    except ValueError as error:
        refuse([f"--compare: {error}"])


@dataclass(slots=True)
class Run:
    """What came of it, priced and judged.

    Attributes:
        answers: Of each function.
        objectives: Each function has to keep them; the bill is that of all.
        book, free_tier, days: Prices of a month.
        policies: The same under every policy, if that was asked for.
        comparison: Beside a live run, if one was given.
    """

    answers: Sequence[Prediction]
    objectives: Objectives
    book: PriceBook
    free_tier: FreeTier
    days: int
    policies: Sequence[policies.Compared] = ()
    comparison: Sequence[comparison.ComparisonRow] = ()
    bill: Bill = field(init=False)
    checks: list[Check] = field(init=False)

    def __post_init__(self) -> None:
        """Price and judge."""
        self.bill = bill(self._usage(self.days * _DAY_S), self.book, free_tier=self.free_tier)
        self.checks = []
        for answer in self.answers:
            price = self.bill.usd if answer is self.answers[0] else None
            for check in self.objectives.checks(answer, price):
                several = len(self.answers) > 1 and "USD" not in check.name
                name = f"{answer.function.name}: {check.name}" if several else check.name
                self.checks.append(check._replace(name=name))

    def figures(self) -> dict[str, float]:
        """What a live run of it would show; of the first function."""
        first = self.answers[0]
        return comparison.figures(first, float(bill(first.usage(first.horizon_s), self.book).usd))

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        functions = {one.function.name: one.document() for one in self.answers}
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

    def lines(self) -> list[str]:
        """As text."""
        first = self.answers[0]
        lines = [*check_lines(self.checks), ""] if self.checks else []
        lines += [f"{first.method}: {first.error}; seed {first.seed}", ""]
        if len(self.answers) == 1:
            lines += [*text_table(fact_rows(first), text_columns=2), "", *text_table(time_rows(first))]
            lines += [f"{name.replace('_', ' ')}: {value}" for name, value in first.more.items()]
        else:
            lines += text_table(self._function_rows())
        lines += [
            "",
            f"a month of {self.days} days",
            *text_table(bill_rows(self.bill)),
            price_line(self.bill),
        ]
        if self.policies:
            lines += [
                "",
                *text_table(self._policy_rows()),
                "* no other policy is better in p99 and environments",
            ]
        if self.comparison:
            lines += ["", *text_table(self._comparison_rows())]
        return [*lines, "", *assumption_lines(first.document(), *self.book.assumptions)]

    def page(self) -> str:
        """As HTML."""
        first = self.answers[0]
        tables: dict[str, Any] = {}
        sections: dict[str, str] = {}
        if len(self.answers) > 1:
            tables["Functions"] = self._function_rows()
        if self.comparison:
            tables["Predicted and observed"] = self._comparison_rows()
        if self.policies:
            tables["Policies"] = self._policy_rows()
            front = {one.policy: (one.environment_s, 1000 * one.p99_s) for one in self.policies}
            sections["p99 against environments: down and left is better"] = charts.points(
                front, "environment-seconds", "p99 ms", label="p99 against environments"
            )
        return page(
            Page(
                title=f"{first.function.name}: {count(first.requests)} requests simulated",
                answer=first,
                bill=self.bill,
                checks=self.checks,
                days=self.days,
                document=self.document(),
                tables=tables,
                sections=sections,
            )
        )

    def _usage(self, month_s: float) -> Usage:
        return total(*(one.usage(month_s) for one in self.answers))

    def _function_rows(self) -> list[Sequence[str]]:
        rows: list[Sequence[str]] = [
            ("function", "requests", "p50", "p99", "cold", "refused", "environments", "peak in flight")
        ]
        for one in self.answers:
            times_s = one.all_times.percentiles_s
            rows.append(
                (
                    one.function.name[:40],
                    count(one.requests),
                    seconds(times_s.get(50.0, 0.0)),
                    seconds(times_s.get(99.0, 0.0)),
                    percent(one.cold_share),
                    percent(one.throttled_share),
                    f"{one.environments:.4g}",
                    count(one.concurrency_peak),
                )
            )
        return rows

    def _policy_rows(self) -> list[Sequence[str]]:
        rows: list[Sequence[str]] = [
            ("policy", "p50", "p99", "cold", "refused", "environments", "idle GB-s", "US dollars")
        ]
        rows += [
            (
                f"{'* ' if one.efficient else '  '}{one.policy}",
                seconds(one.p50_s),
                seconds(one.p99_s),
                percent(one.cold_share),
                percent(one.throttled_share),
                f"{one.environments:.4g}",
                f"{one.idle_gb_s:,.4g}",
                dollars(one.usd),
            )
            for one in self.policies
        ]
        return rows

    def _comparison_rows(self) -> list[Sequence[str]]:
        rows: list[Sequence[str]] = [("", "predicted", "observed", "difference")]
        rows += [
            (row.name.replace("_", " "), f"{row.predicted:,.6g}", f"{row.observed:,.6g}", _signed(row))
            for row in self.comparison
        ]
        return rows


def _signed(row: comparison.ComparisonRow) -> str:
    return f"{100 * row.difference:+.1f} %"


def _peak(at_s: Sequence[float]) -> float:
    """The most requests that came in any second, counted from the first whole one."""
    most = current = 0
    second = -1
    for one in at_s:
        if int(one) != second:
            second, current = int(one), 0
        current += 1
        most = max(most, current)
    return float(most)


def _inside(in_flight: Sequence[float], provisioned: int) -> float:
    """Share of the work inside provisioned concurrency: it is used first."""
    everything = sum(in_flight)
    return sum(min(one, provisioned) for one in in_flight) / everything if everything else 0.0


def _further(seen: FunctionObservation) -> dict[str, Any]:
    """What not every run has."""
    found = {
        "timeouts": seen.timeouts,
        "crashes": seen.crashes,
        "errors": seen.errors,
        "failed_inits": seen.failed_inits,
        "retries": seen.retries,
        "dropped": seen.dropped,
        "backlog_peak": seen.backlog_peak,
        "dead_letters": seen.dead,
    }
    shown: dict[str, Any] = {name: value for name, value in found.items() if value}
    if seen.queue_ages is not None:
        shown["queue_age"] = seen.queue_ages.document()
    return shown
