"""The answer of `engine plan` as lines for a terminal: the same tables as on its page."""

from __future__ import annotations

from engine.cli.plan.page import ReportContent
from engine.cli.prediction_tables import (
    assumption_lines,
    bill_rows,
    check_lines,
    fact_rows,
    found_lines,
    method_line,
    price_line,
    time_rows,
)
from engine.report.tables import text_table


def lines(shown: ReportContent) -> list[str]:
    """Return verdict, figures, bill, tables, recommendations and assumptions, line by line."""
    found = shown.prediction
    said = found_lines(shown.document)
    said += [*check_lines(shown.checks), ""] if shown.checks else []
    said += [method_line(found), ""]
    said += [*text_table(fact_rows(found), text_columns=2), "", *text_table(time_rows(found)), ""]
    said += [shown.bill_of, *text_table(bill_rows(shown.bill)), price_line(shown.bill)]
    for name, table in shown.tables.items():
        if not table.is_empty:
            said += ["", name, *text_table(table.rows), *([table.note] if table.note else ())]
    if shown.document.get("recommendations"):
        said += ["", *(f"* {one}" for one in shown.document["recommendations"])]
    return [*said, "", *assumption_lines(shown.assumptions)]
