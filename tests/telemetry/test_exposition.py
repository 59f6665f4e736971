"""The metrics page: the same as the stock writer's, well-formed, in the format asked for, robust."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, GCCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import DuplicateTimeseries

from engine.core.engine_events import CpuMeasured, Initialised
from engine.core.outcome import Status
from engine.telemetry.collector import StatsCollector
from engine.telemetry.exposition import Exposition, Format, choose_format
from engine.telemetry.function_stats import Levels

REQUEST_ID = "6f1b2d9e-0000-4000-8000-000000000000"

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Failing:
    """A user's collector with a fault."""

    def describe(self) -> Iterable[Family]:
        return ()

    def collect(self) -> Iterable[Family]:
        raise RuntimeError("no database")


def exposition(bench, *others) -> tuple[Exposition, CollectorRegistry]:
    registry = CollectorRegistry()
    collector = StatsCollector(bench.stats)
    registry.register(collector)
    for other in others:
        registry.register(other)
    return Exposition(bench.stats, registry, collector), registry


def use(bench) -> None:
    """Give the counters something to show."""
    bench.run(duration_s=0.25006, init_s=0.10077, cold_start=True, queue_wait_s=0.11)
    bench.run(status=Status.TIMEOUT, duration_s=3.0, trigger="http")
    bench.run("orders", Status.ERROR, trigger="sqs", duration_s=0.0000333)
    bench.refuse("account_limit")
    bench.stats.noticed(Initialised(function="hello", init_s=0.10077))
    bench.stats.lagged(1 / 3)


def series(families: Iterable[Family]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def heads(families: Iterable[Family]) -> list[tuple[str, str, str, str]]:
    return [(one.name, one.type, one.documentation, one.unit) for one in families]


@pytest.mark.parametrize("label_cap", [200, 1, 0])
def test_the_text_page_says_what_the_stock_writer_says(new_bench, label_cap):
    """Two writers, one truth, also where functions share a label."""
    bench = new_bench(label_cap)
    bench.register("hello", Levels(starting=1, idle=2, busy=3, in_flight=4, queued=5))
    bench.register("orders", reserved_concurrency=7)
    use(bench)
    writer, registry = exposition(bench)
    content_type, page = writer.page()
    ours, stock = list(parse_text(page.decode())), list(parse_text(generate_latest(registry).decode()))

    assert "text/plain; version=0.0.4; charset=utf-8" == content_type
    assert series(stock) == series(ours)
    assert heads(stock) == heads(ours)


def test_the_openmetrics_page_says_what_the_stock_writer_says(bench):
    """Its parser is strict: names, units, order, and the closing line."""
    use(bench)
    writer, registry = exposition(bench)
    content_type, page = writer.page(OPENMETRICS)
    stock = list(parse_openmetrics(generate_openmetrics(registry).decode()))
    ours = list(parse_openmetrics(page.decode()))

    assert "application/openmetrics-text; version=1.0.0; charset=utf-8" == content_type
    assert series(stock) == series(ours)
    assert heads(stock) == heads(ours)


def test_slow_invocations_are_exemplars_of_their_bucket(bench):
    """From a bucket to the request: OpenMetrics alone has a place for it, and quick ones are not kept."""
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    bench.run(duration_s=0.001)
    bench.run(duration_s=0.3, trace_id=trace)
    bench.run(duration_s=0.4, trace_id="100 % nonsense")
    writer, registry = exposition(bench)
    expected = {0.5: ({"request_id": REQUEST_ID}, 0.4)}
    pages = [writer.page(OPENMETRICS)[1].decode() for _ in range(2)]
    pages.append(generate_openmetrics(registry).decode())
    bench.run(duration_s=1.7, trace_id=trace)
    found = exemplars(writer.page(OPENMETRICS)[1].decode())

    assert [expected] * 3 == [exemplars(page) for page in pages]
    assert (
        {"trace_id": "1-5759e988-bd862e3fe1be46a994272793", "request_id": REQUEST_ID},
        1.7,
    ) == found[2.5]
    assert " # {" not in writer.page()[1].decode()


def exemplars(page: str) -> dict[float, tuple[dict[str, str], float]]:
    """By the bound of the bucket, labels and value."""
    return {
        float(sample.labels["le"]): (sample.exemplar.labels, sample.exemplar.value)
        for family in parse_openmetrics(page)
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_values_are_those_of_the_counters(bench):
    """Not only equal to the other writer: right."""
    use(bench)
    page = series(parse_text(exposition(bench)[0].page()[1].decode()))
    hello = ("function", "hello")

    assert 3.351 == page["engine_billed_seconds_total", (hello,)]
    assert 3.351 / 8 == page["engine_billed_gigabyte_seconds_total", (hello,)]
    assert 0.0000004 == page["engine_cost_dollars_total", (("component", "request"), hello)]
    assert 0.00017 == page["engine_billing_rounding_seconds_total", (hello,)]
    assert 4 == page["engine_concurrency_in_use", (hello,)]
    assert 3 == page["engine_environments", (hello, ("state", "busy"))]
    assert 5 == page["engine_queue_depth", (hello, ("queue", "admission"))]
    assert 1 == page["engine_throttles_total", (hello, ("reason", "account_limit"))]
    assert 1000 == page["engine_concurrency_limit", (("kind", "account"),)]
    assert 1 == page["engine_init_duration_seconds_bucket", (hello, ("le", "0.25"))]
    assert 0 == page["engine_init_duration_seconds_bucket", (hello, ("le", "0.1"))]
    assert 0.0000133334 == page["engine_price_dollars", (("architecture", "arm64"), ("item", "gb_second"))]


def test_the_page_follows_functions_and_triggers_that_come_and_go(bench):
    """What is rendered ahead is rendered anew when it no longer fits."""
    writer, registry = exposition(bench)
    writer.prepare()
    bench.run(trigger="schedule")
    bench.register("late")
    with_both = series(parse_text(writer.page()[1].decode()))
    bench.stats.unregister("hello")
    bench.run("late", trigger="replay")
    after = series(parse_text(writer.page()[1].decode()))
    received = "engine_requests_received_total"

    assert 1 == with_both[received, (("function", "hello"), ("trigger", "schedule"))]
    assert 1 == after[received, (("function", "late"), ("trigger", "replay"))]
    assert not [key for key in after if ("function", "hello") in key[1]]
    assert series(parse_text(generate_latest(registry).decode())) == after


MEASURED = CpuMeasured(
    function="hello", got_s=0.1, promised_s=0.2, environments=1, memory_mb=128, fit=2, worse=False
)


@pytest.mark.parametrize(
    "happens",
    [
        lambda bench: bench.run(trigger="schedule"),
        lambda bench: bench.run(max_memory_mb=20),
        lambda bench: bench.stats.noticed(MEASURED),
        lambda bench: bench.stats.scaled("hello", "down", "shortage"),
        lambda bench: bench.stats.came_from_zero("hello", 0.1),
        lambda bench: bench.stats.first_byte("hello", 0.1),
        lambda bench: bench.stats.functions["hello"].counts(),
    ],
    ids=["trigger", "memory", "CPU", "scaling", "from zero", "streaming", "asynchronous"],
)
def test_what_is_shown_for_the_first_time_is_on_the_next_page(bench, happens):
    """Alone, and after the page was made: nothing else makes it be rendered anew."""
    writer, registry = exposition(bench)
    before = series(parse_text(writer.page()[1].decode()))
    happens(bench)
    after = series(parse_text(writer.page()[1].decode()))

    assert after.keys() > before.keys()
    assert series(parse_text(generate_latest(registry).decode())) == after


def test_functions_above_the_cap_are_added_up(new_bench):
    """Nothing is lost, but the number of series is bounded, and the overflow is counted."""
    bench = new_bench(2)
    for name in "abcd":
        bench.register(name, Levels(idle=1))
        bench.run(name, duration_s=0.5)
    bench.run("d", trigger="replay")
    writer, _ = exposition(bench)
    page = series(parse_text(writer.page()[1].decode()))
    other = ("function", "__other__")

    assert 2 == page["engine_label_overflow_total", (("label", "function"),)]
    assert 3 == page["engine_invocation_duration_seconds_count", (other,)]
    assert 1.0 == page["engine_billed_seconds_total", (other,)]
    assert 2 == page["engine_environments", (other, ("state", "idle"))]
    assert 1 == page["engine_requests_received_total", (other, ("trigger", "replay"))]
    assert ("engine_function_info", (other,)) not in {(name, labels[:1]) for name, labels in page}


def test_an_engine_without_functions_has_a_page(new_bench):
    """A scrape before the first function is no error."""
    page = exposition(new_bench())[0].page()[1].decode()

    assert 0 == series(parse_text(page))["engine_event_loop_lag_seconds_count", ()]


def test_label_values_are_escaped(new_bench):
    """A name that the configuration let through must not break the page."""
    bench = new_bench()
    name = 'a"b\\c\nd%s'
    bench.register(name)
    writer, registry = exposition(bench)
    page = series(parse_text(writer.page()[1].decode()))

    assert ("engine_cold_starts_total", (("function", name),)) in page
    assert series(parse_text(generate_latest(registry).decode())) == page


def test_collectors_of_others_are_on_the_page_once(bench):
    """A user's counter and the process's numbers follow ours, and ours are not doubled."""
    mine = Counter("shop_orders", "Orders.", registry=None)
    mine.inc(3)
    writer, _ = exposition(bench, mine)
    text = writer.page()[1].decode()

    assert 3 == series(parse_text(text))["shop_orders_total", ()]
    assert 1 == text.count("# TYPE engine_build_info ")


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_a_failing_collector_costs_only_its_own_metrics(bench, accept):
    """The failure is counted on the very page that suffers it."""
    writer, _ = exposition(bench, Failing())
    page = writer.page(accept)[1].decode()
    parse = parse_text if accept == "text/plain" else parse_openmetrics

    assert 1 == series(parse(page))["engine_scrape_failures_total", ()]


def test_a_collector_that_takes_our_names_is_refused(bench):
    """`describe` makes a clash visible at registration."""
    _, registry = exposition(bench)

    with pytest.raises(DuplicateTimeseries):
        Counter("engine_cold_starts", "Not ours.", registry=registry)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Format.TEXT),
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("application/json", Format.TEXT),
        (OPENMETRICS, Format.OPENMETRICS),
        (f"{OPENMETRICS},text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format.OPENMETRICS),
        ("application/openmetrics-text; q=0.2, text/plain; q=0.9", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=oops", Format.TEXT),
        (";;,,q=1", Format.TEXT),
    ],
)
def test_the_format_is_the_one_liked_best(accept, expected):
    """OpenMetrics only for who asks for it; rubbish gets text."""
    assert expected is choose_format(accept)


@pytest.mark.real_time
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say(bench):
    """Names, types and help texts keep Prometheus's conventions."""
    use(bench)
    writer, registry = exposition(bench)
    GCCollector(registry=registry)
    ProcessCollector(registry=registry)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=writer.page()[1],
        capture_output=True,
        timeout=100,
        check=False,
    )

    assert (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr)


def test_content_types_are_those_of_the_stock_writer():
    """They are said without importing it."""
    assert CONTENT_TYPE_PLAIN_0_0_4 == Format.TEXT.value
    assert CONTENT_TYPE_LATEST == Format.OPENMETRICS.value
