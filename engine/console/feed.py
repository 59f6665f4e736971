"""What the console's page reads once a second: counters and levels, from which it makes rates itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from engine.core.cluster_nodes import NodeEnvironments, add_environments
from engine.telemetry.fine_classes import LOWEST, LOWEST_WAIT, PER_DOUBLING
from engine.telemetry.function_stats import FunctionStats, Levels
from engine.telemetry.histogram import LOOP_LAG_BOUNDS_S
from engine.telemetry.nodes_page import nodes_shown
from engine.telemetry.stats import Stats
from engine.telemetry.stepwise_pages import Pieces

_STEP: Final = 50
"""Functions of one step: about a millisecond."""
BOUNDS: Final = {
    "lag": LOOP_LAG_BOUNDS_S,
    "per_doubling": PER_DOUBLING,
    "lowest_duration": LOWEST,
    "lowest_wait": LOWEST_WAIT,
}
"""How the counts of the feed are to be read: upper bounds, seconds, and `telemetry.fine_classes`."""


def feed_pieces(stats: Stats, **rest: Any) -> Pieces:
    """All functions, in steps that leave the loop to others between them; `rest` goes with them.

    Counters only rise while their function lives. Costs are US dollars, times seconds.
    """
    shown, environments = [], dict[str, NodeEnvironments]()
    stats.nodes.refresh()
    for number, (name, one) in enumerate(list(stats.functions.items()), 1):
        now = one.levels()
        shown.append(orjson.dumps(name) + b":" + orjson.dumps(_counters(one, now)))
        add_environments(environments, now.nodes)
        if number % _STEP == 0:
            yield
    rest |= {
        "account_limit": stats.account_limit,
        "lag": stats.loop_lag.counts,
        "mappings": list(_mappings(stats)),
        "nodes": nodes_shown(stats, environments),
    }
    return orjson.dumps(rest)[:-1] + b',"functions":{' + b",".join(shown) + b"}}"


def _counters(one: FunctionStats, now: Levels) -> dict[str, Any]:
    triggers = one.triggers.values()
    return {
        "levels": [*now[:-1]],  # in the order of `Levels`, without nodes
        "limit": one.limits["maximum"],
        "ended": [*map(sum, zip(*[trigger.ended.values() for trigger in triggers], strict=True))],
        "throttles": {reason: count for reason, count in one.throttles.items() if count},
        "cold": one.cold_starts,
        "duration": [*one.duration.classes.items()],
        "wait": [*one.queue_wait.classes.items()],
        "usd": float(one.ledger.cost_usd() + sum(one.durable_usd().values())),
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
