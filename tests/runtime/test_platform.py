"""Worker threads of the platform."""

import asyncio
import threading

import pytest

from engine.runtime.platform import Platform


@pytest.mark.real_time
async def test_work_apart_has_as_many_threads_as_it_asked_for_and_keeps_none_of_the_rest():
    """More than all other work may have."""
    platform, all_there = Platform(), threading.Barrier(51)
    apart = platform.offload_apart(50)
    waiting = [asyncio.ensure_future(apart(all_there.wait)) for _ in range(50)]
    await platform.offload(all_there.wait)

    assert set(range(51)) > {await one for one in waiting}
