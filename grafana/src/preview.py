"""Draws each dashboard from Prometheus into one HTML file and a picture, without a Grafana.

    python -m grafana.src.preview [--seconds 60] [--prometheus URL] [--out FOLDER]

Without a URL it starts an engine under mixed load and a Prometheus. Pictures need chromium; they say that
they are previews, because Grafana draws better.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from PIL import Image

from grafana.src.build import ROOT
from grafana.src.drawing import COLOURS, Frame, Series, chart, heatmap, timeline, worded
from grafana.src.rig import Prometheus, Rig
from grafana.src.variables import filled

_WIDTH: Final = 1400
_LINE: Final = 30  # pixels of a row of the grid
_GAP: Final = 6
_HEADER: Final = 64
_TITLE: Final = 26
_LEGEND: Final = 20
_NAMES: Final = 10
_NOTE: Final = "Preview drawn from Prometheus by grafana/src/preview.py. It is not a picture of Grafana."

_STYLE: Final = """
body{margin:0;background:#111217;color:#ccccdc;font:13px Inter,Helvetica,Arial,sans-serif;position:relative}
header{padding:12px 16px}h1{font-size:19px;margin:0 0 4px;font-weight:500}header p{margin:0;color:#9fa7b3}
.panel{position:absolute;background:#181b1f;border:1px solid #24282c;border-radius:2px;overflow:hidden}
.panel h2{font-size:13px;font-weight:500;margin:6px 8px 4px}
.row{position:absolute;font-size:15px;padding:6px 8px}
.legend{font-size:11px;padding:0 8px;white-space:nowrap;overflow:hidden;color:#9fa7b3}
.legend i{display:inline-block;width:12px;height:4px;margin:0 4px 2px 8px}
.big{font-size:38px;text-align:center;color:#73bf69}
table{border-collapse:collapse;width:100%;font-size:12px}td{padding:3px 8px;border-top:1px solid #24282c}
td:last-child{text-align:right}.bar{height:14px;background:#5794f2}
"""


class Painter:
    """Draws dashboards from what a Prometheus has between two moments."""

    def __init__(self, prometheus: Prometheus, start_s: float, end_s: float, step_s: float) -> None:
        self._prometheus = prometheus
        self._start_s = start_s
        self._end_s = end_s
        self._step_s = step_s

    def page(self, document: Mapping[str, Any]) -> str:
        """One HTML file, complete in itself."""
        panels = "".join(map(self._panel, document["panels"]))
        title = escape(document["title"])
        head = f"<header><h1>{title}</h1><p>{escape(document['description'])} <b>{_NOTE}</b></p></header>"
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f'<style>{_STYLE}</style><body style="width:{_WIDTH}px;height:{height(document)}px">'
            f"{head}{panels}</body></html>"
        )

    def _panel(self, panel: Mapping[str, Any]) -> str:
        place = panel["gridPos"]
        unit_width = _WIDTH / 24
        box = (
            f"left:{place['x'] * unit_width + _GAP / 2:.0f}px;top:{_HEADER + place['y'] * _LINE:.0f}px;"
            f"width:{place['w'] * unit_width - _GAP:.0f}px;height:{place['h'] * _LINE - _GAP:.0f}px"
        )
        if panel["type"] == "row":
            return f'<div class="row" style="{box}">▾ {escape(panel["title"])}</div>'
        frame = Frame(
            width=place["w"] * unit_width - _GAP - 4,
            height=place["h"] * _LINE - _GAP - _TITLE - _LEGEND - 6,
            start_s=self._start_s,
            end_s=self._end_s,
        )
        body = self._body(panel, frame)
        return f'<div class="panel" style="{box}"><h2>{escape(panel["title"])}</h2>{body}</div>'

    def _body(self, panel: Mapping[str, Any], frame: Frame) -> str:
        defaults = panel["fieldConfig"]["defaults"]
        custom, unit = defaults.get("custom", {}), defaults["unit"]
        series = [one for target in panel["targets"] for one in self._series(panel, target)]
        match panel["type"]:
            case "timeseries":
                drawing = chart(
                    frame,
                    series,
                    unit,
                    stacked="stacking" in custom,
                    bars=custom.get("drawStyle") == "bars",
                    stepped=custom.get("lineInterpolation") == "stepAfter",
                )
                return drawing + _legend(series)
            case "heatmap":
                return heatmap(frame, series, unit)
            case "state-timeline":
                options = defaults["mappings"][0]["options"]
                states = {value: (one["text"], one["color"]) for value, one in options.items()}
                return timeline(frame, series, states)
            case "stat" | "gauge":
                return f'<div class="big">{worded(_latest(series), unit)}</div>'
            case "bargauge":
                return _bar_gauge(series, unit)
            case _:
                return _table(series, unit, round(frame.height / 24))

    def _series(self, panel: Mapping[str, Any], target: Mapping[str, Any]) -> list[Series]:
        range_s = self._end_s - self._start_s
        query = filled(target["expr"], rate_interval_s=max(5.0, 4 * self._step_s), range_s=range_s)
        if target.get("instant"):
            answers = self._prometheus.instant(query, self._end_s)
        else:
            answers = self._prometheus.range(query, self._start_s, self._end_s, self._step_s)
        overrides = panel["fieldConfig"].get("overrides", [])
        dashed = target["refId"] in {one["matcher"]["options"] for one in overrides}
        return [
            Series(_name(target["legendFormat"], one.labels), one.samples, dashed)
            for one in answers
            if any(math.isfinite(value) for _, value in one.samples)
        ]


def height(document: Mapping[str, Any]) -> int:
    """Pixels of the whole page."""
    lowest = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in document["panels"])
    return int(_HEADER + lowest * _LINE + _GAP)


def shoot(page: Path, picture: Path, tall: int) -> bool:
    """Take a picture of an HTML file; False if there is no chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return False
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
    )
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *options, f"--user-data-dir={profile}", f"--window-size={_WIDTH},{tall}"]
        subprocess.run(  # noqa: S603
            [*command, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=60
        )
    with Image.open(picture) as image:  # flat colours: a palette makes it a quarter as large
        image.convert("RGB").quantize(96).save(picture, optimize=True)
    return True


def paint(prometheus: Prometheus, start_s: float, end_s: float, out: Path) -> list[Path]:
    """Draw all committed dashboards into `out`; gives the files."""
    out.mkdir(parents=True, exist_ok=True)
    painter = Painter(prometheus, start_s, end_s, max(1.0, (end_s - start_s) / 240))
    written = []
    for file in sorted((ROOT / "dashboards").glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        page = out / f"{file.stem}.html"
        page.write_text(painter.page(document), encoding="utf-8")
        written.append(page)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw every dashboard, and take screenshots if asked for."""
    parser = argparse.ArgumentParser(prog="python -m grafana.src.preview", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of load, or of history (default: %(default)s)"
    )
    parser.add_argument("--prometheus", metavar="URL", help="draw what this one has, instead of starting all")
    parser.add_argument("--out", type=Path, default=ROOT / "preview", help="folder for the HTML files")
    parser.add_argument("--pictures", type=Path, help="folder for the PNG files; none are taken without it")
    options = parser.parse_args(arguments)
    if options.prometheus:
        now_s = time.time()
        pages = paint(Prometheus(options.prometheus), now_s - options.seconds, now_s, options.out)
    else:
        with tempfile.TemporaryDirectory() as folder, Rig(Path(folder)) as rig:
            rig.drive(options.seconds)
            pages = paint(rig.prometheus, rig.began_s, rig.ended_s, options.out)
    for page in pages:
        sys.stdout.write(f"{page}\n")
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            document = json.loads((ROOT / "dashboards" / f"{page.stem}.json").read_text(encoding="utf-8"))
            shoot(page, options.pictures / f"{page.stem}.png", height(document))
    return 0


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def _latest(series: Sequence[Series]) -> float:
    values = [value for one in series for _, value in one.points if math.isfinite(value)]
    return values[-1] if values else math.nan


def _legend(series: Sequence[Series]) -> str:
    names = [
        f'<i style="background:{COLOURS[index % len(COLOURS)]}"></i>{escape(one.name)}'
        for index, one in enumerate(series[:_NAMES])
    ]
    if len(series) > _NAMES:
        names.append(f" and {len(series) - _NAMES} more")
    return f'<div class="legend">{"".join(names)}</div>'


def _bar_gauge(series: Sequence[Series], unit: str) -> str:
    ranked = sorted(series, key=lambda one: -_latest([one]))[:_NAMES]
    top = max((_latest([one]) for one in ranked), default=1.0) or 1.0
    rows = [
        f"<tr><td>{escape(one.name)}</td><td style='width:60%'><div class='bar' "
        f"style='width:{100 * max(0.0, _latest([one])) / top:.0f}%'></div></td>"
        f"<td>{worded(_latest([one]), unit)}</td></tr>"
        for one in ranked
    ]
    return f"<table>{''.join(rows)}</table>"


def _table(series: Sequence[Series], unit: str, most: int) -> str:
    rows = [
        f"<tr><td>{escape(one.name)}</td><td>{worded(_latest([one]), unit)}</td></tr>"
        for one in series[:most]
    ]
    return f"<table>{''.join(rows)}</table>"


if __name__ == "__main__":
    sys.exit(main())
