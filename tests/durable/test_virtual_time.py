"""Durable functions on virtual time, on AWS's SDK, unmodified."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import DurableConfig, EngineError, Function
from engine.errors import FunctionNotFound
from engine.testing import CallbackAnswer as Answer
from engine.testing import SyncEngine

HERE = str(Path(__file__).parent)
YEAR = DurableConfig(366 * 24 * 3600)
DAY_S = 24 * 3600


def function(name, module="year_handlers", config=YEAR):
    return Function(name, handler=f"{module}.{name}", code=HERE, durable=config)


FUNCTIONS = (
    *map(function, ("year", "program", "slow_child")),
    *(function(name, "handlers") for name in ("two_steps", "approval", "boom", "parent", "child")),
    function("sleeper", "handlers", DurableConfig(2)),
    Function("plain", handler="handlers.plain", code=HERE),
)


@pytest.fixture
def engine():
    with SyncEngine(FUNCTIONS) as engine:
        yield engine


def executed(program, seed=0, answers=None):
    with SyncEngine(FUNCTIONS, seed=seed) as engine:
        return engine.execute("program", program, answers=answers)


def types(execution):
    return [event["EventType"] for event in execution.history]


def delays(execution):
    details = [event.get("StepFailedDetails") for event in execution.history]
    return [one["RetryDetails"]["NextAttemptDelaySeconds"] for one in details if one is not None]


def test_a_year_of_waits_passes(engine):
    began_s = engine.engine.platform.clock.now()
    execution = engine.execute("year")

    assert ("SUCCEEDED", "a year") == (execution.status, execution.result)
    assert 12 * 730 * 3600 == pytest.approx(engine.engine.platform.clock.now() - began_s)
    assert 12 == types(execution).count("WaitSucceeded")
    assert [f"month-{month}" for month in range(12)] == [
        one["Name"] for one in execution.operations if one["Type"] == "STEP"
    ]


def test_time_stands_still_while_an_invocation_runs(engine):
    history = engine.execute("two_steps", {"sku": "A1"}).history

    assert 1 == len({event["EventTimestamp"] for event in history})


WORDS = st.one_of(
    st.just("step x"),
    st.integers(1, 400 * DAY_S // 8).map("wait {}".format),
    st.integers(1, 3).map("flaky {}".format),
    st.just("ask"),
    st.sampled_from(("call child:$LATEST", "call plain", "call slow_child:$LATEST")),
)
ANSWERS = {
    "ask": (
        Answer.heartbeat(after_s=60),
        Answer.success([1], after_s=3600),
        Answer.failure("no"),
    )
}


@settings(max_examples=8, deadline=None)
@given(program=st.lists(WORDS, min_size=1, max_size=5), seed=st.integers(0, 9))
def test_the_same_seed_has_the_same_history(program, seed):
    first, second = (executed(program, seed, ANSWERS) for _ in range(2))

    assert first.is_over
    assert json.dumps(first.history) == json.dumps(second.history)


def without_ids(execution):
    ids = {"Id", "ParentId", "EventId"}
    events = [{name: value for name, value in one.items() if name not in ids} for one in execution.history]
    return sorted(json.dumps(event, sort_keys=True) for event in events)


def test_branches_have_the_same_events_in_any_order():
    runs = [executed(["fan 10,20,100000", "map 4", "fan 7,7"]) for _ in range(3)]

    assert ["SUCCEEDED"] * 3 == [run.status for run in runs]
    assert without_ids(runs[0]) == without_ids(runs[1]) == without_ids(runs[2])


def test_another_seed_has_other_ids_and_jitter():
    first, second = (executed(["flaky 4"], seed) for seed in (1, 2))

    assert types(first) == types(second)
    assert first.arn != second.arn
    assert delays(first) != delays(second)


def test_what_a_program_draws_is_its_own(engine):
    random.seed(5)
    drawn = [random.random() for _ in range(2)]
    random.seed(5)
    before = random.random()
    execution = engine.execute("program", ["flaky 4"])

    assert 3 == len(delays(execution))
    assert drawn == [before, random.random()]


def test_functions_invoke_each_other_and_wait(engine):
    results = [
        engine.execute("parent", {"target": target}).result
        for target in ("child:$LATEST", "plain", "slow_child:$LATEST")
    ]
    children = engine.executions.all("slow_child")

    assert [21, 22, 21] == results
    assert [("SUCCEEDED", 21)] == [(one.status, one.result) for one in children]


def test_an_execution_and_a_callback_time_out(engine):
    late, unanswered = engine.execute("sleeper"), engine.execute("approval")

    assert "TIMED_OUT" == late.status
    assert ("FAILED", "Callback timed out") == (unanswered.status, unanswered.error["ErrorMessage"])


def test_callbacks_are_answered_by_a_script(engine):
    approved = engine.execute("approval", answers={"approve": {"approved": True}})
    answer = Answer.failure("no", error_type="Denied", after_s=30)
    denied = engine.execute("approval", answers={"approve": answer})
    late = engine.execute("approval", answers={"approve": Answer.success(1, after_s=61)})
    kept = engine.execute("program", ["ask", "ask", "ask"], answers=ANSWERS)
    named = engine.execute("approval", answers={"reject": 1})

    assert {"approved": True} == approved.result
    assert ("FAILED", "no") == (denied.status, denied.error["ErrorMessage"])
    assert "Callback timed out" == late.error["ErrorMessage"]
    assert [[1], "CallbackExternalError", "CallbackTimeoutError"] == kept.result
    assert "FAILED" == named.status


def test_a_test_goes_through_an_execution_step_by_step(engine):
    execution = engine.executions.start("approval", name="mine")
    assert ("mine", "approval", "RUNNING", []) == (
        execution.name,
        execution.function,
        execution.status,
        execution.operations,
    )

    engine.run(execution.reached("CallbackStarted", "approve"))
    engine.sleep(30)
    execution.heartbeat("approve")
    with pytest.raises(EngineError, match=r"no callback 'other' is open; open are: approve"):
        execution.succeed("other")
    execution.pause("lunch")
    execution.succeed("approve", [1])
    engine.sleep(3600)
    assert "PAUSED" == execution.status
    execution.resume()

    assert [1] == engine.run(execution.ended()).result
    assert execution is engine.executions.start("approval", name="mine")
    with pytest.raises(EngineError, match="ended without WaitStarted"):
        engine.run(execution.reached("WaitStarted"))


def test_executions_are_failed_and_stopped(engine):
    failed, stopped = engine.executions.start("approval"), engine.executions.start("approval")
    engine.sleep(1)
    failed.fail("approve", "no", error_type="Denied")
    stopped.stop("enough")
    engine.sleep(1)

    assert ("FAILED", "no") == (failed.status, failed.error["ErrorMessage"])
    assert ("STOPPED", {"ErrorMessage": "enough"}) == (stopped.status, stopped.error)
    assert [failed, stopped] == engine.executions.all()


def test_what_cannot_be_started_is_refused(engine):
    with pytest.raises(EngineError, match="plain is no durable function"):
        engine.execute("plain")
    with pytest.raises(FunctionNotFound):
        engine.execute("nobody")


def test_a_long_history_is_read_to_its_end(engine):
    execution = engine.execute("program", ["step x"] * 500)

    assert list(range(1, len(execution.history) + 1)) == [event["EventId"] for event in execution.history]
    assert "ExecutionSucceeded" == types(execution)[-1]
