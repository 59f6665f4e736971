"""The report: one HTML file that needs no network, with charts, tables and the numbers themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from engine.cli.demo import charts
from engine.cli.demo.figures import components_text, facts, function_rows, latency_rows

DATA_ID: Final = "data"
"""Of the script element that holds the document as JSON."""


def page(document: Mapping[str, Any]) -> str:
    """The HTML page for a document of `summary.document`."""
    verdict = "Every promise held" if document["ok"] else "Not every promise held"
    return _PAGE.format(
        style=STYLE,
        verdict=escape(verdict),
        verdict_class="good" if document["ok"] else "bad",
        machine=escape(" · ".join(str(value) for value in document["machine"].values())),
        tiles="".join(tile(name, value) for name, value in facts(document)),
        promises="".join(_promise(one) for one in document["promises"]),
        notes="".join(f"<p class='note'>{escape(note)}</p>" for note in document["notes"]),
        concurrency=charts.concurrency(document),
        throughput=charts.throughput(document),
        latency=charts.latency(document),
        cost=charts.cost(document),
        phases=table_of(
            ("", "phase", "target", "achieved", "from", "to"),
            [
                (
                    str(number),
                    one["title"],
                    one["target"],
                    one["achieved"],
                    f"{one['began_s']:.1f} s",
                    f"{one['ended_s']:.1f} s",
                )
                for number, one in enumerate(document["phases"], 1)
            ],
            text_columns=4,
        ),
        latencies=table_of(*latency_rows(document), text_columns=2),
        functions=table_of(*function_rows(document), text_columns=1),
        failures=_failures(document["failures"]),
        components=escape(components_text(document["cost"])),
        prices=escape(document["cost"]["prices"]),
        data=json.dumps(document, separators=(",", ":")).replace("<", "\\u003c"),
        data_id=DATA_ID,
    )


def tile(name: str, value: str) -> str:
    """A number to look at first, with its name."""
    return f"<div class='tile'><b>{escape(value)}</b><span>{escape(name)}</span></div>"


def _promise(one: Mapping[str, Any]) -> str:
    kind, mark = ("good", "✓") if one["held"] else ("bad", "✗")
    text, saw = escape(one["promise"]), escape(one["saw"])
    return f"<li class='{kind}'><b>{mark}</b> {text}<span>{saw}</span></li>"


def _failures(failures: Mapping[str, Mapping[str, int]]) -> str:
    rows = [("outcome", kind, f"{count:,}") for kind, count in failures["by_status"].items()]
    rows += [("error", kind, f"{count:,}") for kind, count in failures["by_error"].items()]
    return table_of(("as", "kind", "count"), rows, text_columns=2) if rows else "<p>None.</p>"


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int) -> str:
    """The first columns are text; the rest are numbers, to the right."""

    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if column >= text_columns else ''}>{escape(value)}</{tag}>"
            for column, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    table = f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{table}</div>"


STYLE: Final = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2430; --faint: #667085;
  --line: #e3e6eb; --good: #14804a; --bad: #c2352b; --c1: #8aa4c8; --c2: #e2703a; --c3: #2a9d8f;
  --c4: #8e5bb5; --c5: #b8860b; --c6: #5f6b7a; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --card: #1a2029; --text: #e4e8ee;
  --faint: #98a2b3; --line: #2c3440; --good: #4cc38a; --bad: #ff7b6e; --c1: #6f8fbd; --c2: #f0905c;
  --c3: #4fc3b4; --c4: #b78be0; --c5: #e0b040; --c6: #a3adba; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 18px; margin: 0 0 4px; }
header p, section > p { color: var(--faint); margin: 2px 0 12px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px; }
.good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px;
  margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.tile span { color: var(--faint); font-size: 13px; }
ul { list-style: none; margin: 8px 0 0; padding: 0; } li { padding: 3px 0; }
li.good { color: inherit; } li.good b { color: var(--good); }
li span { display: block; margin-left: 1.4em; color: var(--faint); font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--faint); font-weight: 600; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; } tr > :last-child { padding-right: 0; }
tbody tr:last-child td { border-bottom: 0; }
svg { display: block; width: 100%; height: auto; } .note { color: var(--faint); }
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Invocation engine: demo</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<h1>Invocation engine: from zero to a thousand and back</h1>
<p>{machine}</p>
</header>
<div class="tiles">{tiles}</div>
<section><h2 class="{verdict_class}">{verdict}</h2><ul>{promises}</ul>{notes}</section>
<section><h2>Concurrency and environments</h2>
<p>As the engine says of itself, ten times a second. The numbers under the axis are the phases.</p>
{concurrency}</section>
<section><h2>Throughput</h2><p>Per second, over half a second.</p>{throughput}</section>
<section><h2>Phases</h2>{phases}</section>
<section><h2>Latency</h2>
<p>As the client saw it, from request sent to answer complete. Client and engine share the machine.</p>
{latency}{latencies}</section>
<section><h2>Cost</h2>
<p>What AWS would have asked for it, at the {prices}, without the free tier: {components}.</p>
{cost}{functions}</section>
<section><h2>Failures</h2><p>All of them on purpose, if every promise held.</p>{failures}</section>
</main>
<script type="application/json" id="{data_id}">{data}</script>
</body>
</html>
"""
