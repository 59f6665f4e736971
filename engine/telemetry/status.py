"""The `/status.json` document: the same counters as the metrics page, for people and small scripts."""

from __future__ import annotations

from typing import Any, Final

import orjson

from engine.core.cluster_nodes import NodeEnvironments, add_environments
from engine.core.ledger import Component
from engine.telemetry.fine_classes import ERROR, PER_DOUBLING, percentile
from engine.telemetry.function_stats import FunctionStats, Levels
from engine.telemetry.histogram import HANDLER_BOUNDS_S, FineHistogram
from engine.telemetry.label_values import OUTCOMES
from engine.telemetry.nodes_page import nodes_shown
from engine.telemetry.stats import Stats
from engine.telemetry.stepwise_pages import Pieces, at_once

_STEP: Final = 100
"""Functions that are shown in one step: about 6 ms."""
_NOTE: Final = f"percentiles are of all since the start, and off by up to {ERROR:.1%}: `approximate`"


def status_pieces(stats: Stats, *, uptime_s: float) -> Pieces:
    """Everything about all functions, as JSON, in steps of milliseconds; each function is of one moment.

    Costs are decimal text with every digit, in US dollars; times are seconds. `duration_s.classes` are the
    classes of `telemetry.fine_classes` with their counts: two documents give percentiles of the time
    between. `duration_s.counts` are those between `duration_bounds_s`, as Prometheus gets them.
    """
    in_flight, shown = 0, []
    environments: dict[str, NodeEnvironments] = {}
    stats.nodes.refresh()
    for count, (name, one) in enumerate(list(stats.functions.items()), 1):
        now = one.levels()
        document = _function(one, now)
        add_environments(environments, now.nodes)
        in_flight += document["in_flight"]
        shown.append(orjson.dumps(name) + b":" + orjson.dumps(document))
        if count % _STEP == 0:
            yield
    rest = {
        "uptime_s": round(uptime_s, 3),
        "in_flight": in_flight,
        "listeners": stats.listeners,
        "account_concurrency_limit": stats.account_limit,
        "duration_bounds_s": HANDLER_BOUNDS_S,
        "classes_per_doubling": PER_DOUBLING,
        "rejected": dict(stats.rejected),
        "note": _NOTE,
    }
    if stats.nodes.known:
        rest["nodes"] = nodes_shown(stats, environments)
    return orjson.dumps(rest)[:-1] + b',"functions":{' + b",".join(shown) + b"}}"


def status_document(stats: Stats, *, uptime_s: float) -> dict[str, Any]:
    """The same as a document, made in one go."""
    document: dict[str, Any] = orjson.loads(at_once(status_pieces(stats, uptime_s=uptime_s)))
    return document


def _function(one: FunctionStats, now: Levels) -> dict[str, Any]:
    ledger, durable_usd = one.ledger, one.durable_usd()
    return {
        "in_flight": now.in_flight,
        "ready": now.ready,
        "desired": now.desired,
        "queued": now.queued,
        "environments": {"starting": now.starting, "idle": now.idle, "busy": now.busy},
        "invocations": {
            outcome.value: sum(trigger.ended[outcome] for trigger in one.triggers.values())
            for outcome in OUTCOMES
        },
        "scaled": {direction: dict(reasons) for direction, reasons in one.scale_events.items()},
        "throttles": {reason: count for reason, count in one.throttles.items() if count},
        "environments_pending": now.pending,
        "environments_wanted": one.wanted,
        "cold_starts": one.cold_starts,
        "init_failures": sum(one.init_failures.values()),
        "duration_s": _spread(one.duration)
        | {"counts": one.duration.counts.copy(), "classes": [*one.duration.classes.items()]},
        "queue_wait_s": _spread(one.queue_wait),
        "init_s": _spread(one.init),
        "billed_ms": ledger.billed_ms,
        "billed_gb_seconds": f"{ledger.gb_seconds:f}",
        "cost_usd": {
            **{component.value: f"{ledger.cost_usd(component):f}" for component in Component},
            **{component: f"{usd:f}" for component, usd in durable_usd.items()},
            "total": f"{ledger.cost_usd() + sum(durable_usd.values()):f}",
        },
    }


def _spread(histogram: FineHistogram) -> dict[str, Any]:
    count, classes, lowest = histogram.count, histogram.classes, histogram.lowest
    return {
        "count": count,
        "mean": histogram.sum / count if count else None,
        "approximate": {"p50": percentile(classes, 0.5, lowest), "p99": percentile(classes, 0.99, lowest)},
    }
