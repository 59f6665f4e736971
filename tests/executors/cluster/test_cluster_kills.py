"""A short drill of `tests/bench/cluster_kills.py`: nodes are taken away while they work."""

import pytest

from tests.bench.cluster_kills import Drill


@pytest.mark.real_time
async def test_every_caller_is_answered_once_and_no_event_is_lost_whatever_becomes_of_nodes():
    """An agent is killed, another one too, a third stands still."""
    result = await Drill(kills=3, callers=6, agents=2).run()

    assert ([], 0) == (result["wrong"], result["events_lost"])
    assert {"success", "crash"} >= set(result["outcomes"])
    assert result["events"] > 0
