"""Inits that wait for their turn, on virtual time: what callers, limits and metrics see of it."""

import asyncio

import pytest

from engine.core.error_bodies import InitFailure
from engine.core.init_turns import Use
from engine.core.outcome import Status
from engine.testing import Act, ScriptedExecutor


class Busy(ScriptedExecutor):
    """Inits that compute from their begin to their end, save for `queued_s` without a CPU."""

    queued_s = 0.0

    def start(self, env_id: int, /) -> None:
        self.since_s = {**getattr(self, "since_s", {}), env_id: self.loop.time()}
        super().start(env_id)

    def init_use(self, env_id: int) -> Use:
        took_s = self.loop.time() - self.since_s[env_id]
        return Use(max(1e-9, took_s - self.queued_s), min(took_s, self.queued_s))


class Sleeping(ScriptedExecutor):
    """Inits that wait for something else than a CPU."""

    def init_use(self, _env_id: int) -> Use:
        return Use(0.001, 0.0)


def set_kind(runtime, kind: type[ScriptedExecutor], name: str = "f") -> ScriptedExecutor:
    """Have the function's environments be of that kind."""
    scripted = runtime.executors[name]
    executor = kind(facts=scripted.facts, loop=scripted.loop, act=scripted.act, init=scripted.init)
    runtime.dispatcher.drivers[name].set_executor(executor)
    runtime.executors[name] = executor
    return executor


async def test_inits_that_compute_run_one_after_the_other_and_each_has_the_whole_limit(runtime_class):
    runtime = runtime_class(cores=1)
    runtime.add(init=lambda _: 4.0, act=lambda _: Act(takes_s=100.0), timeout_s=200)
    set_kind(runtime, Busy)
    runtime.open()

    outcomes = await asyncio.gather(*(runtime.send() for _ in range(8)))
    assert [Status.SUCCESS] * 8 == [outcome.status for outcome in outcomes]
    assert [4.0] * 8 == [outcome.init_s for outcome in outcomes]  # the wait is no part of it
    assert [4.0 * number for number in range(1, 9)] == pytest.approx([o.queue_wait_s for o in outcomes])


async def test_an_event_that_is_served_by_another_environment_is_no_cold_start(runtime_class):
    runtime = runtime_class(cores=1)
    runtime.add(init=lambda _: 1.0, act=lambda _: Act(takes_s=0.1))
    set_kind(runtime, Busy)
    runtime.open()

    outcomes = await asyncio.gather(*(runtime.send() for _ in range(5)))
    assert [True, False, False, False, False] == [outcome.cold_start for outcome in outcomes]
    assert [1.0, 1.1, 1.2, 1.3, 1.4] == pytest.approx([outcome.queue_wait_s for outcome in outcomes])
    assert [None] * 4 == [outcome.init_s for outcome in outcomes[1:]]


async def test_a_thousand_inits_that_sleep_run_side_by_side(runtime_class):
    runtime = runtime_class(cores=2)
    runtime.add(init=lambda _: 2.0, act=lambda _: Act(takes_s=60.0), timeout_s=100)
    set_kind(runtime, Sleeping)
    runtime.open()

    began_s = runtime.clock.now()
    await asyncio.gather(*(runtime.send() for _ in range(1000)))
    assert runtime.clock.now() - began_s < 60 + 2 + 2


async def test_time_without_a_cpu_does_not_count_towards_the_limit(runtime_class):
    runtime = runtime_class(cores=1)
    runtime.add(init=lambda _: 15.0)
    executor = set_kind(runtime, Busy)
    executor.queued_s = 6.0
    runtime.open()
    assert Status.SUCCESS is (await runtime.call()).status


async def test_time_with_one_does(runtime_class):
    runtime = runtime_class(cores=1)
    runtime.add(init=lambda _: 15.0)
    executor = set_kind(runtime, Busy)
    executor.queued_s = 4.0
    runtime.open()
    began_s = runtime.clock.now()

    assert Status.INIT_ERROR is (await runtime.call()).status
    assert pytest.approx(14.0) == runtime.clock.now() - began_s


async def test_one_functions_storm_does_not_keep_another_waiting(runtime_class):
    runtime = runtime_class(cores=1)
    for name in ("storm", "calm"):
        runtime.add(name, init=lambda _: 1.0, act=lambda _: Act(takes_s=1000.0), timeout_s=900)
        set_kind(runtime, Busy, name)
    runtime.open()

    storm = [runtime.send("storm") for _ in range(50)]
    calm = runtime.send("calm")
    await asyncio.wait([calm, *storm], return_when=asyncio.FIRST_COMPLETED)
    assert 1 == runtime.levels("calm").busy + calm.done()
    await asyncio.gather(calm, *storm)
    assert 3.0 == pytest.approx((await calm).queue_wait_s, abs=1.1)


async def test_an_executor_that_is_short_of_memory_holds_its_inits_back(runtime_class):
    runtime = runtime_class(cores=1)
    driver = runtime.add(init=lambda _: 1.0)
    executor = set_kind(runtime, Busy)
    runtime.open()
    driver.hold()

    call = runtime.send()
    await asyncio.sleep(30)
    assert ([], 1) == (executor.commands, runtime.levels().pending)
    driver.resume()
    assert Status.SUCCESS is (await call).status


async def test_nothing_ticks_once_nobody_waits(runtime_class):
    runtime = runtime_class(cores=1)
    runtime.add(init=lambda _: 1.0, keep_alive_s=1.0)
    set_kind(runtime, Busy)
    runtime.open()

    await asyncio.gather(*(runtime.send() for _ in range(3)))
    await asyncio.sleep(10)
    assert [] == runtime.loop.timers()


class Repeating(ScriptedExecutor):
    """Inits that failed are repeated inside the first invocation."""

    def repeat(self, env_id: int) -> bool:
        self.commands.append(f"repeat {env_id}")
        self._alive[env_id] = {}
        return True


async def test_a_repeated_init_keeps_the_turn_of_the_one_that_failed(runtime_class):
    """It computes as the first one did, though the environment serves already; another one waits for it."""
    runtime = runtime_class(cores=1)
    broken = InitFailure("Runtime.ExitError", "no table")
    runtime.add("f", init=lambda _: broken, act=lambda _: Act(takes_s=2.0))
    other = runtime.add("g", init=lambda _: 0.0)
    executor = set_kind(runtime, Repeating)
    set_kind(runtime, Busy, "g")
    runtime.open()

    first = runtime.send("f")
    second = runtime.send("g")
    await asyncio.sleep(0.1)
    assert ["start 1", "repeat 1"] == executor.commands[:2]
    assert (1, []) == (other.statistics().pending, runtime.executors["g"].commands)
    executor.facts.initialised(1)
    assert ["start 1"] == runtime.executors["g"].commands
    assert (await second).ok
    assert (await first).ok


async def test_the_turn_of_a_repeated_init_ends_with_its_environment(runtime_class):
    runtime = runtime_class(cores=1)
    broken = InitFailure("Runtime.ExitError", "no table")
    runtime.add("f", init=lambda _: broken, act=lambda _: Act(takes_s=100.0), timeout_s=1)
    runtime.add("g", init=lambda _: 0.0)
    set_kind(runtime, Repeating)
    set_kind(runtime, Busy, "g")
    runtime.open()

    first, second = runtime.send("f"), runtime.send("g")
    assert Status.TIMEOUT is (await first).status
    assert (await second).ok
