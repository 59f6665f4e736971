"""The page around a report: one HTML file, colours for day and night, the data inside as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

DATA_ID: Final = "data"
"""Id of the script element that holds the document as JSON."""


def page(title: str, *parts: str, heading: str, header: str = "", document: Mapping[str, Any]) -> str:
    """Return the HTML of a report.

    Args:
        title: What a browser shows on its tab.
        parts: HTML of the body, in order.
        heading: The first heading.
        header: HTML below it.
        document: JSON values that the page carries along, for programs.
    """
    return _PAGE.format(
        title=escape(title),
        style=_STYLE,
        heading=escape(heading),
        header=header,
        body="".join(parts),
        data_id=DATA_ID,
        data=json.dumps(document, separators=(",", ":")).replace("<", "\\u003c"),
    )


def section(title: str, *parts: str, note: str = "", kind: str = "") -> str:
    """Return a card with a heading, a sentence of text below it, and HTML.

    Args:
        title: Its heading.
        parts: HTML, in order.
        note: Text under the heading.
        kind: `good`, `risk` or `bad` colours the heading.
    """
    heading = f"<h2 class='{kind}'>" if kind else "<h2>"
    paragraph = f"<p>{escape(note)}</p>" if note else ""
    return f"<section>{heading}{escape(title)}</h2>{paragraph}{''.join(parts)}</section>"


def tiles(facts: Iterable[tuple[str, str]]) -> str:
    """Return (name, value) pairs as a grid of large numbers."""
    items = "".join(
        f"<div class='tile'><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in facts
    )
    return f"<div class='tiles'>{items}</div>"


def check_list(checks: Iterable[tuple[bool, str, str]]) -> str:
    """Return a list of (whether it held, what was checked, what was seen), each with a mark."""
    items = "".join(
        f"<li class='{'good' if held else 'bad'}'><b>{'✓' if held else '✗'}</b> "
        f"{escape(text)}<span>{escape(seen)}</span></li>"
        for held, text, seen in checks
    )
    return f"<ul>{items}</ul>"


def bullet_list(sentences: Iterable[str]) -> str:
    """Return a list of sentences, or an empty string if there are none."""
    items = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    return f"<ul class='plain'>{items}</ul>" if items else ""


def note(text: str) -> str:
    """Return a paragraph of small print."""
    return f"<p class='note'>{escape(text)}</p>"


_STYLE: Final = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2430; --faint: #667085;
  --line: #e3e6eb; --good: #14804a; --risk: #b26a00; --bad: #c2352b; --c1: #8aa4c8; --c2: #e2703a;
  --c3: #2a9d8f; --c4: #8e5bb5; --c5: #b8860b; --c6: #5f6b7a; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --card: #1a2029; --text: #e4e8ee;
  --faint: #98a2b3; --line: #2c3440; --good: #4cc38a; --risk: #f0b429; --bad: #ff7b6e; --c1: #6f8fbd;
  --c2: #f0905c; --c3: #4fc3b4; --c4: #b78be0; --c5: #e0b040; --c6: #a3adba; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 18px; margin: 0 0 4px; }
header p, section > p { color: var(--faint); margin: 2px 0 12px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px; }
.good { color: var(--good); } .risk { color: var(--risk); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px;
  margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.tile span { color: var(--faint); font-size: 13px; }
ul { list-style: none; margin: 8px 0 0; padding: 0; } li { padding: 3px 0; }
ul.plain { list-style: disc; padding-left: 1.4em; }
li.good { color: inherit; } li.good b { color: var(--good); }
li span { display: block; margin-left: 1.4em; color: var(--faint); font-size: 13px; }
.wide { overflow-x: auto; } .note { color: var(--faint); }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--faint); font-weight: 600; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; } tr > :last-child { padding-right: 0; }
tbody tr:last-child td { border-bottom: 0; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--text); font-size: 12px; }
.grid { stroke: var(--line); } .key span { display: inline-block; margin-right: 18px; }
.key i { display: inline-block; width: 14px; height: 4px; margin: 0 6px 3px 0; }
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>{heading}</h1>{header}</header>
{body}
</main>
<script type="application/json" id="{data_id}">{data}</script>
</body>
</html>
"""
