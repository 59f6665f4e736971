"""Metrics in handlers' log lines (EMF): read as specified, bounded, never in the way of the line."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telemetry.emf import EmfTap, Reading, readings


def emf(metrics, values, namespace="shop") -> str:
    """One line, as Powertools prints it."""
    listed = [{"Name": name, "Unit": unit} for name, unit in metrics.items()]
    directive = {"Namespace": namespace, "Dimensions": [["service"]], "Metrics": listed}
    return json.dumps(
        {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "service": "orders", **values}
    )


class Desk:
    """A tap with its lines kept, and a loop that runs what it is given at once."""

    def __init__(self, bench, cap=500) -> None:
        self.lines: list[str] = []
        self.bench = bench
        self.tap = EmfTap(
            bench.stats,
            lambda _, text: self.lines.append(text),
            lambda call, *arguments: call(*arguments),
            cap,
        )

    def say(self, ended, text, function="hello") -> None:
        self.tap.line(ended(function)[0], text)

    @property
    def results(self) -> dict[str, int]:
        return {result: count for result, count in self.bench.stats.handler_lines.items() if count}


def test_each_unit_becomes_its_kind_of_metric(bench, ended):
    """Counts are added up, times and sizes are histograms in base units, of the rest the last value stays."""
    desk = Desk(bench)
    metrics = {"Orders": "Count", "Checkout": "Milliseconds", "Basket": "Kilobytes", "Discount": "Percent"}
    desk.say(
        ended, emf(metrics, {"Orders": [1.0, 2.0], "Checkout": [250, 500], "Basket": 3, "Discount": [5, 7]})
    )
    hello = bench.stats.functions["hello"]
    times, sizes = hello.handler_seconds["shop"]["Checkout"], hello.handler_bytes["shop"]["Basket"]

    assert {"shop": {"Orders": 3.0}} == hello.handler_counts
    assert {"shop": {"Discount": 7.0}} == hello.handler_values
    assert (2, 0.75) == (times.count, times.sum)
    assert (1, 3000.0) == (sizes.count, sizes.sum)
    assert {"parsed": 1} == desk.results


def test_the_line_goes_on_as_it_is(bench, ended):
    """Whoever reads the log finds what the handler wrote."""
    desk = Desk(bench)
    texts = [emf({"Orders": "Count"}, {"Orders": 1}), "plain", '{"message": "no metrics"}', '{"_aws" broken']
    for text in texts:
        desk.say(ended, text)

    assert texts == desk.lines
    assert {"parsed": 1, "invalid": 1} == desk.results


def test_a_counter_never_falls(bench, ended):
    """A handler may log a negative count; Prometheus would take it for a restart."""
    desk = Desk(bench)
    for values in ([5], [-3], [1]):
        desk.say(ended, emf({"Orders": "Count"}, {"Orders": values}))

    assert {"shop": {"Orders": 6.0}} == bench.stats.functions["hello"].handler_counts


def test_dimensions_are_no_labels(bench, ended):
    """Their values are not bounded: a customer's name would be a series for each customer."""
    desk = Desk(bench)
    for customer in ("ada", "bob"):
        desk.say(ended, emf({"Orders": "Count"}, {"Orders": 1, "customer": customer}))

    assert {"shop": {"Orders": 2.0}} == bench.stats.functions["hello"].handler_counts


def test_series_are_bounded_over_all_functions(bench, ended):
    """Those that are there go on; new ones are refused and counted."""
    desk = Desk(bench, cap=2)
    desk.say(ended, emf({"A": "Count", "B": "Seconds"}, {"A": 1, "B": 1}))
    desk.say(ended, emf({"C": "Percent"}, {"C": 1}), function="orders")
    desk.say(ended, emf({"A": "Count"}, {"A": 1}))

    assert {"shop": {"A": 2.0}} == bench.stats.functions["hello"].handler_counts
    assert {} == bench.stats.functions["orders"].handler_values
    assert {"parsed": 2, "over_cap": 1} == desk.results


def test_a_function_that_is_gone_has_no_metrics(bench, ended):
    """Its last lines may come after it."""
    desk = Desk(bench)
    desk.say(ended, emf({"A": "Count"}, {"A": 1}), function="gone")

    assert {} == desk.results


@pytest.mark.parametrize(
    "text",
    [
        '{"_aws"',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": {}}}',
        '{"_aws": {"CloudWatchMetrics": [1]}}',
        '{"_aws": {"CloudWatchMetrics": [{"Namespace": "", "Metrics": []}]}}',
        '{"_aws": {"CloudWatchMetrics": [{"Namespace": "n", "Metrics": 1}]}}',
        emf({"A": "Count"}, {}),
        emf({"A": "Count"}, {"A": []}),
        emf({"A": "Count"}, {"A": [1] * 101}),
        emf({"A": "Count"}, {"A": "many"}),
        emf({"A": "Count"}, {"A": True}),
        emf({"A" * 257: "Count"}, {"A" * 257: 1}),
        emf({"A": "Count"}, {"A": 1, "padding": "x" * 1_048_576}),
    ],
)
def test_what_is_not_as_specified_is_refused(text):
    """As a whole: half a line would be a wrong number."""
    with pytest.raises(ValueError):  # noqa: PT011  what is wrong differs
        list(readings(text))


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(
            lambda name: name not in ("_aws", "service")
        ),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=100),
        min_size=1,
    )
)
def test_every_value_is_read(values):
    """Whatever the names are: what was logged is what is counted."""
    found = list(readings(emf(dict.fromkeys(values, "Count"), values)))

    assert [Reading("shop", name, "Count", tuple(listed)) for name, listed in values.items()] == found


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["_aws", "CloudWatchMetrics", "Namespace", "Metrics", "Name", "x"]), inner
            )
        ),
    )
)
def test_any_json_is_read_or_refused(document):
    """A handler's line can break nothing."""
    try:
        list(readings(json.dumps(document)))
    except ValueError:
        pass


def test_what_powertools_prints_is_read(bench, ended):
    """The library of AWS, not our idea of it."""
    metrics = pytest.importorskip("aws_lambda_powertools.metrics")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        one = metrics.EphemeralMetrics(namespace="shop", service="orders")
        one.add_metric(name="OrdersPlaced", unit=metrics.MetricUnit.Count, value=1)
        one.add_metric(name="OrdersPlaced", unit=metrics.MetricUnit.Count, value=2)
        one.add_metric(name="Checkout", unit=metrics.MetricUnit.Milliseconds, value=250)
        one.flush_metrics()
    desk = Desk(bench)
    desk.say(ended, out.getvalue().strip())
    hello = bench.stats.functions["hello"]

    assert {"shop": {"OrdersPlaced": 3.0}} == hello.handler_counts
    assert 0.25 == hello.handler_seconds["shop"]["Checkout"].sum
