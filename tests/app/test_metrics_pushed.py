"""Metrics by OTLP, as a collector gets them: the same numbers as on the page."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from engine import Engine, Function
from engine.errors import ConfigError
from engine.telemetry.collector import StatsCollector
from engine.telemetry.metric_catalogue import CATALOGUE
from tests.telemetry.otlp_receiver import otlp_receiver, values

pytestmark = pytest.mark.real_time

HANDLER = """
def handler(event, context):
    if event == "fail":
        raise LookupError("not there")
    return 1
"""


@pytest.fixture
def receiver(monkeypatch):
    with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


@pytest.fixture
def function(tmp_path):
    (tmp_path / "app.py").write_text(HANDLER)
    return Function("f", handler="app.handler", code=str(tmp_path), executor="loop")


def points(metric):
    """Each child of a pushed metric, by its labels: a number, or a histogram's sum and buckets."""
    found = getattr(metric, metric.WhichOneof("data")).data_points
    return {frozenset(values(point.attributes).items()): _number(point) for point in found}


def _number(point):
    if not hasattr(point, "bucket_counts"):
        return point.as_double
    running = [sum(point.bucket_counts[: place + 1]) for place in range(len(point.bucket_counts))]
    return point.sum, running, [*point.explicit_bounds]


def on_the_page(family):
    """The same of a family as Prometheus gets it."""
    found = {}
    for sample in family.samples:
        bound = sample.labels.pop("le", None)
        key = frozenset(sample.labels.items())
        if family.type != "histogram":
            found[key] = sample.value
            continue
        _, running, bounds = found.setdefault(key, [0.0, [], []])
        if bound is not None:
            running.append(sample.value)
            bounds += [float(bound)] * (bound != "+Inf")
        elif sample.name.endswith("_sum"):
            found[key][0] = sample.value
    return {key: tuple(value) if isinstance(value, list) else float(value) for key, value in found.items()}


async def test_what_is_pushed_is_what_the_page_shows(receiver, function):
    """Counters and histograms to the last invocation; all of them of the kind that the catalogue says."""
    async with Engine([function], push_metrics="otlp") as engine:
        for payload in (1, "fail", 3):
            await engine.invoke("f", payload)
        families = {metric.family for metric in CATALOGUE}
    resource, pushed = receiver.pushes[-1]
    counted = {
        family.name: on_the_page(family)
        for family in StatsCollector(engine.stats).collect()
        if family.type != "gauge" and family.samples
    }
    kinds = {metric.family: {"counter": "sum"}.get(metric.kind, metric.kind) for metric in CATALOGUE}
    runs = points(pushed["engine_invocations"])

    assert ("invocation-engine", True) == (resource["service.name"], "service.instance.id" in resource)
    assert pushed.keys() <= families
    assert {name: kinds[name] for name in pushed} == {
        name: metric.WhichOneof("data") for name, metric in pushed.items()
    }
    assert {2.0, 1.0} <= set(runs.values())
    assert counted == {name: points(pushed[name]) for name in counted}
    sums = [metric.sum for metric in pushed.values() if metric.WhichOneof("data") == "sum"]
    assert {(True, 2)} == {(one.is_monotonic, one.aggregation_temporality) for one in sums}


async def test_metrics_are_pushed_again_and_again(receiver, function, monkeypatch):
    """With the same start, so that rates can be computed."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    async with Engine([function], push_metrics="otlp"), asyncio.timeout(60):
        while len(receiver.pushes) < 2:
            await asyncio.sleep(0.02)
    starts = {
        metric.sum.data_points[0].start_time_unix_nano
        for _, pushed in receiver.pushes
        for metric in pushed.values()
        if metric.WhichOneof("data") == "sum"
    }

    assert 1 == len(starts)


async def test_an_interval_that_is_none_is_one_clear_problem(function, monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon")

    with pytest.raises(ConfigError, match=r"engine\.push_metrics: cannot be built: ValueError: .*soon"):
        await Engine([function], push_metrics="otlp").__aenter__()
