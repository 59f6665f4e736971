"""The table of metrics: complete, closed, and the same as the documentation's."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.telemetry.label_values import LABEL_VALUES
from engine.telemetry.metric_catalogue import CATALOGUE, labels_table, metrics_table
from engine.telemetry.samples import Snapshot, children

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

FIXED = {
    "engine_invocations_total": ("function", "trigger", "outcome"),
    "engine_throttles_total": ("function", "reason"),
    "engine_invocation_duration_seconds": ("function",),
    "engine_queue_wait_seconds": ("function",),
    "engine_init_duration_seconds": ("function",),
    "engine_cold_starts_total": ("function",),
    "engine_concurrency_in_use": ("function",),
    "engine_environments": ("function", "state"),
    "engine_queue_depth": ("function", "queue"),
    "engine_billed_seconds_total": ("function",),
    "engine_billed_gigabyte_seconds_total": ("function",),
    "engine_cost_dollars_total": ("function", "component"),
}


def test_the_metrics_users_rely_on_are_there():
    """Names and labels of the contract."""
    labels = {metric.name: metric.labels for metric in CATALOGUE}

    assert FIXED == {name: labels.get(name) for name in FIXED}


def test_names_are_unique_and_counters_end_in_total():
    """One row, one name."""
    names = [metric.name for metric in CATALOGUE]

    assert len(names) == len(set(names))
    assert [] == [m.name for m in CATALOGUE if (m.kind == "counter") != m.name.endswith("_total")]


def test_buckets_belong_to_histograms_and_rise():
    """Bounds are what the accumulators count by."""
    assert [] == [m.name for m in CATALOGUE if (m.kind == "histogram") != bool(m.bounds)]
    assert [] == [m.name for m in CATALOGUE if list(m.bounds) != sorted(set(m.bounds))]


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_what_is_read_has_the_labels_of_the_row_and_only_listed_values(bench, metric):
    """A closed label has no value that the table of labels lacks."""
    for function, tree in Snapshot(bench.stats).trees(metric):
        for labels, _ in children(metric, function, tree):
            names = tuple(name for name, _ in labels)

            assert names == (
                metric.labels if function else tuple(n for n in metric.labels if n != "function")
            )
            assert [] == [(n, v) for n, v in labels if v not in LABEL_VALUES.get(n, (v,))]


def test_the_documentation_has_the_same_tables():
    """docs/operations.md is generated from the catalogue: paste what this prints."""
    text = OPERATIONS.read_text()

    assert metrics_table() in text
    assert labels_table() in text
