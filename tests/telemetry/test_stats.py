"""Counting: what each fact adds to, and what it leaves alone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.core.engine_events import Initialised, LoopBlocked, LoopReleased, ThreadAbandoned
from engine.core.function import Function
from engine.core.outcome import Status
from engine.telemetry.function_stats import Levels
from engine.telemetry.histogram import HANDLER_BOUNDS_S
from engine.telemetry.label_values import OUTCOMES
from engine.testing import VirtualClock

RAN = [Status.SUCCESS, Status.ERROR, Status.TIMEOUT, Status.CRASH, Status.OOM]


def test_every_outcome_of_every_foreseen_trigger_exists_from_the_start(bench):
    """A ratio over outcomes must not miss a series that has not happened yet."""
    triggers = {
        name: {trigger: set(row.ended.values()) for trigger, row in one.triggers.items()}
        for name, one in bench.stats.functions.items()
    }

    assert {
        "hello": {"invoke": {0}, "direct": {0}, "http": {0}},
        "orders": {"invoke": {0}, "direct": {0}, "sqs": {0}},
    } == triggers
    assert set(OUTCOMES) == set(bench.stats.functions["hello"].triggers["invoke"].ended)


@pytest.mark.parametrize("status", RAN)
def test_what_ran_is_counted_timed_and_billed(bench, status):
    """Success or not, AWS counts and bills it."""
    bench.run(status=status, duration_s=0.0123, queue_wait_s=0.2)
    hello = bench.stats.functions["hello"]

    assert (1, 1) == (hello.triggers["invoke"].ended[status], hello.triggers["invoke"].received)
    assert (1, 0.0123) == (hello.duration.count, hello.duration.sum)
    assert (1, 0.2) == (hello.queue_wait.count, hello.queue_wait.sum)
    assert (1, 13) == (hello.ledger.requests, hello.ledger.billed_ms)


def test_a_value_on_a_bound_belongs_below_it(bench):
    """`le` means less or equal."""
    bench.run(duration_s=0.001, queue_wait_s=0.0005)
    bench.run(duration_s=901.0, queue_wait_s=61.0)
    hello = bench.stats.functions["hello"]

    assert (1, 1) == (hello.duration.counts[0], hello.duration.counts[-1])
    assert (1, 1) == (hello.queue_wait.counts[0], hello.queue_wait.counts[-1])
    assert len(hello.duration.counts) == len(HANDLER_BOUNDS_S) + 1


def test_a_cold_start_is_counted_and_its_init_billed_apart(bench):
    """250.06 ms after an init of 100.77 ms: 351 ms in all, 100 of them for the init."""
    bench.run(duration_s=0.25006, init_s=0.10077, cold_start=True)
    hello = bench.stats.functions["hello"]

    assert 1 == hello.cold_starts
    assert (351, 100) == (hello.ledger.billed_ms, hello.ledger.init_ms)


def test_a_failed_init_is_billed_but_has_no_handler_time(bench):
    """Its environment never came up, and code ran nevertheless."""
    bench.run(status=Status.INIT_ERROR, init_s=0.2, cold_start=True)
    hello = bench.stats.functions["hello"]

    assert 1 == hello.triggers["invoke"].ended[Status.INIT_ERROR]
    assert (0, 0) == (hello.duration.count, hello.queue_wait.count)
    assert (1, 200, 200) == (hello.ledger.requests, hello.ledger.billed_ms, hello.ledger.init_ms)


def test_what_was_cancelled_is_free(bench):
    """The engine stopped first: that is not the user's bill."""
    bench.run(status=Status.CANCELLED, duration_s=1.0)
    hello = bench.stats.functions["hello"]

    assert 1 == hello.triggers["invoke"].ended[Status.CANCELLED]
    assert (hello.duration.count, hello.ledger.requests, hello.ledger.cost_usd()) == (0, 0, Decimal(0))


def test_a_throttle_is_received_and_free_and_no_invocation(bench):
    """It is in Throttles, not in Invocations, as in CloudWatch."""
    bench.refuse("function_limit")
    bench.refuse("a reason of somebody's own")
    hello = bench.stats.functions["hello"]

    assert (1, 1) == (hello.throttles["function_limit"], hello.throttles["other"])
    assert (2, 0) == (hello.triggers["invoke"].received, sum(hello.triggers["invoke"].ended.values()))
    assert 0 == hello.ledger.cost_usd()


def test_a_refusal_while_closing_is_a_cancellation(bench):
    """No limit was reached."""
    bench.refuse("closing", Status.CANCELLED)
    hello = bench.stats.functions["hello"]

    assert 0 == sum(hello.throttles.values())
    assert 1 == hello.triggers["invoke"].ended[Status.CANCELLED]


def test_triggers_are_a_closed_set(bench):
    """A known one appears when it is first used, an unknown one is `other`, however many there are."""
    for trigger in ("replay", "mqtt", "carrier-pigeon"):
        bench.run(trigger=trigger)
    triggers = bench.stats.functions["hello"].triggers

    assert ["invoke", "direct", "http", "replay", "other"] == list(triggers)
    assert (2, 2) == (triggers["other"].began, triggers["other"].ended[Status.SUCCESS])


def test_notices_are_counted(bench):
    """Each rare thing has its counter; one about a function that is gone is let go."""
    for notice in (
        Initialised(function="hello", init_s=0.02),
        Initialised(function="hello", init_s=0.02, provisioned=True),
        Initialised(function="hello", init_s=3.0, error_type="Runtime.ImportModuleError"),
        LoopBlocked(function="hello", request_id="r", blocked_s=0.2, stack=""),
        LoopReleased(function="hello", request_id="r", blocked_s=1.5),
        ThreadAbandoned(function="hello", request_id="r"),
        ThreadAbandoned(function="gone", request_id="r"),
    ):
        bench.stats.noticed(notice)
    hello = bench.stats.functions["hello"]

    assert (3, 1) == (hello.init.count, hello.init_failures["import"])
    assert {"on_demand": 2, "provisioned": 1} == hello.starts
    assert (1, 1.5, 1) == (hello.loop_blocked, hello.blocked_s, hello.threads_abandoned)


def test_rejections_and_loop_lag_have_no_function(bench):
    """An unknown reason is `other`."""
    bench.stats.reject("unknown_function")
    bench.stats.reject("solar wind")
    bench.stats.lagged(0.003)

    assert (1, 1) == (bench.stats.rejected["unknown_function"], bench.stats.rejected["other"])
    assert 1 == bench.stats.loop_lag.count


def test_registered_again_a_function_keeps_its_counts(bench):
    """New code, same function: the counters go on, the limits are the new ones."""
    bench.run()
    bench.register("hello", Levels(idle=9), reserved_concurrency=3)
    hello = bench.stats.functions["hello"]

    assert 1 == hello.triggers["invoke"].began
    assert (3, 9) == (hello.limits["maximum"], hello.levels().idle)


def test_a_ledger_has_one_price(bench):
    """Another memory size is another price: it needs a ledger of its own."""
    function = Function("hello", handler="module.handler", memory_mb=256)

    with pytest.raises(ValueError, match="hello: a ledger has one price"):
        bench.stats.register(function, bench.stats.functions["hello"].ledger.rate, Levels)


def test_limits_name_the_one_in_force(bench):
    """With a reservation it is that, without one the account's."""
    limits = {name: one.limits for name, one in bench.stats.functions.items()}

    assert {
        "hello": {"provisioned": 0, "maximum": 1000},
        "orders": {"provisioned": 0, "maximum": 7, "reserved": 7},
    } == limits


def test_provisioned_concurrency_counts_for_as_long_as_it_stands(new_bench):
    """Memory times environments times time, used or not; a change counts from then on."""
    clock = VirtualClock()
    bench = new_bench(clock=clock)
    bench.register("hello", memory_mb=512, provisioned_concurrency=4)
    hello = bench.stats.functions["hello"]
    clock.advance(10)
    bench.register("hello", memory_mb=512, provisioned_concurrency=1)
    clock.advance(6)
    bench.stats.refresh()

    assert 0.5 * 4 * 10 + 0.5 * 1 * 6 == hello.provisioned_gb_s


def test_asynchronous_counts_belong_to_a_function_that_is_there(bench):
    """The queue asks once for each function; a name that nobody has is told so."""
    counts = bench.stats.async_counts("hello")
    counts.aged(0.02)

    assert bench.stats.async_counts("hello") is counts
    assert 1 == bench.stats.functions["hello"].async_age.count
    with pytest.raises(KeyError):
        bench.stats.async_counts("nobody")


@pytest.mark.parametrize(
    ("error_type", "reason"),
    [
        ("ValueError", "error"),
        ("Runtime.ImportModuleError", "import"),
        ("Runtime.HandlerNotFound", "handler"),
        ("Runtime.ExitError", "exit"),
        ("Runtime.OutOfMemory", "memory"),
        ("Sandbox.Timedout", "timeout"),
        ("Runtime.Unknown", "other"),
    ],
)
def test_a_failed_init_has_a_reason_of_a_closed_set(bench, error_type, reason):
    """Names of exceptions are for the log."""
    bench.stats.noticed(Initialised(function="hello", init_s=0.1, error_type=error_type))
    failures = bench.stats.functions["hello"].init_failures

    assert [reason] == [name for name, count in failures.items() if count]
