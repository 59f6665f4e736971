"""The summary in words and rows: what the terminal prints at the end, and what the report's tables hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.demo.summary import PERCENTILES
from engine.report.figures import dollars, milliseconds

Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Column titles, and rows of as many cells."""

_FAULTY_PREFIX: Final = "faulty: "
_PLAIN_WIDTH: Final = 200
_NAME_WIDTH: Final = len("per million invocations")


def facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The few numbers to look at first: name and value."""
    best = max((one["per_s"] for one in document["series"] if one["form"] == "loop"), default=0.0)
    cost = document["cost"]
    return [
        ("peak concurrency", f"{document['peak_concurrency']:,}"),
        ("best throughput, per s", f"{best:,.0f}"),
        ("invocations", f"{document['invocations']:,}"),
        ("cold starts", f"{document['cold_starts']:,}"),
        ("throttles", f"{sum(document['throttles'].values()):,}"),
        ("failures", f"{sum(document['failures']['by_status'].values()):,}"),
        ("cost", dollars(cost["total_usd"], 6)),
        ("per million invocations", dollars(cost["per_million_invocations_usd"], 2)),
    ]


def latency_rows(document: Mapping[str, Any]) -> Rows:
    """A row for each series and kind of answer, but for those that fail on purpose."""
    titles = [f"p{percent:g}" for percent in PERCENTILES]
    rows: list[tuple[str, ...]] = []
    for one in document["series"]:
        if one["name"].startswith(_FAULTY_PREFIX):
            continue
        spreads = dict(one["latency_ms"])
        if "overhead_ms" in one:
            spreads["200, without its sleep"] = one["overhead_ms"]
        for kind, spread in spreads.items():
            count = one["answers"].get(kind)
            per_s = f"{one['per_s']:,.0f}" if one["form"] == "loop" and len(spreads) == 1 else ""
            cells = [milliseconds(spread[title]) for title in titles]
            rows.append((one["name"], kind, f"{count:,}" if count else "", per_s, *cells))
    return ("requests", "answer", "count", "per s", *(f"{title}, ms" for title in titles)), rows


def function_rows(document: Mapping[str, Any]) -> Rows:
    """A row for each function: what ran, what it took, what it cost."""
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{one['invocations']:,}",
            f"{one['cold_starts']:,}",
            f"{one['throttles']:,}",
            milliseconds(one["mean_duration_ms"]),
            f"{one['billed_ms']:,}",
            dollars(one["cost_usd"]["total"], 6),
            dollars(one["per_million_usd"], 2) if one["per_million_usd"] else "",
        )
        for name, one in document["functions"].items()
    ]
    titles = (
        "function",
        "invocations",
        "cold starts",
        "refused",
        "mean, ms",
        "billed ms",
        "cost",
        "per million",
    )
    return titles, rows


def print_summary(document: Mapping[str, Any], out: TextIO, *, boxed: bool) -> None:
    """Everything at the end of the demo: with colours for people, plain for pipes."""
    width = None if boxed else _PLAIN_WIDTH
    console = Console(file=out, highlight=False, force_terminal=boxed, no_color=not boxed, width=width)
    for rows, text_columns in ((latency_rows(document), 2), (function_rows(document), 1)):
        console.print()
        console.print(_table(rows, text_columns))
    console.print()
    for name, value in facts(document):
        console.print(Text(f"{name.ljust(_NAME_WIDTH)}  {value}"))
    cost, failures = document["cost"], document["failures"]
    for name, text in (
        ("cost by component", f"{components_text(cost)} ({cost['prices']})"),
        ("failures by outcome", _counts(failures["by_status"])),
        ("failures by error", _counts(failures["by_error"])),
        ("throttles by reason", _counts(document["throttles"])),
    ):
        console.print(Text(f"{name.ljust(_NAME_WIDTH)}  {text}"), soft_wrap=True)
    console.print()
    for one in document["promises"]:
        style = "green" if one["held"] else "red"
        mark = ("✓" if one["held"] else "✗") if boxed else ("ok" if one["held"] else "NO")
        console.print(Text(f"{mark} {one['promise']}: {one['saw']}", style=style), soft_wrap=True)
    for note in document["notes"]:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def components_text(cost: Mapping[str, Any]) -> str:
    """The parts of the bill, in a line."""
    return ", ".join(f"{name} {dollars(usd, 6)}" for name, usd in cost["components_usd"].items())


def _table(rows: Rows, text_columns: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column, title in enumerate(rows[0]):
        table.add_column(title, justify="left" if column < text_columns else "right", no_wrap=column > 0)
    for row in rows[1]:
        table.add_row(*map(Text, row))
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "none"


def sentences(document: Mapping[str, Any]) -> Sequence[str]:
    """Return a sentence for each promise that did not hold."""
    return [
        f"did not hold: {one['promise']}: {one['saw']}" for one in document["promises"] if not one["held"]
    ]
