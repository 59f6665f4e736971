"""`/nodes.json` of the admin listener: the nodes of the cluster, as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.core.cluster_nodes import NodeEnvironments, add_environments
from engine.telemetry.label_values import OUTCOMES
from engine.telemetry.node_stats import NodeStats
from engine.telemetry.stats import Stats
from engine.telemetry.stepwise_pages import Pieces

_STEP: Final = 200
"""Functions that are looked at in one step: about a millisecond."""


def nodes_pieces(stats: Stats) -> Pieces:
    """All nodes with a label value of their own, in steps; `left_out` says how many more are there.

    Without a cluster there are none. Times are seconds.
    """
    environments: dict[str, NodeEnvironments] = {}
    stats.nodes.refresh()
    if stats.nodes.shown:
        for count, one in enumerate(list(stats.functions.values()), 1):
            add_environments(environments, one.levels().nodes)
            if count % _STEP == 0:
                yield
    document = {"nodes": nodes_shown(stats, environments), "left_out": stats.nodes.overflowed}
    return orjson.dumps(document)


def nodes_shown(stats: Stats, environments: Mapping[str, NodeEnvironments]) -> list[dict[str, Any]]:
    """The nodes by name, those that were lost within the hour too; `environments` of each were counted."""
    return [
        _node(name, one, environments.get(name, NodeEnvironments()))
        for name, one in sorted(stats.nodes.known.items())
    ]


def _node(name: str, one: NodeStats, environments: NodeEnvironments) -> dict[str, Any]:
    description, reading = one.description, one.reading
    document: dict[str, Any] = {"name": name, "state": one.state}
    if description is not None:
        document |= {
            "address": description.address,
            "cores": description.cores,
            "memory_mb": description.memory_mb,
            "python": description.python,
            "version": description.version,
            "own_tmp": description.own_tmp,
        }
    if reading is not None:
        document |= {
            "load": reading.load,
            "free_memory_mb": reading.free_memory_mb,
            "silent_s": round(reading.silent_s, 3),
            "round_trip_s": reading.round_trip_s,
        }
    return document | {
        "environments": environments._asdict(),
        "invocations": {outcome.value: one.ended[outcome] for outcome in OUTCOMES},
        "cold_starts": one.cold_starts,
        "joins": one.joins,
        "losses": dict(one.losses),
    }
