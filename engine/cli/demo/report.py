"""The demo's report: one HTML file that needs no network, with charts, tables and the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from engine.cli.demo.summary_tables import Rows, components_text, facts, function_rows, latency_rows
from engine.report import page as kit
from engine.report import run_charts as charts
from engine.report.page import section
from engine.report.tables import html_table


def page(document: Mapping[str, Any]) -> str:
    """The HTML page for a document of `summary.document`."""
    cost = document["cost"]
    return kit.page(
        "Invocation engine: demo",
        kit.tiles(facts(document)),
        section(
            "Every promise held" if document["ok"] else "Not every promise held",
            kit.check_list((one["held"], one["promise"], one["saw"]) for one in document["promises"]),
            "".join(kit.note(text) for text in document["notes"]),
            kind="good" if document["ok"] else "bad",
        ),
        section(
            "Concurrency and environments",
            charts.concurrency(document),
            note="As the engine says of itself, ten times a second. "
            "The numbers under the axis are the phases.",
        ),
        section("Throughput", charts.throughput(document), note="Per second, over half a second."),
        section("Phases", _phases(document)),
        section(
            "Latency",
            charts.latency(document),
            _table(latency_rows(document), text_columns=2),
            note="As the client saw it, from request sent to answer complete. "
            "Client and engine share the machine.",
        ),
        section(
            "Cost",
            charts.cost(document),
            _table(function_rows(document), text_columns=1),
            note=f"What AWS would have asked for it, at the {cost['prices']}, without the free tier: "
            f"{components_text(cost)}.",
        ),
        section(
            "Failures",
            _failures(document["failures"]),
            note="All of them on purpose, if every promise held.",
        ),
        heading="Invocation engine: from zero to a thousand and back",
        header=f"<p>{escape(' · '.join(str(value) for value in document['machine'].values()))}</p>",
        document=document,
    )


def _phases(document: Mapping[str, Any]) -> str:
    rows = [
        (
            str(number),
            one["title"],
            one["target"],
            one["achieved"],
            f"{one['began_s']:.1f} s",
            f"{one['ended_s']:.1f} s",
        )
        for number, one in enumerate(document["phases"], 1)
    ]
    return html_table([("", "phase", "target", "achieved", "from", "to"), *rows], text_columns=4)


def _failures(failures: Mapping[str, Mapping[str, int]]) -> str:
    rows = [("outcome", kind, f"{count:,}") for kind, count in failures["by_status"].items()]
    rows += [("error", kind, f"{count:,}") for kind, count in failures["by_error"].items()]
    return html_table([("as", "kind", "count"), *rows], text_columns=2) if rows else "<p>None.</p>"


def _table(table: Rows, *, text_columns: int) -> str:
    head, rows = table
    return html_table([head, *rows], text_columns=text_columns)
