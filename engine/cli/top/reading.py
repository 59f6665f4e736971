"""What a running engine did between two of its status documents: rates, percentiles, levels, by function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from engine.telemetry import fine_classes
from engine.telemetry.fine_classes import percentile

Document = Mapping[str, Any]
"""A `/status.json` document."""

_HOUR_S: Final = 3600
_NOTHING: Final[Document] = {
    "invocations": {},
    "throttles": {},
    "cold_starts": 0,
    "duration_s": {"classes": ()},
    "cost_usd": {"total": "0"},
    "scaled": {},
}


class FunctionRow(NamedTuple):
    """One function, between two documents.

    Attributes:
        function: Its name.
        per_s: Invocations that ended, a second.
        errors: Share of them that did not end in success; None if none ended.
        throttles_per_s: Refused for lack of concurrency, a second.
        p50_s, p99_s: Time in the handler, right to `fine_classes.ERROR`; None if nothing ran.
        in_flight, queued, environments: Levels of now.
        cold_per_s: Cold starts, a second.
        usd_per_s: What it cost, US dollars a second.
        usd_per_million: The same for a million invocations; None if none ended.
    """

    function: str
    per_s: float
    errors: float | None
    throttles_per_s: float
    p50_s: float | None
    p99_s: float | None
    in_flight: int
    queued: int
    environments: int
    cold_per_s: float
    usd_per_s: float
    usd_per_million: float | None


class NodeRow(NamedTuple):
    """One node of the cluster, between two documents.

    Attributes:
        node: Its name.
        state: `up`, `lost` or `left`.
        per_s: Invocations that ended there, a second.
        errors: Share of them that did not end in success; None if none ended.
        environments: Starting, idle and busy ones.
        load, cores: CPUs that are at work, and that there are; None while it is not there.
        free_memory_mb, memory_mb: In the same way.
        round_trip_s: Of the last heartbeat; None before the first.
    """

    node: str
    state: str
    per_s: float
    errors: float | None
    environments: int
    load: float | None
    cores: float | None
    free_memory_mb: int | None
    memory_mb: int | None
    round_trip_s: float | None


class TopSnapshot(NamedTuple):
    """The whole engine, between two documents; rates as in `FunctionRow`.

    Attributes:
        uptime_s: Of the engine.
        span_s: Seconds between the documents.
        rows: Every function, in order of registration.
        ready, desired: Slots that are up, and that all work of now would take.
        usd_per_hour: What an hour like this costs.
        nodes: Those of the cluster; none without one.
    """

    uptime_s: float
    span_s: float
    rows: tuple[FunctionRow, ...]
    per_s: float
    throttles_per_s: float
    cold_per_s: float
    in_flight: int
    ready: int
    desired: int
    queued: int
    usd_per_hour: float
    nodes: tuple[NodeRow, ...]


def frame_of(before: Document | None, after: Document) -> TopSnapshot:
    """What happened between two documents. Without a first one, or of another process, all rates are 0."""
    if before is None or before["uptime_s"] >= after["uptime_s"]:
        before = after
    span_s = after["uptime_s"] - before["uptime_s"]
    rows = tuple(
        _row(name, before["functions"].get(name, _NOTHING), one, span_s)
        for name, one in after["functions"].items()
    )
    functions = after["functions"].values()
    return TopSnapshot(
        uptime_s=after["uptime_s"],
        span_s=span_s,
        rows=rows,
        per_s=sum(row.per_s for row in rows),
        throttles_per_s=sum(row.throttles_per_s for row in rows),
        cold_per_s=sum(row.cold_per_s for row in rows),
        in_flight=after["in_flight"],
        ready=sum(one["ready"] for one in functions),
        desired=sum(one["desired"] for one in functions),
        queued=sum(row.queued for row in rows),
        usd_per_hour=sum(row.usd_per_s for row in rows) * _HOUR_S,
        nodes=_nodes(before, after, span_s),
    )


def nodes_of(document: Document) -> dict[str, Document]:
    """The nodes of the cluster in it, by name; none without one."""
    return {node["name"]: node for node in document.get("nodes", ())}


def gained(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How much each counter rose; those that did not, or began anew, are left out."""
    risen = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in risen.items() if count > 0}


def _nodes(before: Document, after: Document, span_s: float) -> tuple[NodeRow, ...]:
    old = nodes_of(before)
    each_s = 1 / span_s if span_s > 0 else 0.0
    rows = []
    for name, node in nodes_of(after).items():
        ended = gained(old.get(name, _NOTHING)["invocations"], node["invocations"])
        count = sum(ended.values())
        rows.append(
            NodeRow(
                node=name,
                state=node["state"],
                per_s=count * each_s,
                errors=1 - ended.get("success", 0) / count if count else None,
                environments=sum(node["environments"].values()),
                load=node.get("load"),
                cores=node.get("cores"),
                free_memory_mb=node.get("free_memory_mb"),
                memory_mb=node.get("memory_mb"),
                round_trip_s=node.get("round_trip_s"),
            )
        )
    return tuple(rows)


def _row(name: str, before: Document, after: Document, span_s: float) -> FunctionRow:
    ended = gained(before["invocations"], after["invocations"])
    count = sum(ended.values())
    times = fine_classes.gained(dict(before["duration_s"]["classes"]), dict(after["duration_s"]["classes"]))
    usd = max(0.0, float(after["cost_usd"]["total"]) - float(before["cost_usd"]["total"]))
    each_s = 1 / span_s if span_s > 0 else 0.0
    return FunctionRow(
        function=name,
        per_s=count * each_s,
        errors=1 - ended.get("success", 0) / count if count else None,
        throttles_per_s=sum(gained(before["throttles"], after["throttles"]).values()) * each_s,
        p50_s=percentile(times, 0.5),
        p99_s=percentile(times, 0.99),
        in_flight=after["in_flight"],
        queued=after["queued"],
        environments=sum(after["environments"].values()),
        cold_per_s=max(0, after["cold_starts"] - before["cold_starts"]) * each_s,
        usd_per_s=usd * each_s,
        usd_per_million=usd / count * 1e6 if count else None,
    )
