"""Two engines of two clusters, scraped by one real Prometheus that asks for native histograms."""

import asyncio
import time

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not installed")
pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from engine import Engine, Function
from engine.telemetry.fine_classes import ERROR
from grafana.src.loadtest import LOADTEST
from grafana.src.rig import PROMETHEUS, Target, scraping
from grafana.src.rules import RECORDED
from grafana.src.variables import filled

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]

SCRAPE_S = 0.2
ENGINE = {"east": 10, "west": 20}
"""Invocations of the same function, by cluster."""


async def test_engines_stay_apart_and_native_histograms_arrive(tmp_path):
    """What one Prometheus says of each is what happened there, in classic and in native series.

    Nobody runs our load generator: the dashboard of load tests has something to show in every row.
    """
    (tmp_path / "app.py").write_text("async def f(event, context): ...\n")
    function = Function("f", handler="app.f", code=str(tmp_path), executor="loop")
    async with (
        Engine([function], admin="127.0.0.1:0") as east,
        Engine([function], admin="127.0.0.1:0") as west,
    ):
        engines = {"east": east, "west": west}
        for cluster, count in ENGINE.items():
            for _ in range(count):
                await engines[cluster].invoke("f")
        targets = [
            Target(one.stats.listeners["admin"].removeprefix("http://"), {"job": "engine", "cluster": name})
            for name, one in engines.items()
        ]
        found = await asyncio.to_thread(observed, tmp_path, targets)
        middle_s = {name: sorted(one.stats.functions["f"].duration.classes) for name, one in engines.items()}

    assert ENGINE == found["counts"]
    assert ENGINE == found["classic"]
    assert ENGINE == found["native"]
    assert [] == [row for row, count in found["rows"].items() if not count]
    assert {"Target, offered, served", "Ended by outcome", "Latency in the engine"} <= found["panels"]
    assert [set(ENGINE)] * len(found["recorded"]) == found["recorded"]
    for name, quantile_s in found["median"].items():
        assert 2 ** ((middle_s[name][0] - 1) / 16) <= quantile_s * (1 + ERROR)
        assert quantile_s <= 2 ** (middle_s[name][-1] / 16) * (1 + ERROR)


def observed(folder, targets):
    """Asked by the name of the cluster."""
    with scraping(folder, targets, SCRAPE_S, "native-histograms") as prometheus:
        time.sleep(4 * SCRAPE_S)
        at_s = time.time()

        def asked(expr):
            return {one.labels["cluster"]: one.samples[0][1] for one in prometheus.instant(expr, at_s)}

        duration = "engine_invocation_duration_seconds"
        shown = {
            panel.title: row.title
            for row in LOADTEST.rows
            for panel in row.panels
            for query in panel.queries
            if prometheus.instant(filled(query.expr, rate_interval_s=4 * SCRAPE_S, range_s=9), at_s)
        }
        recorded = ("function:engine_invocations:rate5m", "instance:engine_cost_dollars:monthly_run_rate")
        return {
            "counts": asked('engine_invocations_total{outcome="success",trigger="direct"}'),
            "classic": asked('engine_request_latency_seconds_bucket{le="+Inf",trigger="direct"}'),
            "native": asked(f"histogram_count({duration})"),
            "median": asked(f"histogram_quantile(0.5, {duration})"),
            "panels": set(shown),
            "rows": {row.title: [*shown.values()].count(row.title) for row in LOADTEST.rows},
            "recorded": [set(asked(RECORDED[name])) for name in recorded],
        }
