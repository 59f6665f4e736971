"""What the console's page reads once a second: counters and levels, from which it makes rates itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from engine.telemetry.function_stats import FunctionStats
from engine.telemetry.histogram import HANDLER_BOUNDS_S, LOOP_LAG_BOUNDS_S, QUEUE_WAIT_BOUNDS_S
from engine.telemetry.stats import Stats
from engine.telemetry.stepwise_pages import Pieces

_STEP: Final = 50
"""Functions of one step: about a millisecond."""
BOUNDS: Final = {
    "duration": HANDLER_BOUNDS_S,
    "wait": QUEUE_WAIT_BOUNDS_S,
    "lag": LOOP_LAG_BOUNDS_S,
}
"""Upper bounds of the histograms, seconds."""


def feed_pieces(stats: Stats, **rest: Any) -> Pieces:
    """All functions, in steps that leave the loop to others between them; `rest` goes with them.

    Counters only rise while their function lives. Costs are US dollars, times seconds.
    """
    shown = []
    for number, (name, one) in enumerate(list(stats.functions.items()), 1):
        shown.append(orjson.dumps(name) + b":" + orjson.dumps(_counters(one)))
        if number % _STEP == 0:
            yield
    rest |= {
        "account_limit": stats.account_limit,
        "lag": stats.loop_lag.counts,
        "mappings": list(_mappings(stats)),
    }
    return orjson.dumps(rest)[:-1] + b',"functions":{' + b",".join(shown) + b"}}"


def _counters(one: FunctionStats) -> dict[str, Any]:
    now = one.levels()
    triggers = one.triggers.values()
    return {
        "levels": [*now],  # in the order of `Levels`
        "limit": one.limits["maximum"],
        "ended": [*map(sum, zip(*[trigger.ended.values() for trigger in triggers], strict=True))],
        "throttles": {reason: count for reason, count in one.throttles.items() if count},
        "cold": one.cold_starts,
        "duration": one.duration.counts,
        "wait": one.queue_wait.counts,
        "usd": float(one.ledger.cost_usd()),
    }


def _mappings(stats: Stats) -> Iterator[dict[str, Any]]:
    for function, sources in stats.mappings.read().items():
        for source, reading in sources.items():
            yield {
                "function": function,
                "source": source,
                "backlog": reading.backlog,
                "oldest_age_s": reading.oldest_age_s,
                "pollers": reading.pollers,
                "running": reading.running,
                "failed": reading.records["failed"],
            }
