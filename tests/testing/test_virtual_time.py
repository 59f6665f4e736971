"""Virtual time passes at once, in order, and tells when nothing can ever happen again."""

import asyncio
import threading

import pytest

from engine.testing import VirtualClock, VirtualTimeLoop, virtual_platform


async def test_a_day_passes_at_once_and_in_order():
    """Whoever sleeps less wakes first; all clocks agree."""
    loop, woken = asyncio.get_running_loop(), []
    began_s, wall_s = loop.clock.now(), loop.clock.wall()

    async def sleeper(hours):
        await asyncio.sleep(hours * 3600)
        woken.append((hours, round(loop.time() - began_s)))

    await asyncio.gather(*(sleeper(hours) for hours in (24, 1, 7)))

    assert [(1, 3600), (7, 25_200), (24, 86_400)] == woken
    assert 86_400 == pytest.approx(loop.clock.now() - began_s) == pytest.approx(loop.clock.wall() - wall_s)


async def test_timeouts_are_timers_too():
    """`asyncio.timeout` strikes at its moment."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1000):
            await asyncio.Event().wait()

    assert 1000 == pytest.approx(loop.time() - began_s)


async def test_no_time_passes_while_something_can_run():
    """Time jumps only when every task waits."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for _ in range(1000):
        await asyncio.sleep(0)

    assert began_s == loop.time()


def test_wall_time_begins_in_2026():
    """So that what is printed can be read, and a stray reading of the real clock is noticed."""
    clock = VirtualClock()
    clock.advance(60)

    assert 1_767_225_660.0 == clock.wall()


def test_waiting_for_what_can_never_happen_is_a_deadlock():
    """Said once another thread has had time to go on."""
    deadlock = pytest.raises(RuntimeError, match="deadlock: every task waits and no timer is set")
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience_s=0.01)) as runner, deadlock:
        runner.run(asyncio.Event().wait())


async def test_another_thread_is_waited_for():
    """It takes real time, not virtual."""
    loop, gate = asyncio.get_running_loop(), threading.Event()
    began_s = loop.time()
    done = loop.run_in_executor(None, gate.wait, 10)
    loop.call_soon(gate.set)

    assert await done
    assert began_s == loop.time()


async def test_the_virtual_platform_imports_in_place():
    """And reads the loop's clock."""
    platform = virtual_platform()

    assert asyncio.get_running_loop().clock is platform.clock
    assert threading.get_ident() == await platform.offload(threading.get_ident)


@pytest.mark.real_time
async def test_virtual_time_needs_its_loop():
    """On another loop it says so at once."""
    with pytest.raises(TypeError, match="virtual time needs a VirtualTimeLoop, not Loop"):
        virtual_platform()
