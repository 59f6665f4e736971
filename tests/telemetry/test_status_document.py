"""The status document."""

from __future__ import annotations

import json

from engine.core.outcome import Status
from engine.telemetry.status import status_document


def test_the_document_says_what_was_counted(bench):
    """Levels, outcomes, throttles, bill: the same numbers as the metrics page."""
    bench.run(duration_s=0.25006, init_s=0.10077, cold_start=True)
    bench.run(status=Status.ERROR, duration_s=0.001, trigger="http")
    bench.refuse("account_limit")
    document = json.loads(json.dumps(status_document(bench.stats, uptime_s=12.34567)))
    hello = document["functions"]["hello"]

    assert (12.346, 4) == (document["uptime_s"], document["in_flight"])
    assert (4, 5) == (hello["in_flight"], hello["queued"])
    assert {"starting": 1, "idle": 2, "busy": 3} == hello["environments"]
    assert {
        "success": 1,
        "error": 1,
    } == {word: count for word, count in hello["invocations"].items() if count}
    assert {"account_limit": 1} == hello["throttles"]
    assert (1, 352, "0.044") == (hello["cold_starts"], hello["billed_ms"], hello["billed_gb_seconds"])
    assert "0.0000004" == hello["cost_usd"]["request"]
    assert 2 == hello["duration_s"]["count"]
    assert {
        "count": 0,
        "mean": None,
        "approximate": {"p50": None, "p99": None},
        "counts": [0] * 19,
        "classes": [],
    } == document["functions"]["orders"]["duration_s"]
