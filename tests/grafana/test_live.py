"""The dashboards against a real Prometheus that scrapes a real engine under mixed load."""

import json
import math
import re
import shutil
import subprocess
import urllib.request
from xml.etree import ElementTree

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not installed")
pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from engine.load.metric_catalogue import LOAD_METRICS
from engine.telemetry.metric_catalogue import CATALOGUE
from grafana.src.build import BOARDS, ROOT
from grafana.src.lint import metrics_of
from grafana.src.preview import height, paint, shoot
from grafana.src.rig import PROMETHEUS, Rig
from grafana.src.rules import RECORDED
from grafana.src.variables import filled

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]

SCRAPE_S = 0.5
LOAD_S = 7.0, 14.0, 28.0
RATE_S = 3.0
STILL = frozenset(
    {
        *("engine_build_info", "engine_function_info", "engine_price_dollars", "engine_concurrency_limit"),
        *("loadtest_run_info", "loadtest_target_rate", "loadtest_users"),
        "engine_source_pollers",  # one queue with two senders never needs more
        "engine_stream_shards",
        "engine_bus_deliveries_waiting",  # one endpoint that never confirms its subscription
    }
)
"""Configured, and so the same all the time."""
RARE = frozenset(
    {
        *("engine_threads_abandoned_total", "engine_environments_held_total", "engine_label_overflow_total"),
        *("engine_output_lines_dropped_total", "engine_observer_failures_total"),
        *("engine_scrape_failures_total", "loadtest_arrivals_dropped_total"),
        *("engine_recursive_invocations_dropped_total", "engine_stream_lost_windows_total"),
    }
)
"""Faults that this load does not bring about: each is counted in a test of its own."""


def of_nodes(query):
    """Whether it is about the nodes of a cluster, which the rig has none of."""
    return any(name.startswith("engine_node_") for name in metrics_of(query.expr))


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """An engine, driven for some seconds; it still runs, and Prometheus still scrapes it.

    On a busy machine a rare event may fall between too few scrapes: then it is driven again, for longer.
    """
    with Rig(tmp_path_factory.mktemp("rig"), SCRAPE_S) as rig:
        for seconds in LOAD_S:
            rig.drive(seconds)
            if not any(without_data(rig, board) or standing_still(rig, board) for board in BOARDS):
                break
        yield rig


def asked(rig, query):
    expr = filled(query.expr, rate_interval_s=RATE_S, range_s=rig.ended_s - rig.began_s)
    if query.instant:
        return rig.prometheus.instant(expr, rig.ended_s)
    return rig.prometheus.range(expr, rig.began_s, rig.ended_s, SCRAPE_S)


def without_data(rig, board):
    """The queries that give no finite value."""
    return [
        f"{panel.title}: {query.expr}"
        for panel in board.panels
        for query in panel.queries
        if not of_nodes(query)
        and not any(math.isfinite(value) for one in asked(rig, query) for _, value in one.samples)
    ]


def standing_still(rig, board):
    """The queries whose series have one value from before the load to after it, and should have more."""
    found = []
    for panel in board.panels:
        for query in panel.queries:
            expr = filled(query.expr, rate_interval_s=RATE_S, range_s=rig.ended_s - rig.began_s)
            if "histogram_quantile(" in expr:  # it stands still where one bucket has all: what is in it moves
                expr = " + ".join(f"sum({buckets})" for buckets in {*re.findall(r"\w+_bucket", expr)})
            shown = rig.prometheus.range(expr, rig.began_s - RATE_S, rig.ended_s + 2 * SCRAPE_S, SCRAPE_S)
            numbers = [{value for _, value in one.samples if math.isfinite(value)} for one in shown]
            still = max(map(len, numbers), default=0) < 2 and not of_nodes(query)
            if still and not metrics_of(expr) & (STILL | RARE):
                found.append(f"{panel.title}: {query.expr}")
    return found


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_shows_a_number_that_moves(rig, board):
    """But for what is configured, and faults that there are none of."""
    assert [] == standing_still(rig, board)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_query_of_every_panel_has_data(rig, board):
    """Not only a series: a finite value, somewhere in it."""
    assert [] == without_data(rig, board)


def test_the_types_that_prometheus_saw_are_those_of_the_catalogue(rig):
    """Every metric arrived, none of ours is unknown."""
    seen = {
        name: kind
        for name, kind in rig.prometheus.metadata().items()
        if name.startswith(("engine_", "loadtest_"))
    }
    # prometheus_client's page names counters without `_total` where OpenMetrics is spoken.
    expected = {metric.name.removesuffix("_total"): metric.kind for metric in (*CATALOGUE, *LOAD_METRICS)}

    assert expected == {name.removesuffix("_total"): kind for name, kind in seen.items()}


def test_variables_have_values(rig):
    """What the menus at the top of a dashboard are filled with."""
    functions = rig.prometheus.instant("group by(function)(engine_function_info)", rig.ended_s)
    jobs = rig.prometheus.instant("group by(job)(engine_build_info)", rig.ended_s)

    assert {one.labels["function"] for one in functions} >= {"quick", "steady", "worker", "lost"}
    assert [{"job": "engine"}] == [one.labels for one in jobs]


def test_exemplars_lead_from_a_bucket_to_a_request(rig):
    """Through OpenMetrics into Prometheus's store."""
    found = rig.prometheus.exemplars(
        "engine_invocation_duration_seconds_bucket", rig.began_s, rig.ended_s + 5
    )
    labels = [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    assert labels
    assert all({"request_id", "trace_id"} == set(one) for one in labels if "trace_id" in one)
    assert any("trace_id" in one for one in labels)


def test_recording_rules_have_values(rig):
    """What Prometheus would record; it does so every 30 s only."""
    empty = [name for name, expr in RECORDED.items() if not rig.prometheus.instant(expr, rig.ended_s)]

    assert [] == empty


def test_the_page_of_a_driven_engine_is_clean(rig):
    """`promtool check metrics` on what is really served."""
    with urllib.request.urlopen(f"{rig.admin}/metrics", timeout=60) as answer:
        page = answer.read()
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, timeout=100, check=False
    )

    assert (0, b"") == (checked.returncode, checked.stderr)


def test_previews_are_drawn_and_say_that_they_are(rig, tmp_path):
    """One self-contained page for each dashboard, with every panel on it."""
    pages = paint(rig.prometheus, rig.began_s, rig.ended_s, tmp_path)

    assert [page.stem for page in pages] == sorted(board.uid for board in BOARDS)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        panels = json.loads((ROOT / "dashboards" / f"{page.stem}.json").read_text())["panels"]
        assert text.count('<div class="panel"') == sum(panel["type"] != "row" for panel in panels)
        assert "It is not a picture of Grafana" in text
        assert "http://" not in text.replace("http://www.w3.org", "")
        for svg in text.split("<svg")[1:]:
            ElementTree.fromstring("<svg" + svg.split("</svg>")[0] + "</svg>")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_picture_can_be_taken(rig, tmp_path):
    """As large as the page."""
    page = next(
        page for page in paint(rig.prometheus, rig.began_s, rig.ended_s, tmp_path) if "cost" in page.stem
    )
    picture = tmp_path / "cost.png"
    document = json.loads((ROOT / "dashboards" / "engine-cost.json").read_text())

    assert shoot(page, picture, height(document))
    assert picture.read_bytes().startswith(b"\x89PNG")
