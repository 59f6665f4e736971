"""Many cold starts at once on real processes: none fails, and no more import at a time than may."""

import asyncio

import pytest

from engine.core.outcome import Status

pytestmark = pytest.mark.real_time

IMPORT = """
import os, time

def note(what):
    file = os.open(os.path.dirname(__file__) + "/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, what)
    os.close(file)

note(b"+")
until_s = time.thread_time() + 0.12
while time.thread_time() < until_s:
    pass
note(b"-")

def handler(event, context):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("limits", [{}, {"provisioned_concurrency": 4}])
async def test_inits_that_compute_run_as_many_at_a_time_as_they_may(make, tmp_path, limits):
    engine = make(IMPORT, settings={"init_concurrency": 1}, **limits)
    async with engine:
        outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(10)))
        async with asyncio.timeout(60):  # an init that the end of the engine cuts short has no second mark
            while (now := engine.sink.drivers["f"].statistics()).starting or now.pending:
                await asyncio.sleep(0.01)

    assert [Status.SUCCESS] * 10 == [outcome.status for outcome in outcomes]
    text = (tmp_path / "code" / "log").read_text()
    assert text.startswith("+-")
    assert "++" not in text


async def test_inits_that_wait_for_something_else_run_side_by_side(make):
    """Forty of 0.5 s, one after the other, would take twenty: `timeout_s` of the events has ended by then."""
    source = "import time\ntime.sleep(0.5)\ndef handler(event, context): time.sleep(1)\n"
    async with make(source, settings={"init_concurrency": 1}) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(40)))

    assert 10 <= sum(outcome.cold_start for outcome in outcomes)
