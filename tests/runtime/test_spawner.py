"""Tasks started from callbacks run, end with their block, and fail loudly and alone."""

import asyncio

import anyio
import anyio.lowlevel

from engine.runtime.spawner import Spawner


async def test_a_callback_can_start_tasks_in_which_anyio_works():
    """Whether or not `sniffio` is installed, by which anyio refuses to guess."""
    done = []

    async def work(number):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0.1)
        with anyio.move_on_after(1):
            await anyio.lowlevel.checkpoint()
        done.append(number)

    loop = asyncio.get_running_loop()
    async with Spawner() as spawn:
        loop.call_soon(spawn, work, 1)
        loop.call_later(0.05, spawn, work, 2)
        await asyncio.sleep(0.07)

    assert [1, 2] == done


async def test_a_task_that_fails_ends_alone_and_is_logged_with_its_traceback(caplog):
    async def fail():
        raise ValueError("a bug")

    ended = []

    async def go_on():
        await asyncio.sleep(1)
        ended.append(True)

    async with Spawner() as spawn:
        asyncio.get_running_loop().call_soon(spawn, fail)
        asyncio.get_running_loop().call_soon(spawn, go_on)
        await asyncio.sleep(2)
        spawn(go_on)

    [record] = caplog.records
    assert [True, True] == ended
    assert ("ERROR", "a bug") == (record.levelname, str(record.exc_info[1]))


async def test_what_is_started_after_the_end_never_runs():
    """A connection may still be open when its listener is told to go."""
    ran = []

    async def work():
        ran.append(True)

    async with Spawner() as spawn:
        pass
    spawn(work)
    await asyncio.sleep(0)

    assert [] == ran


async def test_a_scope_around_the_block_cancels_its_tasks():
    cancelled = []

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(True)

    with anyio.CancelScope() as scope:
        async with Spawner() as spawn, anyio.create_task_group() as group:
            asyncio.get_running_loop().call_soon(spawn, wait)
            group.start_soon(anyio.sleep, 60)
            await asyncio.sleep(1)
            scope.cancel()

    assert [True] == cancelled
