"""Who was the limit of a run: the rules, by made figures, and the sums of made logs."""

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.load.generator.findings import findings
from engine.load.generator.recorder import FAILURE, SUCCESS, THROTTLED, Recorder, RequestOutcome
from engine.load.generator.senders import shown
from engine.load.planning.plan import LoadStage, Plan, Stream
from engine.load.results.conservation import totals
from engine.load.results.limit_figures import LimitFigures
from engine.load.results.limit_rules import limit_of
from engine.load.results.stages import stage_rows

QUIET = {
    "seconds": 10.0,
    "offered": 1000,
    "cores": 2,
    "generator_cpu": 0.13,
    "generator_wait": 0.01,
    "engine_cpu": 0.2,
    "engine_wait": 0.02,
    "loop_lag_ms": 1.0,
    "handlers_cpu": 0.0,
    "handlers_wait": 0.0,
    "busy_cores": 0.4,
    "memory_left": 0.8,
    "in_flight": 20.0,
    "busy": 20.0,
    "handler_ms": 200.0,
    "handler_best_ms": 200.0,
    "memory_mb": 128,
}
"""A run in which nothing is near its limit."""

LATE = {"behind_s": 5.0, "late_ms": 4000.0}
NEVER_SENT = {"failed": 300, "never_sent": 300}
SATURATED = {"engine_cpu": 0.97, "engine_wait": 0.02, "loop_lag_ms": 250.0}
GREW = {"handler_ms": 900.0}
COMPUTING = {"handlers_cpu": 1.7, "handlers_wait": 8.0, "busy_cores": 2.0, "busy": 12.0, **GREW}
STARTING = {"shortfall": 0.8, "starting": 2.0, "pending": 40.0, "busy": 0.5, "init_s": 0.6}
THROTTLED_5 = {"refused": 400, "throttles": {"function_limit": 400}, "concurrency_limit": 5}

UNTOLD = dict.fromkeys(
    name for name in LimitFigures.__dataclass_fields__ if name.endswith(("_cpu", "_wait", "_cores", "_left"))
)

CASES = [
    ("nothing at its limit", {}, ()),
    ("a busy engine that keeps up", SATURATED, ()),
    ("one failure in a thousand", {"failed": 1}, ()),
    ("a saturated engine", {**LATE, **SATURATED}, ("engine CPU",)),
    # What was once called generator-limited: nothing could be sent, because 4,000 had no answer.
    (
        "a saturated engine, and arrivals that were never sent",
        {**LATE, **SATURATED, **NEVER_SENT},
        ("engine CPU",),
    ),
    (
        "a saturated engine beside a generator that is late and has time to spare",
        {**LATE, **SATURATED, "lag_ms": 40.0},
        ("engine CPU",),
    ),
    (
        "engine and generator both saturated",
        {**LATE, **SATURATED, "lag_ms": 40.0, "generator_cpu": 0.95},
        ("generator", "engine CPU"),
    ),
    (
        "an engine that others keep from running",
        {**LATE, "engine_cpu": 0.5, "engine_wait": 0.5, "busy_cores": 2.0},
        ("engine CPU", "host CPU"),
    ),
    ("a handler that blocks the loop", {**LATE, "loop_lag_ms": 600.0}, ("event loop",)),
    (
        "a handler that blocks the loop, and so all take longer",
        {"loop_lag_ms": 600.0, **GREW},
        ("event loop",),
    ),
    ("refused at a reserved concurrency", THROTTLED_5, ("function concurrency",)),
    ("refused while the upstream got slower", {**THROTTLED_5, **GREW}, ("upstream", "function concurrency")),
    (
        "refused while handlers had no core",
        {**THROTTLED_5, **COMPUTING},
        ("host CPU", "function concurrency"),
    ),
    ("a storm of cold starts", {**LATE, **STARTING}, ("inits",)),
    (
        "a storm of imports that fill the cores",
        {**LATE, **STARTING, "handlers_cpu": 1.8, "handlers_wait": 9.0, "busy_cores": 2.0},
        ("inits",),
    ),
    ("handlers that compute", {**LATE, **COMPUTING}, ("host CPU",)),
    (
        "handlers that compute, and the environments made for them",
        {**LATE, **COMPUTING, "shortfall": 0.9, "starting": 2.0, "pending": 30.0},
        ("host CPU",),
    ),
    (
        "handlers that compute as much as their imports",
        {**LATE, **COMPUTING, "handlers_wait": 18.0, "shortfall": 0.9, "starting": 10.0},
        ("inits", "host CPU"),
    ),
    (
        "handlers that compute, and so the engine hardly runs",
        {**LATE, **COMPUTING, "engine_cpu": 0.2, "engine_wait": 0.7},
        ("host CPU",),
    ),
    ("environments that wait for memory", {**LATE, "held_by_memory": 30}, ("host memory",)),
    ("invocations out of memory", {"failed": 90, "out_of_memory": 90}, ("host memory",)),
    ("handlers that wait for an upstream", {**LATE, **GREW}, ("upstream",)),
    (
        "handlers that wait for an upstream on a machine that others fill",
        {**LATE, **GREW, "busy_cores": 2.0},
        ("upstream",),
    ),
    ("a generator without time to spare", {"lag_ms": 900.0, "generator_cpu": 0.98}, ("generator",)),
    ("a generator that is kept from running", {"lag_ms": 90.0}, ("generator",)),
    ("callers that wait for longer than requests are late", {**LATE, "lag_ms": 20.0}, ("unknown",)),
    ("failures of the handler's own", {"failed": 500}, ("unknown",)),
    ("late, and nothing that would explain it", LATE, ("unknown",)),
    ("a server that is no engine", {**LATE, "is_engine": False, "engine_cpu": None}, ("server",)),
    (
        "a server that refuses",
        {"refused": 400, "is_engine": False, "engine_cpu": None},
        ("function concurrency",),
    ),
    ("a machine that tells nothing", {**LATE, **UNTOLD}, ("unknown",)),
]


@pytest.mark.parametrize(("seen", "names"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_limit_is_named_with_its_figures(seen, names):
    """Both of two that may each be the cause; unknown where none is."""
    found = limit_of(LimitFigures(**{**QUIET, **seen}))

    assert names == found.names
    assert bool(names) == any(one.isdigit() for one in found.why)
    assert found.why.endswith(".")


@given(
    lag_ms=st.floats(0, 1000),
    engine_cpu=st.floats(0.85, 1),
    generator_cpu=st.floats(0, 0.5),
    never_sent=st.integers(0, 1000),
)
def test_a_generator_with_time_to_spare_is_not_named_beside_a_saturated_engine(
    lag_ms, engine_cpu, generator_cpu, never_sent
):
    """Whatever was late or never sent."""
    seen = {**LATE, "lag_ms": lag_ms, "engine_cpu": engine_cpu, "generator_cpu": generator_cpu}
    seen |= {"failed": never_sent, "never_sent": never_sent}

    assert ("engine CPU",) == limit_of(LimitFigures(**{**QUIET, **seen})).names


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (
            THROTTLED_5,
            "throttled too, at the same limit of 5: 100 requests/s of 200 ms take about 20 at a time",
        ),
        (
            {**LATE, **STARTING, "environments_wanted": 120},
            "would have made 120 environments in this run.",
        ),
        (
            {**LATE, **COMPUTING},
            "20 environments of 128 MB have 1.4, and this machine has 2",
        ),
        (
            {**LATE, **GREW},
            "waited as well, and billed the wait: 20 environments at a time",
        ),
    ],
)
def test_what_lambda_would_have_done_is_said(seen, told):
    """With the figures of this run."""
    assert told in limit_of(LimitFigures(**{**QUIET, **seen})).on_lambda


PLAN = Plan(
    run_id="x",
    scenario="x",
    urls={},
    streams={"a": Stream(send="invoke", function="f"), "b": Stream(send="http", function="f")},
    stages=(
        LoadStage(name="warm-up", seconds=2, per_s={"a": 1}, warmup=True),
        LoadStage(name="load", seconds=5, per_s={"a": 1}),
        LoadStage(name="more", seconds=3, per_s={"a": 1}),
    ),
    result="r",
)
ENDS = st.sampled_from([SUCCESS, FAILURE, THROTTLED, "never sent", "open"])
LOGS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 9.999), st.floats(0, 30), ENDS), max_size=40
)


def recorded(log):
    """What a recorder makes of requests: stream, when they were due, how long they took, how they ended."""
    recorder = Recorder(PLAN)
    recorder.begin_s, recorder.ended_s = 100.0, PLAN.seconds
    for stream, due_s, took_s, end in log:
        recorder.due(stream, due_s)
        if end == "never sent":
            recorder.drop(stream, due_s)
            continue
        recorder.sent(PLAN.stage_at(due_s), due_s, 0.001, burst=False)
        if end != "open":
            answer = RequestOutcome(end)
            intended_s = 100.0 + due_s
            recorder.answer(PLAN.stage_at(due_s), stream, intended_s, intended_s + took_s, answer)
    return recorder


@settings(max_examples=30)
@given(LOGS, LOGS)
def test_every_offered_request_has_one_end_in_the_run_and_in_each_stage(log, other):
    """Offered is answered, refused, failed and open, to the request, also of two processes added up."""
    recorder, elsewhere = recorded(log), recorded(other)
    recorder.merge(elsewhere.take(), "other")
    client = findings(recorder)
    nothing = {"at_s": []}
    rows = stage_rows(client, nothing, nothing)
    sums = totals(client)
    ends = ("answered", "refused", "failed")

    assert len(log) + len(other) == sums["offered"] == sum(sums[end] for end in (*ends, "open"))
    assert [row["open_before"] + row["offered"] for row in rows] == [
        sum(row[end] for end in (*ends, "open_at_end")) for row in rows
    ]
    assert sums["offered"] == sum(row["offered"] for row in rows)


def test_the_first_failure_of_each_stage_is_kept_with_what_was_said():
    """Of several processes the earliest."""
    recorder, elsewhere = recorded([]), recorded([])
    recorder.failed("a", 104.0, "status 500: later")
    elsewhere.failed("b", 103.0, "status 500: first")
    elsewhere.failed("b", 103.5, "status 500: second")
    recorder.merge(elsewhere.take(), "other")

    errors = [stage["first_error"] for stage in findings(recorder)["stages"]]
    assert [None, {"at_s": 3.0, "stream": "b", "text": "status 500: first"}, None] == errors


def test_what_a_server_said_is_shown_short_and_in_one_line():
    """Nothing in it moves a terminal's cursor."""
    assert r"a b \x1b[2J" == shown("a\r\n b\t\x1b[2J")
    assert ("x" * 300 + "...", r"\u202e") == (shown("x" * 5000), shown("\u202e"))


def test_response_times_are_kept_by_the_second_in_which_requests_were_due():
    """However late the answers came."""
    recorder = recorded([("a", 0.2, 0.5, SUCCESS), ("a", 0.4, 2.0, SUCCESS), ("a", 7.0, 0.1, SUCCESS)])

    expected = {"at_s": [0.5, 7.5], "p50_ms": [500.0, 100.0], "p99_ms": [2000.0, 100.0]}
    assert expected == findings(recorder)["latency"]
