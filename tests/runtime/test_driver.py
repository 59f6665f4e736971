"""One function, live: cold starts, deadlines, queues, expiry, and what an outcome says of them."""

import asyncio
from decimal import Decimal

import pytest

from engine.core.engine_events import Initialised
from engine.core.error_bodies import InitFailure
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.throttling import TokenBucket
from engine.testing import Act

BROKEN = InitFailure("Runtime.ImportModuleError", "Unable to import module 'a': No module named 'b'")


# ---------------------------------------------------------------- cold starts


async def test_the_first_invocation_of_an_environment_waits_for_its_init_and_says_so(runtime):
    """Init is outside the duration, inside the wait, and billed with the first invocation only."""
    runtime.add(init=lambda _: 0.25)
    runtime.open()
    first, second = await runtime.call(), await runtime.call()

    assert (True, 0.25, 0.25, 1.0, 1250) == (
        first.cold_start,
        first.init_s,
        pytest.approx(first.queue_wait_s),
        pytest.approx(first.duration_s),
        first.billed_ms,
    )
    assert (False, None, 0.0, 1000) == (
        second.cold_start,
        second.init_s,
        second.queue_wait_s,
        second.billed_ms,
    )


async def test_billed_time_is_init_and_duration_together_rounded_up(runtime):
    """The example of AWS: 100.77 ms and 250.06 ms are 351 ms."""
    runtime.add(init=lambda _: 0.10077, act=lambda _: Act(takes_s=0.25006))
    runtime.open()
    outcome = await runtime.call()

    assert 351 == outcome.billed_ms
    assert Decimal("2e-7") + 351 * Decimal("2.1e-9") == outcome.cost_usd


async def test_a_modelled_cold_start_adds_its_milliseconds_and_is_billed_as_init(runtime):
    """For executors whose own init is too cheap to be true."""
    runtime.add(init=lambda _: 0.05, cold_start=400)
    runtime.open()
    outcome = await runtime.call()

    assert (0.45, 0.45, 1450) == (
        pytest.approx(outcome.init_s),
        pytest.approx(outcome.queue_wait_s),
        outcome.billed_ms,
    )
    [notice] = runtime.observer.notices
    assert 0.45 == pytest.approx(notice.init_s)


async def test_one_stopped_during_its_modelled_cold_start_leaves_no_timer(runtime):
    """The engine may stop at any moment."""
    runtime.add(init=lambda _: 0.0, cold_start=5000)
    runtime.open()
    waiting = runtime.send()
    await asyncio.sleep(1)
    runtime.dispatcher.abandon()

    assert Status.CANCELLED == (await waiting).status
    assert 0 == runtime.timers()


@pytest.mark.parametrize(
    ("provisioned", "timeout_s", "limit_s"), [(0, 3, 10), (0, 60, 10), (1, 3, 130), (1, 200, 200)]
)
async def test_an_init_that_takes_too_long_is_given_up(runtime, provisioned, timeout_s, limit_s):
    """10 s on demand; 130 s, or the function's timeout if that is longer, when provisioned."""
    runtime.add(init=lambda _: 10_000, provisioned_concurrency=provisioned, timeout_s=timeout_s)
    began_s = runtime.clock.now()
    runtime.open()
    waiting = runtime.send()
    outcome = await waiting
    text = f"Task timed out after {limit_s:.2f} seconds"

    assert limit_s == pytest.approx(runtime.clock.now() - began_s)
    assert {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {outcome.request_id} Error: {text}",
    } == outcome.error
    assert (Status.INIT_ERROR, limit_s, True) == (outcome.status, outcome.init_s, outcome.cold_start)
    assert "stop 1" in runtime.executors["f"].commands
    [notice] = runtime.observer.notices
    assert (
        Initialised(
            function="f",
            init_s=limit_s,
            provisioned=bool(provisioned),
            error_type="Sandbox.Timedout",
            error_message=text,
        )
        == notice
    )
    runtime.dispatcher.abandon()


@pytest.mark.parametrize(("init_s", "succeeds"), [(9.99, True), (10.01, False)])
async def test_an_init_that_was_ready_in_time_has_not_failed_because_the_loop_was_late(
    runtime, init_s, succeeds
):
    """The limit rings while what the environment told before lies unread; what counts is its own account."""
    driver = runtime.add(init=lambda number: 100.0 if number == 1 else 0.0)
    runtime.open()
    waiting = runtime.send()

    def told(turns: int) -> None:
        if turns:
            runtime.loop.call_soon(told, turns - 1)
        else:
            driver.ready(1, init_s)

    await asyncio.sleep(9.999)
    runtime.loop.call_soon(runtime.clock.advance, 0.1)  # the loop is held
    runtime.loop.call_later(0.002, told, 2)  # due behind the limit, in the same turn
    outcome = await waiting

    assert succeeds is (outcome.status is Status.SUCCESS)
    assert (init_s if succeeds else 10.0) == outcome.init_s
    assert (0, 0) == (runtime.levels().starting, runtime.levels().waiting)


async def test_an_init_that_fails_answers_one_waiter_each_and_the_next_tries_again(runtime):
    """Nothing of the environment is left."""
    runtime.add(init=lambda number: BROKEN if number < 3 else 0.1)
    runtime.open()
    both = [runtime.send(), runtime.send()]
    failed = [await one for one in both]
    then = await runtime.call()

    assert [Status.INIT_ERROR] * 2 == [outcome.status for outcome in failed]
    assert ["Runtime.ImportModuleError"] * 2 == [outcome.error["errorType"] for outcome in failed]
    assert (Status.SUCCESS, True) == (then.status, then.cold_start)


async def test_provisioned_environments_are_there_before_the_first_event(runtime):
    """Their init is nobody's wait; the first invocation still tells of it."""
    runtime.add(init=lambda _: 2.0, provisioned_concurrency=2)
    runtime.open()
    await asyncio.sleep(2.5)
    idle = runtime.levels().idle
    both = [runtime.send(), runtime.send()]
    first, second = [await one for one in both]
    third = await runtime.call()
    await asyncio.sleep(10_000)

    assert 2 == idle
    assert [(False, 0.0, 2.0)] * 2 == [(o.cold_start, o.queue_wait_s, o.init_s) for o in (first, second)]
    assert (False, None) == (third.cold_start, third.init_s)
    assert 2 == runtime.levels().idle  # they do not expire


async def test_a_provisioned_environment_that_crashed_is_replaced(runtime):
    """At the next tick, without an event asking for it."""
    crash = Act(result=Result(Status.CRASH, b"{}", error_type="Runtime.ExitError"))
    runtime.add(provisioned_concurrency=1, act=lambda _: crash)
    runtime.open()
    await asyncio.sleep(1)
    await runtime.call()
    await asyncio.sleep(1)

    assert 1 == runtime.levels().idle
    runtime.dispatcher.abandon()


# ---------------------------------------------------------------- deadlines


async def test_at_the_deadline_the_environment_is_stopped_and_the_caller_answered(runtime):
    """At the very moment; the duration is the timeout, and so is the bill."""
    runtime.add(act=lambda _: Act(takes_s=100), timeout_s=3)
    runtime.open()
    began_s = runtime.clock.now()
    outcome = await runtime.call()

    assert (Status.TIMEOUT, 3.0, 3500) == (outcome.status, outcome.duration_s, outcome.billed_ms)
    assert 3.5 == pytest.approx(runtime.clock.now() - began_s, abs=0.0011)
    assert ["start 1", f"run 1 {outcome.request_id}", "stop 1"] == runtime.executors["f"].commands


async def test_a_result_that_comes_after_the_answer_changes_nothing(runtime):
    """Whatever it is: an executor that could not stop its handler may still report."""
    driver = runtime.add(act=lambda _: Act(takes_s=100), timeout_s=3)
    runtime.open()
    seen = []
    event = runtime.event()
    held = []
    runtime.executors["f"].act = lambda invocation: held.append(invocation) or Act(takes_s=100)
    runtime.dispatcher.submit(event, seen.append)
    await asyncio.sleep(5)
    before = runtime.levels()
    for status in (Status.SUCCESS, Status.ERROR, Status.CRASH):
        driver.ended(held[0], Result(status, b"1"))
    driver.succeeded(held[0], b"1")

    assert [Status.TIMEOUT] == [outcome.status for outcome in seen]
    assert before == runtime.levels()


async def test_a_result_that_comes_when_the_deadline_has_passed_unseen_is_a_timeout(runtime):
    """The loop was held up: the result is read before the timer had its turn."""
    driver = runtime.add(timeout_s=3)
    runtime.open()
    held = []
    runtime.executors["f"].act = lambda invocation: held.append(invocation) or Act(takes_s=100)
    waiting = runtime.send()
    await asyncio.sleep(1)
    runtime.clock.advance(3)
    driver.ended(held[0], Result(Status.SUCCESS, b"1"))
    outcome = await waiting

    assert (Status.TIMEOUT, 3.0) == (outcome.status, outcome.duration_s)
    assert (0, 0) == (runtime.levels().busy, runtime.levels().in_flight)
    await asyncio.sleep(10)
    assert 1 == len(runtime.observer.outcomes)


async def test_in_a_shared_environment_one_seen_too_late_leaves_its_place(runtime):
    """It is over: the environment has room again, and is not stopped."""
    driver = runtime.add(timeout_s=3, environment_concurrency=2)
    runtime.open()
    held = []
    runtime.executors["f"].act = lambda invocation: held.append(invocation) or Act(takes_s=100)
    waiting = runtime.send()
    await asyncio.sleep(1)
    runtime.clock.advance(3)
    driver.succeeded(held[0], b"1")

    assert Status.TIMEOUT == (await waiting).status
    assert (1, 0, 0) == (runtime.levels().idle, runtime.levels().busy, runtime.levels().in_flight)


async def test_one_of_many_that_crashes_in_a_shared_environment_ends_all(runtime):
    """Each caller gets AWS's words with its own request id."""
    crash = Result(Status.CRASH, b'{"errorType":"Runtime.ExitError"}', error_type="Runtime.ExitError")
    acts = iter([Act(takes_s=50), Act(takes_s=50), Act(takes_s=1, result=crash)])
    runtime.add(act=lambda _: next(acts), environment_concurrency=3, timeout_s=100)
    runtime.open()
    three = [runtime.send() for _ in range(3)]
    outcomes = [await one for one in three]

    assert [Status.CRASH] * 3 == [outcome.status for outcome in outcomes]
    assert [f"RequestId: {outcome.request_id} Error: Runtime exited" for outcome in outcomes[:2]] == [
        outcome.error["errorMessage"] for outcome in outcomes[:2]
    ]
    assert (0, 0, 0) == (runtime.levels().idle, runtime.levels().busy, runtime.levels().in_flight)
    runtime.dispatcher.abandon()
    assert 0 == runtime.timers()


async def test_an_environment_that_dies_idle_is_gone(runtime):
    """The next event finds another."""
    driver = runtime.add()
    runtime.open()
    await runtime.call()
    driver.died(1)
    outcome = await runtime.call()

    assert outcome.cold_start
    assert 1 == runtime.levels().idle


# ---------------------------------------------------------------- limits and queues


async def test_a_throttle_says_why_and_costs_nothing(runtime):
    """AWS's error object and reason; the observer gets the metric's label."""
    runtime.add(reserved_concurrency=1)
    runtime.open()
    running = runtime.send()
    outcome = await runtime.call()

    assert Status.THROTTLED == outcome.status
    assert "ReservedFunctionConcurrentInvocationLimitExceeded" == outcome.reason
    assert {
        "Type": "User",
        "message": "Rate Exceeded.",
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
    } == outcome.error
    assert (0, 0.0, 0.0, False, None) == (
        outcome.billed_ms,
        outcome.duration_s,
        outcome.cost_usd,
        outcome.cold_start,
        outcome.init_s,
    )
    assert ["function_limit"] == runtime.observer.refusals
    assert (await running).ok


async def test_with_overflow_queue_events_wait_for_a_limit_in_their_order(runtime):
    """First in, first out; those who waited too long are throttled."""
    runtime.add(reserved_concurrency=1, overflow="queue", timeout_s=3)
    runtime.open()
    waiting = [runtime.send() for _ in range(6)]
    outcomes = [await one for one in waiting]

    assert [Status.SUCCESS] * 3 + [Status.THROTTLED] * 3 == [outcome.status for outcome in outcomes]
    assert ["queue_timeout"] * 3 == runtime.observer.refusals
    assert [0.5, 1.5, 2.5] == [pytest.approx(outcome.queue_wait_s) for outcome in outcomes[:3]]
    assert [3.0] * 3 == [pytest.approx(outcome.queue_wait_s, abs=0.002) for outcome in outcomes[3:]]


async def test_a_full_queue_throttles_at_once(runtime):
    """The queue is bounded."""
    runtime.add(reserved_concurrency=1, overflow="queue", queue_limit=2)
    runtime.open()
    waiting = [runtime.send() for _ in range(5)]
    await asyncio.sleep(0)

    assert [False, False, False, True, True] == [future.done() for future in waiting]
    assert ["queue_full"] * 2 == runtime.observer.refusals
    assert [True] * 3 == [(await future).ok for future in waiting[:3]]


async def test_a_function_that_waits_for_the_account_is_woken_when_another_gives_back(runtime_class):
    """The pool is shared: who releases a unit need not be who waits for it."""
    runtime = runtime_class(2)
    runtime.add("a", act=lambda _: Act(takes_s=5), timeout_s=60)
    runtime.add("b", overflow="queue", timeout_s=60)
    runtime.add("c", overflow="queue", timeout_s=60)
    runtime.open()
    began_s = runtime.clock.now()
    running = [runtime.send("a"), runtime.send("a")]
    waiting = [runtime.send("b"), runtime.send("c"), runtime.send("b")]
    outcomes = [await one for one in waiting]

    assert [True] * 5 == [outcome.ok for outcome in [*outcomes, *[await one for one in running]]]
    assert 8.0 == pytest.approx(runtime.clock.now() - began_s)  # 0.5 + 5, two at a time 0.5 + 1, then 1
    assert 0 == runtime.pool.used


async def test_at_the_scaling_rate_events_wait_for_the_next_token(runtime):
    """With overflow = queue; the bucket refills while they wait."""
    runtime.add(scaling=TokenBucket(1, 1.0), overflow="queue", timeout_s=60, act=lambda _: Act(takes_s=30))
    runtime.open()
    three = [runtime.send() for _ in range(3)]
    outcomes = [await one for one in three]

    assert [0.5, 1.5, 2.5] == [pytest.approx(outcome.queue_wait_s, abs=0.01) for outcome in outcomes]


# ---------------------------------------------------------------- expiry and observation


async def test_idle_environments_go_after_keep_alive_back_to_zero(runtime):
    """And no timer stays behind."""
    runtime.add(keep_alive_s=60)
    runtime.open()
    five = [runtime.send() for _ in range(5)]
    for one in five:
        await one
    await asyncio.sleep(59)
    before = runtime.levels().idle
    await asyncio.sleep(2)

    assert (5, 0) == (before, runtime.levels().idle)
    assert 0 == runtime.timers()


async def test_one_in_use_does_not_expire(runtime):
    """Keep-alive counts from the end of the last invocation."""
    runtime.add(keep_alive_s=10)
    runtime.open()
    cold = []
    for _ in range(5):
        cold.append((await runtime.call()).cold_start)
        await asyncio.sleep(8)

    assert [True, False, False, False, False] == cold
    await asyncio.sleep(5)
    assert 0 == runtime.levels().idle


async def test_the_log_tail_is_made_for_those_who_ask(runtime):
    """Whatever the outcome was."""
    runtime.add(act=lambda _: Act(takes_s=100), timeout_s=1)
    runtime.open()
    asked, not_asked = [await one for one in (runtime.send(wants_log=True), runtime.send())]

    assert (b"the tail", None) == (asked.log_tail, not_asked.log_tail)
    assert [f"{asked.request_id} timeout None"] == runtime.tails


async def test_observers_see_each_end_and_each_refusal_once(runtime):
    """What began has an end; what was refused never began."""
    runtime.add(reserved_concurrency=2)
    runtime.open()
    sent = [runtime.send() for _ in range(5)]
    for one in sent:
        await one

    assert (2, 2, 3) == (
        runtime.observer.begun,
        len(runtime.observer.outcomes),
        len(runtime.observer.refusals),
    )
