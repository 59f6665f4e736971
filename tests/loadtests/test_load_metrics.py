"""The live metrics are those that the Load test dashboard reads."""

import shutil
import subprocess

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from engine.load.generator.live_metrics import registry
from engine.load.generator.recorder import SUCCESS, THROTTLED, Recorder, RequestOutcome
from engine.load.metric_catalogue import LOAD_METRICS
from engine.load.planning.plan import LoadStage, Plan, Stream

PROMTOOL = shutil.which("promtool")


@pytest.fixture
def text():
    """The page after two requests and a drop."""
    plan = Plan(
        run_id="run-1",
        scenario="spike",
        commit="abc",
        urls={},
        streams={"a": Stream(send="invoke", function="f")},
        stages=(LoadStage(name="one", seconds=60, per_s={"a": 5}),),
        result="r",
    )
    recorder = Recorder(plan)
    recorder.begin_s = 0.0
    for outcome in (SUCCESS, THROTTLED):
        recorder.sent(0, 1.0, 0.002, burst=False)
        recorder.answer(0, "a", 1.0, 1.02, RequestOutcome(outcome))
    recorder.sent(0, 2.0, 0.0, burst=False)
    recorder.drop("a")
    return generate_latest(registry(recorder)).decode()


def test_every_metric_of_the_dashboard_is_exported_and_no_other(text):
    """Names, types, texts and labels; the process metrics come with it."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    expected = {one.name.removesuffix("_total"): one for one in LOAD_METRICS}

    assert expected.keys() == {name for name in families if not name.startswith("process_")}
    for name, metric in expected.items():
        family = families[name]
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert (metric.kind, metric.help, set(metric.labels)) == (family.type, family.documentation, labels)


def test_the_page_says_what_was_counted(text):
    """Outcomes that did not happen are there, at 0."""
    lines = set(text.splitlines())

    assert {
        'loadtest_requests_total{name="a",outcome="success",scenario="spike"} 1.0',
        'loadtest_requests_total{name="a",outcome="failure",scenario="spike"} 0.0',
        'loadtest_requests_total{name="a",outcome="throttled",scenario="spike"} 1.0',
        'loadtest_response_seconds_bucket{le="0.01",name="a",scenario="spike"} 0.0',
        'loadtest_response_seconds_bucket{le="0.025",name="a",scenario="spike"} 2.0',
        'loadtest_response_seconds_count{name="a",scenario="spike"} 2.0',
        'loadtest_schedule_lag_seconds_count{scenario="spike"} 3.0',
        'loadtest_arrivals_dropped_total{scenario="spike"} 1.0',
        'loadtest_users{scenario="spike"} 1.0',
        'loadtest_run_info{commit="abc",run_id="run-1",scenario="spike"} 1.0',
    } <= lines


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_nothing(text):
    """Prometheus's own lint."""
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stdout + done.stderr)
