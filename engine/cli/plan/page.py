"""The report of `engine plan` and `engine simulate`: one HTML file with charts, tables and the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from html import escape
from typing import Any

from engine.cli.prediction_tables import (
    NotedTable,
    bill_rows,
    check_lines,
    fact_rows,
    found_lines,
    method_line,
    more_rows,
    price_line,
    time_rows,
)
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import Bill
from engine.model.queueing.objectives import ObjectiveCheck, overall
from engine.model.queueing.prediction import Prediction
from engine.report import charts
from engine.report import page as kit
from engine.report.tables import html_table


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """What a report shows.

    Attributes:
        title: Its heading.
        prediction: What was predicted.
        bill, bill_of: What it costs, and what that is the bill of.
        checks: The objectives.
        document: All of it, as JSON values.
        tables: Further tables, by heading; what is empty is not shown.
        sections: Further HTML, by heading.
        prediction_of: Which of several functions `prediction` is about; empty if there is one.
    """

    title: str
    prediction: Prediction
    bill: Bill
    checks: Sequence[ObjectiveCheck]
    bill_of: str
    document: Mapping[str, Any]
    tables: Mapping[str, NotedTable] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)
    prediction_of: str = ""

    @property
    def assumptions(self) -> list[str]:
        """What prediction and prices take for granted, a sentence each."""
        return [*self.document["assumptions"], *self.bill.book.assumptions]


def page(shown: ReportContent) -> str:
    """Return the HTML of the page."""
    asked = [*found_lines(shown.document), *check_lines(shown.checks)]
    facts = [*fact_rows(shown.prediction), *more_rows(shown.prediction)]
    of = f" of {shown.prediction_of}" if shown.prediction_of else ""
    sections = [
        ("What was asked", "".join(f"<p>{escape(line)}</p>" for line in asked)),
        (f"In numbers{of}", html_table([("", ""), *facts], text_columns=2)),
        *_over_time(shown.prediction),
        (f"Response times{of}", _curves(shown.prediction) + html_table(time_rows(shown.prediction))),
        (f"Cost of {shown.bill_of}", cost_section(shown.bill)),
        *((name, noted_html(table)) for name, table in shown.tables.items() if not table.is_empty),
        *shown.sections.items(),
        ("Recommendations", kit.bullet_list(shown.document.get("recommendations", ()))),
        ("What this takes for granted", kit.bullet_list(shown.assumptions)),
    ]
    return kit.page(
        f"Invocation engine: {shown.title}",
        *(kit.section(name, inside) for name, inside in sections if inside),
        heading=shown.title,
        header=f"{verdict_heading(shown.checks)}<p>{escape(method_line(shown.prediction))}</p>",
        document=shown.document,
    )


def verdict_heading(checks: Sequence[ObjectiveCheck]) -> str:
    """The verdict on what was asked, in its colour."""
    verdict = overall(checks).value
    kind = {"ok": "good", "fails": "bad"}.get(verdict, "risk")
    said = verdict if checks else "nothing was asked for"
    return f"<h2 class='{kind}'>Verdict: {escape(said)}</h2>"


def noted_html(table: NotedTable) -> str:
    """A table and the sentence about it."""
    return html_table(table.rows) + (kit.note(table.note) if table.note else "")


def _over_time(prediction: Prediction) -> list[tuple[str, str]]:
    samples = prediction.samples
    if not samples:
        return []
    at_s = samples["at_s"]

    def series(*names: str) -> dict[str, list[tuple[float, float]]]:
        return {
            name.replace("_", " ").removesuffix(" per s"): list(zip(at_s, samples[name], strict=True))
            for name in names
            if name in samples
        }

    limit = prediction.function.reserved_concurrency
    limits = {} if limit is None else {f"reserved {limit}": float(limit)}
    return [
        (title, charts.lines(shown, "seconds", unit, label=f"{title} over time", limits=bounds))
        for title, shown, unit, bounds in (
            ("Requests", series("rate_per_s"), "per second", {}),
            ("In flight and environments", series("environments", "in_flight", "idle"), "count", limits),
            ("Cold starts and throttles", series("cold_per_s", "throttled_per_s"), "per second", {}),
        )
    ]


def _curves(prediction: Prediction) -> str:
    series = {
        name: [(max(s * 1000, 1e-3), p) for p, s in sorted(one.percentiles_s.items()) if s < math.inf]
        for name, one in (
            ("all", prediction.all_times),
            ("warm", prediction.warm_times),
            ("cold", prediction.cold_times),
        )
        if one.count and min(one.percentiles_s.values()) < math.inf
    }
    if not series:
        return ""
    x = charts.axis("milliseconds", [ms for one in series.values() for ms, _ in one], logarithmic=True)
    return charts.lines(series, x, "percentile", label="Response time by percentile")


def cost_section(bill: Bill) -> str:
    """Return a bill as a chart and a table."""
    meters = {line.meter: float(line.usd) for line in bill.lines}
    chart = charts.bars(meters, lambda usd: f"${usd:,.2f}", label="Cost by meter, US dollars")
    return chart + html_table(bill_rows(bill)) + kit.note(price_line(bill))
