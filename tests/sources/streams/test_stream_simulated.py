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
        for number, at_s in enumerate(AT_S):
            await anyio.sleep(max(0.0, site.began_s + at_s - site.clock.now()))
            site.put(str(number), key="k")
        await anyio.sleep(30)
        seen = [(round(run.at_s, 2), len(run.data)) for run in site.runs]

    assert simulated(kernel) == seen


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
    return [(round(at_s, 2), size) for at_s, size in run.streams[0].invoked]
