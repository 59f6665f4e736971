"""Simulator and live driver obey one kernel: the same records give the same batches at the same times."""

from __future__ import annotations

import anyio
import pytest

from engine.core.function import Function
from engine.core.streams.settings import StreamSettings
from engine.model.simulation.simulated_stream import StreamLoad
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload
from engine.testing import Act

AT_S = [*[0.25] * 30, *[1.5 + n / 16 for n in range(40)], *[20.3] * 10]
"""No record comes at the very moment of a read."""
POISON = 7
BATCH_S = 0.75


@pytest.mark.parametrize(
    ("live", "kernel"),
    [
        ({"batch_size": 8}, {"batch_size": 8}),
        (
            {"batch_size": 10, "maximum_batching_window_s": 2},
            {"batch_size": 10, "batching_window_s": 2},
        ),
        (
            {"batch_size": 16, "bisect_batch_on_function_error": True},
            {"batch_size": 16, "bisect": True},
        ),
    ],
)
async def test_live_and_simulated_mappings_invoke_alike(make_stream_site, failure, live, kernel):
    """One key: which sub-shard or shard it belongs to does not matter."""

    def act(run):
        bad = str(POISON) in run.data
        return Act(takes_s=BATCH_S, result=failure) if bad else Act(takes_s=BATCH_S)

    async with make_stream_site(act, maximum_retry_attempts=2, poll_interval_s=1, **live) as site:
        began_s = await next_read_s(site)  # a simulated stream is read at second 0
        for number, at_s in enumerate(AT_S):
            await anyio.sleep(max(0.0, began_s + at_s - site.clock.now()))
            site.put(str(number), key="k")
        await anyio.sleep(30)
        times_s = [site.began_s + run.at_s - began_s for run in site.runs]

    invoked = simulated(kernel)

    assert [size for _, size in invoked] == [len(run.data) for run in site.runs]
    assert [at_s for at_s, _ in invoked] == pytest.approx(times_s, abs=0.02)


async def next_read_s(site):
    """When the mapping reads next, to a hundredth of a second."""
    reads = site.stream.reads
    while site.stream.reads == reads:
        await anyio.sleep(0.01)
    return site.clock.now()


def simulated(kernel):
    """Times and sizes of the batches that the simulator makes of it."""
    load = StreamLoad(
        at_s=AT_S,
        keys=[0] * len(AT_S),
        batch_s=[BATCH_S],
        poison=frozenset([POISON]),
        settings=StreamSettings(maximum_retry_attempts=2, **kernel),
        has_read_limits=False,
    )
    run = Simulation(
        [Workload(function=Function("work", handler="a.b"), at_s=[], service_s=[])], streams={"work": load}
    )
    run.run()
    return run.streams[0].invoked
