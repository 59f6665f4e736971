"""Routing, and the way to a stop: nothing accepted is lost, nothing new is taken, nothing stays behind."""

import asyncio

import pytest

from engine.core.outcome import Status
from engine.errors import FunctionNotFound, NotAccepting
from engine.runtime.dispatcher import Stage
from engine.testing import Act


async def test_an_unknown_function_is_named(runtime):
    """By submit and by invoke."""
    runtime.add("f")
    runtime.open()

    with pytest.raises(FunctionNotFound, match="function 'g' is not configured"):
        runtime.send("g")
    with pytest.raises(FunctionNotFound):
        await runtime.dispatcher.invoke(runtime.event("g"))


async def test_a_qualifier_that_stands_for_nothing_is_not_the_latest(runtime):
    """Though the function has no other version, as after its alias was deleted."""
    runtime.add("f")
    runtime.open()

    with pytest.raises(FunctionNotFound, match="f:live"):
        await runtime.dispatcher.invoke(runtime.event("f", qualifier="live"))
    assert (await runtime.dispatcher.invoke(runtime.event("f", qualifier="$LATEST"))).ok


async def test_before_it_is_open_nothing_is_taken(runtime):
    """An unknown name is not told apart yet."""
    runtime.add("f")

    for name in "fg":
        with pytest.raises(NotAccepting, match="the engine is not started and takes no events"):
            runtime.send(name)


async def test_draining_and_closed_it_takes_nothing(runtime):
    """While what was accepted still runs, and after."""
    runtime.add("f")
    runtime.open()
    running = runtime.send()
    draining = asyncio.ensure_future(runtime.dispatcher.drain(60))
    await asyncio.sleep(0.1)
    with pytest.raises(NotAccepting, match="draining"):
        runtime.send()
    assert Stage.DRAINING == runtime.dispatcher.stage

    assert await draining
    assert (await running).ok
    with pytest.raises(NotAccepting, match="closed"):
        runtime.send()


async def test_cancelling_the_wait_does_not_stop_the_invocation(runtime):
    """As on Lambda: a client that hangs up loses only the answer."""
    runtime.add("f")
    runtime.open()
    waiting = asyncio.ensure_future(runtime.dispatcher.invoke(runtime.event()))
    await asyncio.sleep(0.6)
    waiting.cancel()
    await asyncio.sleep(5)

    assert [Status.SUCCESS] == [outcome.status for outcome in runtime.observer.outcomes]


PHASES = {"starting": 0.1, "running": 0.6, "idle": 5.0}


@pytest.mark.parametrize("at_s", PHASES.values(), ids=PHASES)
async def test_a_drain_waits_for_what_was_admitted(runtime, at_s):
    """Whatever it was doing: init, handler, or nothing."""
    runtime.add("f")
    runtime.open()
    sent = [runtime.send() for _ in range(3)]
    await asyncio.sleep(at_s)
    began_s = runtime.clock.now()

    assert await runtime.dispatcher.drain(60)
    assert [True] * 3 == [(await one).ok for one in sent]
    assert max(0.0, 1.5 - at_s) == pytest.approx(runtime.clock.now() - began_s)
    levels = runtime.levels()
    assert (0, 0, 0, 0) == (levels.starting, levels.idle, levels.busy, levels.in_flight)
    assert 0 == runtime.timers()


async def test_a_drain_without_functions_or_events_is_over_at_once(runtime):
    """Also of a dispatcher that was never opened."""
    assert await runtime.dispatcher.drain(60)
    assert Stage.CLOSED == runtime.dispatcher.stage


async def test_when_the_grace_period_is_over_the_rest_is_cancelled(runtime):
    """Everyone gets an answer, even those whose handler never ends."""
    runtime.add("f", act=lambda _: Act(takes_s=500), timeout_s=900)
    runtime.add("slow", init=lambda _: 9, timeout_s=900)
    runtime.add("full", reserved_concurrency=1, overflow="queue", timeout_s=900)
    runtime.open()
    sent = [runtime.send("f"), runtime.send("slow"), runtime.send("full"), runtime.send("full")]
    await asyncio.sleep(0.6)
    began_s = runtime.clock.now()
    drained = await runtime.dispatcher.drain(5)
    outcomes = [await one for one in sent]

    assert not drained
    assert 5.0 == pytest.approx(runtime.clock.now() - began_s)
    assert ["cancelled", "cancelled", "success", "cancelled"] == [outcome.status for outcome in outcomes]
    assert "Sandbox.Failure" == outcomes[0].error["errorType"]
    assert (5.1, 0.0) == (pytest.approx(outcomes[0].duration_s), outcomes[0].cost_usd)
    for name in ("f", "slow", "full"):
        levels = runtime.levels(name)
        assert (0, 0, 0, 0) == (levels.starting, levels.idle, levels.busy, levels.in_flight)
    assert (0, 0) == (runtime.timers(), runtime.pool.used)


async def test_what_waits_for_a_limit_is_cancelled_as_soon_as_the_drain_begins(runtime):
    """It was not admitted, so nothing is begun for it."""
    runtime.add("f", reserved_concurrency=1, overflow="queue")
    runtime.open()
    running, blocked = runtime.send(), runtime.send()
    draining = asyncio.ensure_future(runtime.dispatcher.drain(60))
    await asyncio.sleep(0)

    assert Status.CANCELLED == blocked.result().status
    assert await draining
    assert (await running).ok


async def test_two_drains_at_once_end_together(runtime):
    """A second call waits for the same end; a third, afterwards, is over at once."""
    runtime.add("f")
    runtime.open()
    running = runtime.send()
    both = asyncio.gather(runtime.dispatcher.drain(60), runtime.dispatcher.drain(60))

    assert [True, True] == await both
    assert await runtime.dispatcher.drain(60)
    assert (await running).ok


async def test_a_drain_that_is_cancelled_lets_everything_go(runtime):
    """The second signal: no grace any more."""
    runtime.add("f")
    runtime.open()
    running = runtime.send()
    draining = asyncio.ensure_future(runtime.dispatcher.drain(60))
    await asyncio.sleep(0.7)
    draining.cancel()

    with pytest.raises(asyncio.CancelledError):
        await draining
    assert Status.CANCELLED == (await running).status
    assert (Stage.CLOSED, 0) == (runtime.dispatcher.stage, runtime.timers())


async def test_a_drain_waits_for_a_shared_invocation_that_ran_past_its_deadline(runtime):
    """It holds its place until it ends; then nothing keeps the engine from stopping."""
    runtime.add("f", act=lambda _: Act(takes_s=8), timeout_s=3, environment_concurrency=2)
    runtime.open()
    sent = runtime.send()
    began_s = runtime.clock.now()
    await asyncio.sleep(4)

    assert Status.TIMEOUT == (await sent).status
    assert await runtime.dispatcher.drain(60)
    assert 8.5 == pytest.approx(runtime.clock.now() - began_s)


async def test_a_drain_waits_for_inits_that_fail(runtime):
    """Their waiters are answered, and that is the end of it."""
    runtime.add("f", init=lambda _: 100, timeout_s=900)
    runtime.open()
    sent = runtime.send()

    assert await runtime.dispatcher.drain(60)
    assert Status.INIT_ERROR == (await sent).status


async def test_renewed_environments_are_let_go_and_busy_ones_finish(runtime):
    """The executor hears of it first, so that whatever it starts next is new."""
    runtime.add("f")
    runtime.open()
    idle, busy = runtime.send(), runtime.send()
    await idle
    await busy
    running = runtime.send()
    runtime.dispatcher.renew()
    commands = runtime.executors["f"].commands[-2:]

    assert ["renew", "stop 1"] == commands
    assert (await running).ok
    assert 0 == runtime.levels().idle
