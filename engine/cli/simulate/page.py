"""The result of `engine simulate` as an HTML page."""

from __future__ import annotations

from engine.cli.plan.page import ReportContent
from engine.cli.plan.page import page as plan_page
from engine.cli.prediction_tables import NotedTable, bill_rows, comparison_rows, count, durable_table, span
from engine.cli.simulate.result import SimulationResult
from engine.cli.simulate.streams import stream_sections, stream_table
from engine.cli.simulate.text import BEST_POLICIES, function_rows, policy_rows
from engine.report import charts


def page(result: SimulationResult) -> str:
    """Return the HTML of the page."""
    first = result.predictions[0]
    several = len(result.predictions)
    named = first.function.name if several == 1 else f"{several} functions"
    tables: dict[str, NotedTable] = {}
    sections: dict[str, str] = {}
    if not (executions := durable_table(first)).is_empty:
        tables["Durable executions"] = executions
    if not (records := stream_table(first)).is_empty:
        tables["Records of the stream"] = records
        sections.update(stream_sections(first))
    if len(result.predictions) > 1:
        tables["Functions"] = NotedTable(function_rows(result))
    if result.days is not None:
        name = f"Cost of this run of {span(result.horizon_s)}"
        tables[name] = NotedTable(bill_rows(result.run_bill), result.month_line())
    if result.nodes is not None:
        tables["On nodes"] = result.nodes.table()
        sections["Nodes over time"] = result.nodes.section()
    if result.comparison:
        tables["Predicted and observed"] = NotedTable(comparison_rows(result.comparison))
    if result.policies:
        tables["Policies"] = NotedTable(policy_rows(result), BEST_POLICIES)
        front = {one.policy: (one.environment_s, 1000 * one.p99_s) for one in result.policies}
        sections["p99 against environments: down and left is better"] = charts.points(
            front, "environment-seconds", "p99 ms", label="p99 against environments"
        )
    return plan_page(
        ReportContent(
            title=f"{named}: {count(result.requests)} requests simulated",
            prediction=first,
            prediction_of="" if several == 1 else first.function.name,
            bill=result.bill,
            checks=result.checks,
            bill_of=f"this run of {span(result.horizon_s)}"
            if result.days is None
            else f"a month of {result.days} days",
            document=result.document(),
            tables=tables,
            sections=sections,
        )
    )
