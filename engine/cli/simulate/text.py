"""The result of `engine simulate` as lines for a terminal, and the rows of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.cli.prediction_tables import (
    assumption_lines,
    bill_rows,
    check_lines,
    comparison_rows,
    count,
    dollars,
    durable_table,
    fact_rows,
    method_line,
    more_rows,
    percent,
    price_line,
    seconds,
    span,
    time_rows,
)
from engine.cli.simulate.result import SimulationResult
from engine.cli.simulate.streams import stream_table
from engine.model.queueing.prediction import Prediction
from engine.report.tables import text_table

BEST_POLICIES: Final = "* no other policy is better in p99 and environments"


def lines(result: SimulationResult) -> list[str]:
    """Return the verdict, the figures and the bill, line by line."""
    first = result.predictions[0]
    shown = [*check_lines(result.checks), ""] if result.checks else []
    shown += [method_line(first), ""]
    if len(result.predictions) == 1:
        shown += [*text_table(fact_rows(first), text_columns=2), "", *text_table(time_rows(first))]
        shown += [f"{name}: {value}" for name, value in more_rows(first)]
        executions = durable_table(first)
        stream = stream_table(first)
        for table in (executions, stream):
            shown += [] if table.is_empty else ["", *text_table(table.rows, text_columns=2)]
    else:
        shown += text_table(function_rows(result))
    shown += ["", f"this run of {span(result.horizon_s)}", *text_table(bill_rows(result.run_bill))]
    if result.days is not None:
        shown += ["", result.month_line(), *text_table(bill_rows(result.bill))]
    shown.append(price_line(result.bill))
    if result.nodes is not None:
        shown += ["", "On nodes", *text_table(result.nodes.table().rows)]
        shown += [f"{name}: {value}" for name, value in result.nodes.facts()]
    if result.policies:
        shown += ["", *text_table(policy_rows(result)), BEST_POLICIES]
    if result.comparison:
        shown += ["", *text_table(comparison_rows(result.comparison))]
    return [*shown, "", *assumption_lines([*first.assumptions, *result.book.assumptions])]


def function_rows(result: SimulationResult) -> list[Sequence[str]]:
    """Return a row for each function that is listed, for the others together, and for all."""
    rows: list[Sequence[str]] = [
        ("function", "requests", "p50", "p99", "cold", "refused", "environments", "peak in flight")
    ]
    for one in result.predictions[: result.shown]:
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
    others = result.predictions[result.shown :]
    if others:
        rows.append(_sum_row(f"{len(others)} others", others))
    rows.append(_sum_row(f"all {len(result.predictions)}", result.predictions))
    return rows


def _sum_row(name: str, predictions: Sequence[Prediction]) -> Sequence[str]:
    requests = sum(one.requests for one in predictions)
    ran = sum(one.ran for one in predictions)
    cold = sum(one.cold_share * one.ran for one in predictions)
    refused = sum(one.throttled_share * one.requests for one in predictions)
    return (
        name,
        count(requests),
        "",
        "",
        percent(cold / ran if ran else 0.0),
        percent(refused / requests if requests else 0.0),
        f"{sum(one.environments for one in predictions):.4g}",
        "",
    )


def policy_rows(result: SimulationResult) -> list[Sequence[str]]:
    """Return a row for each policy; a star marks those that no other beats."""
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
        for one in result.policies
    ]
    return rows
