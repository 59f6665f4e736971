"""The report of the model: one HTML file that needs no network, with charts, tables and the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from engine.cli.plan.tables import bill_rows, check_lines, fact_rows, price_line, time_rows
from engine.model.cost.bill import Bill
from engine.model.queueing.objectives import Check, overall
from engine.model.queueing.prediction import Prediction
from engine.report import charts

DATA_ID: Final = "data"
"""Of the script element that holds the document as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a report shows.

    Attributes:
        title: Its heading.
        answer: What was predicted.
        bill: Of a month of `days`.
        checks: The objectives.
        document: All of it, as JSON values.
        tables: Further tables, rows under their first one, by heading.
        sections: Further HTML, made here or in `plan_charts`, by heading.
    """

    title: str
    answer: Prediction
    bill: Bill
    checks: Sequence[Check]
    days: int
    document: Mapping[str, Any]
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)


def page(shown: Page) -> str:
    """The HTML page."""
    verdict = overall(list(shown.checks)).value
    sections = [
        ("What was asked", "".join(f"<p>{escape(line)}</p>" for line in check_lines(shown.checks))),
        ("In numbers", html_table([("", ""), *fact_rows(shown.answer)], text_columns=2)),
        *_over_time(shown.answer),
        ("Response times", _curves(shown.answer) + html_table(time_rows(shown.answer))),
        (f"Cost of a month of {shown.days} days", _cost(shown.bill)),
        *((name, html_table(rows)) for name, rows in shown.tables.items()),
        *shown.sections.items(),
        ("Recommendations", _list(shown.document.get("recommendations", ()))),
        ("What this takes for granted", _list(shown.document["assumptions"])),
    ]
    body = "".join(
        f"<section><h2>{escape(name)}</h2>{inside}</section>" for name, inside in sections if inside
    )
    return _PAGE.format(
        title=escape(shown.title),
        style=_STYLE,
        verdict=escape(verdict if shown.checks else "nothing was asked for"),
        kind={"ok": "good", "fails": "bad"}.get(verdict, "risk"),
        method=escape(f"{shown.answer.method}: {shown.answer.error}"),
        seed="" if shown.answer.seed is None else f" · seed {shown.answer.seed}",
        body=body,
        data_id=DATA_ID,
        data=json.dumps(shown.document, separators=(",", ":")).replace("<", "\\u003c"),
    )


def html_table(rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """The first row is the heading; after the first columns there are numbers."""

    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if place >= text_columns else ''}>{escape(value)}</{tag}>"
            for place, value in enumerate(values)
        )

    head, *body = rows
    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
    return f"<div class='wide'><table><tr>{cells(head, 'th')}</tr>{lines}</table></div>"


def _over_time(answer: Prediction) -> list[tuple[str, str]]:
    samples = answer.samples
    if not samples:
        return []
    at_s = samples["at_s"]

    def series(*names: str) -> dict[str, list[tuple[float, float]]]:
        return {
            name.replace("_", " ").removesuffix(" per s"): list(zip(at_s, samples[name], strict=True))
            for name in names
            if name in samples
        }

    limit = answer.function.reserved_concurrency
    limits = {} if limit is None else {f"reserved {limit}": float(limit)}
    return [
        ("Requests", charts.lines(series("rate_per_s"), "seconds", "per second")),
        (
            "In flight and environments",
            charts.lines(series("environments", "in_flight", "idle"), "seconds", "count", limits=limits),
        ),
        (
            "Cold starts and throttles",
            charts.lines(series("cold_per_s", "throttled_per_s"), "seconds", "per second"),
        ),
    ]


def _curves(answer: Prediction) -> str:
    series = {
        name: [(max(s * 1000, 1e-3), p) for p, s in sorted(one.percentiles_s.items())]
        for name, one in (("all", answer.all_times), ("warm", answer.warm_times), ("cold", answer.cold_times))
        if one.count
    }
    return charts.lines(series, "milliseconds", "percentile", log_x=True) if series else ""


def _cost(bill: Bill) -> str:
    picture = charts.bars({line.meter: float(line.usd) for line in bill.lines}, "$")
    return picture + html_table(bill_rows(bill)) + f"<p class='note'>{escape(price_line(bill))}</p>"


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    return f"<ul>{items}</ul>" if items else ""


_STYLE: Final = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2430; --faint: #667085;
  --line: #e3e6eb; --good: #14804a; --risk: #b26a00; --bad: #c2352b; --c1: #8aa4c8; --c2: #e2703a;
  --c3: #2a9d8f; --c4: #8e5bb5; --c5: #c2a23a; --c6: #667085; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --card: #1a2029; --text: #e4e8ee;
  --faint: #98a2b3; --line: #2c3440; --good: #4cc38a; --risk: #f0b429; --bad: #ff7b6e; --c1: #6f8fbd;
  --c2: #f0905c; --c3: #4fc3b4; --c4: #b78be0; --c5: #d9bd5a; --c6: #98a2b3; } }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 18px; margin: 0 0 4px; }
header p { color: var(--faint); margin: 2px 0; } .note { color: var(--faint); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px; }
.good { color: var(--good); } .risk { color: var(--risk); } .bad { color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--faint); font-weight: 600; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; } tr > :last-child { padding-right: 0; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--text); font-size: 12px; }
.grid { stroke: var(--line); } .key span { margin-right: 18px; }
.key i { display: inline-block; width: 14px; height: 4px; margin: 0 6px 3px 0; }
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Invocation engine: {title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>{title}</h1><h2 class="{kind}">Verdict: {verdict}</h2><p>{method}{seed}</p></header>
{body}
</main>
<script type="application/json" id="{data_id}">{data}</script>
</body>
</html>
"""
