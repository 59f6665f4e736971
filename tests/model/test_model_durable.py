"""Durable executions in the model: what a program means, and that plan, simulation and prices agree on it."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import main
from engine.core.durable.values import ExecutionStatus
from engine.core.function import Account, Function
from engine.model.simulation.durable_program import parse_program
from engine.model.simulation.durable_walk import MAX_ATTEMPTS, ProgramRun
from engine.model.simulation.simulated_executions import DurableLoad
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload

DAY_S = 86_400


def simulated(text, count=1, *, timeout_s=900.0, account=None, every_s=1.0, seed=1):
    """So many executions of a program, one a second unless told otherwise, in environments at once."""
    function = Function("durable", handler="a.b", timeout_s=timeout_s)
    load = DurableLoad(
        at_s=[number * every_s for number in range(count)], program=parse_program(text), seed=seed
    )
    nothing = Workload(function=function, at_s=[], service_s=[])
    simulation = Simulation(
        [nothing],
        account or Account(scaling_rate=0, requests_per_concurrency=0),
        horizon_s=math.inf,
        durables={"durable": load},
    )
    seen = simulation.run()
    return simulation.durables[0], seen.functions[0]


def answered(command, *words, code=0):
    done = CliRunner().invoke(main, [command, *words, "--json"], catch_exceptions=False)

    assert code == done.exit_code, done.output
    return json.loads(done.stdout)


def quantity(found, meter):
    return sum(float(line["quantity"]) for line in found["cost"]["lines"] if line["meter"] == meter)


@pytest.mark.parametrize(
    ("text", "invocations", "operations", "took_s"),
    [
        ("step 200", 1, 1, 0.2),
        ("step 200; step 100", 1, 2, 0.3),
        ("step 200; wait 1h; step 100", 2, 3, 3600.3),
        ("replay 10; wait 5s; wait 1d", 3, 2, 86_405.03),
        ("callback 90s; step 50", 2, 2, 90.05),
        ("invoke 400; step 50", 2, 2, 0.45),
        ("parallel 4 (step 100; step 50)", 1, 13, 0.15),
        ("parallel 2 (wait 10s; step 20)", 2, 7, 10.02),
        ("parallel 2 (parallel 2 (step 10))", 1, 13, 0.01),
        ("parallel 2 (invoke 30); parallel 3 (callback 60s)", 3, 12, 60.03),
    ],
)
def test_a_program_has_the_invocations_operations_and_length_that_aws_gives_it(
    text, invocations, operations, took_s
):
    executions, seen = simulated(text, count=3, every_s=100_000.0)

    assert {ExecutionStatus.SUCCEEDED: 3} == executions.by_status
    assert 3 * invocations == executions.invocations == seen.ran
    assert 3 * operations == executions.operations
    assert executions.took_s == pytest.approx([took_s] * 3)


def test_a_timer_that_passes_while_a_branch_runs_needs_no_invocation_of_its_own():
    (waits, _), (runs, _) = (
        simulated("parallel 1 (wait 2s; step 10)"),
        simulated("parallel 2 (wait 2s; step 10)"),
    )
    both = ProgramRun(parse_program("parallel 2 (step 3000; wait 2s)"), Random(1))

    assert 2 == waits.invocations == runs.invocations
    assert "PENDING" == both.invoke(0.0, math.inf).status


def test_a_step_that_fails_is_tried_again_as_the_sdk_does_and_each_attempt_is_an_operation():
    share, count = 0.5, 600
    executions, _ = simulated(f"step 10 fails {share:.0%}", count)
    attempts = (1 - share**MAX_ATTEMPTS) / (1 - share)
    failed = executions.by_status.get(ExecutionStatus.FAILED, 0)

    assert executions.operations / count == pytest.approx(attempts, rel=0.08)
    assert executions.invocations == executions.operations  # every delay suspends
    assert failed / count == pytest.approx(share**MAX_ATTEMPTS, abs=0.02)


def test_an_invocation_beyond_the_functions_timeout_does_not_end_and_fails_the_execution_in_the_end():
    executions, seen = simulated("step 100; step 5000", timeout_s=3.0)

    assert {ExecutionStatus.FAILED: 1} == executions.by_status
    assert 5 == executions.invocations == seen.timeouts
    assert 1 == executions.operations  # the first step is not run again


def test_invocations_that_are_refused_are_tried_again_and_no_execution_is_lost():
    account = Account(concurrency_limit=1, scaling_rate=0, requests_per_concurrency=0)
    executions, seen = simulated("step 300; wait 1s; step 300", 4, account=account, every_s=0.0)

    assert 4 == sum(executions.by_status.values())
    assert seen.refusals


leaves = st.sampled_from(
    ("step 20", "step exp:30", "step 10 fails 30%", "wait 2s", "callback exp:5s", "invoke 40")
)


def _parallels(bodies):
    return st.tuples(st.integers(1, 3), st.lists(bodies, min_size=1, max_size=2)).map(
        lambda drawn: f"parallel {drawn[0]} ({'; '.join(drawn[1])})"
    )


programs = st.one_of(leaves, _parallels(st.one_of(leaves, _parallels(leaves))))


@settings(max_examples=30, deadline=None)
@given(items=st.lists(programs, min_size=1, max_size=4), seed=st.integers(0, 99))
def test_any_program_ends_the_same_way_by_the_same_seed_and_never_at_more_than_one_invocation_a_time(
    items, seed
):
    text = "; ".join(items)
    (one, seen), (again, _) = (simulated(text, 3, seed=seed) for _ in range(2))

    assert 3 == sum(one.by_status.values()) == len(one.took_s)
    assert (one.took_s, one.operations, one.invocations) == (
        again.took_s,
        again.operations,
        again.invocations,
    )
    assert seen.ran == one.invocations
    assert all(
        0 <= after - before <= 1 or before - after == 1 for (_, before), (_, after) in pairwise(one.level)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "one step, wait, callback or invoke at least"),
        ("step", "step needs milliseconds"),
        ("step 5 step 6", "there is a ; between two steps"),
        ("wait 0.5s", "whole seconds"),
        ("wait 5", "is no time"),
        ("wait exp:5s", "whole seconds"),
        ("sleep 5", "is none of step, wait"),
        ("parallel (step 5)", "the number of its branches"),
        ("parallel 2 step 5", "in parentheses"),
        ("parallel 2 (step 5", "is not closed"),
        ("parallel 2 ()", "in parentheses"),
        ("step 5)", "closed that was not opened"),
        ("step 5 fails 200%", "is no percentage"),
        ("step 5 writes 9mb", "bytes at most"),
        ("step 5; replay 1; replay 2", "said once"),
        ("replay 5", "one step, wait, callback or invoke at least"),
    ],
)
def test_a_program_that_is_none_is_one_line(text, problem):
    done = CliRunner().invoke(main, ["plan", "--traffic", "1", "--durable", text])

    assert 2 == done.exit_code
    assert problem in done.output


def test_plan_and_simulation_agree_on_executions_and_their_bill():
    words = (
        "--traffic",
        "10",
        "--durable",
        "step 200 writes 2kb; wait 20s; step 100",
        "--retention-days",
        "7",
    )
    plan = answered("plan", *words)
    play = answered("simulate", *words, "--seconds", "300")

    for meter in ("lambda.durable.operations", "lambda.durable.written", "lambda.requests"):
        assert quantity(play, meter) == pytest.approx(quantity(plan, meter), rel=0.06), meter
    assert play["durable"]["open"]["mean"] == pytest.approx(plan["durable"]["open"]["mean"], rel=0.08)
    assert (2, 3) == (plan["durable"]["invocations_each"], plan["durable"]["operations_each"])
    month = 10 * 30 * DAY_S
    assert quantity(plan, "lambda.durable.operations") == pytest.approx(3 * month)
    assert quantity(plan, "lambda.durable.written") == pytest.approx(month * (100 + 2000 + 100 + 4) / 1e9)
    kept_days = 7 + 20.3 / 2 / DAY_S
    kept = quantity(plan, "lambda.durable.written") * kept_days / 30
    assert quantity(plan, "lambda.durable.retained") == pytest.approx(kept)


def test_more_traffic_costs_as_much_more_with_executions():
    plan = answered("plan", "--traffic", "2", "--durable", "step 20; wait 1h")
    costs = {one["factor"]: float(one["usd_per_month"]) for one in plan["traffic_times"]}

    assert costs[1] == pytest.approx(float(plan["cost"]["usd"]), rel=0.01)
    assert costs[10] == pytest.approx(10 * costs[1], rel=0.01)


def test_both_say_what_the_executions_are_in_words_and_on_the_page(tmp_path):
    page = tmp_path / "page.html"
    words = ["--traffic", "5", "--durable", "step 20; wait 1h", "--html", str(page)]
    for command in (["plan"], ["simulate", "--seconds", "60"]):
        done = CliRunner().invoke(main, [*command, *words], catch_exceptions=False)

        assert "suspended ones included" in done.output
        assert "suspended ones included" in page.read_text()
    assert "--seconds looks longer" in done.output


@pytest.mark.parametrize("word", ["--errors=5", "--asynchronous", "--duration-ms=50", "--backlog=5"])
def test_what_a_program_says_itself_is_not_said_twice(word):
    done = CliRunner().invoke(main, ["plan", "--traffic", "1", "--durable", "step 5", word])

    assert 2 == done.exit_code
    assert "--durable" in done.output
