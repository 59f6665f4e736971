"""The timeline of a durable execution as one HTML file, with its events inside as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from engine.report.execution_timeline import (
    Span,
    SpanKind,
    Timeline,
    TimelineRow,
    duration,
    offset,
    read_timeline,
    remark,
    scale,
    summary,
    took,
)
from engine.report.page import note, page, section

_WIDTH: Final = 1000
_LEAST: Final = 4
_COLOURS: Final = {
    SpanKind.WORK: "var(--c3)",
    SpanKind.WAIT: "var(--c1)",
    SpanKind.AROUND: "var(--line)",
    SpanKind.PAUSE: "var(--c5)",
    SpanKind.FAILED: "var(--bad)",
}
_KEY: Final = (
    ("runs", SpanKind.WORK),
    ("failed", SpanKind.FAILED),
    ("waits", SpanKind.WAIT),
    ("context", SpanKind.AROUND),
    ("paused", SpanKind.PAUSE),
)
_STATUS_CLASSES: Final = {"failed": "bad", "timed out": "bad", "stopped": "risk", "cancelled": "risk"}


def execution_page(
    events: Sequence[Mapping[str, Any]], execution: Mapping[str, Any], now_s: float | None = None
) -> str:
    """Return the HTML of an execution; the arguments are those of `read_timeline`, times in seconds."""
    timeline = read_timeline(events, execution, now_s)
    head = f"<p>{escape(timeline.status)}. {escape(summary(timeline))}.</p>"
    failure = f"<p class='bad'>{escape(timeline.note)}</p>" if timeline.note else ""
    return page(
        timeline.title or "Durable execution",
        section("Timeline", _key(), _rows(timeline)),
        note("Not to scale: each gap between two events is as wide as the logarithm of its length."),
        heading=timeline.title or "Durable execution",
        header=head + failure,
        document={"execution": dict(execution), "events": list(events)},
    )


def _key() -> str:
    items = "".join(f"<span><i style='background:{_COLOURS[kind]}'></i>{text}</span>" for text, kind in _KEY)
    return f"<p class='key'>{items}</p>"


def _rows(timeline: Timeline) -> str:
    places = {moment: place * _WIDTH for moment, place in scale(timeline)}
    rows = "".join(_row(timeline, row, places) for row in timeline.rows)
    head = "<tr><th class=n>start</th><th>what</th><th></th><th class=n>took</th><th>end</th></tr>"
    return f"<div class='wide'><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"


def _row(timeline: Timeline, row: TimelineRow, places: Mapping[float, float]) -> str:
    bars = "".join(_bar(span, places) for span in row.spans)
    return (
        f"<tr><td class=n>{offset(timeline, row)}</td>"
        f"<td><div style='margin-left:{row.depth}em'>{escape(row.label)}</div></td>"
        f"<td style='width:45%'><svg viewBox='0 0 {_WIDTH} 16' preserveAspectRatio='none' height='16' "
        f"style='height:16px' role='img' aria-label='{escape(remark(row))}'>{bars}</svg></td>"
        f"<td class=n>{took(timeline, row)}</td>"
        f"<td class='{_STATUS_CLASSES.get(row.status, '')}' style='overflow-wrap:anywhere'>"
        f"{escape(remark(row))}</td></tr>"
    )


def _bar(span: Span, places: Mapping[float, float]) -> str:
    x = min(places[span.start_s], _WIDTH - _LEAST)
    width = max(places[span.end_s] - x, _LEAST)
    took_text = duration(span.end_s - span.start_s)
    return (
        f"<rect x='{x:.1f}' y='2' width='{width:.1f}' height='12' fill='{_COLOURS[span.kind]}'>"
        f"<title>{took_text}</title></rect>"
    )
