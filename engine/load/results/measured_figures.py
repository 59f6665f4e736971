"""Takes the figures by which limits are found out of the document of a run."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from prometheus_client.samples import Sample

from engine.load.results.limit_figures import LimitFigures
from engine.load.results.metrics_page import samples

Document = Mapping[str, Any]
Columns = Mapping[str, Sequence[float]]

_MIN_WINDOW_S: Final = 3.0
_WINDOW_SHARE: Final = 1 / 3
"""Whatever is at its limit is so for a while: the longest of these is looked at where it is busiest."""

_MIN_HANDLED: Final = 5
"""Invocations that a mean duration takes."""


class MetricFigures:
    """What a page of metrics says, less what the page from before the run said.

    Attributes:
        held_by_memory: Environments that were not started at once, for want of memory.
        limits: Highest concurrency, by function.
        memory_mb: Configured memory, by function.
    """

    def __init__(self, metrics: str, before: str) -> None:
        now = list(samples(metrics))
        self.held_by_memory = int(_held(now) - _held(samples(before)))
        self.limits: dict[str, int] = {}
        self.memory_mb: dict[str, int] = {}
        for sample in now:
            if sample.name == "engine_concurrency_limit" and sample.labels["kind"] == "maximum":
                self.limits[sample.labels["function"]] = int(sample.value)
            elif sample.name == "engine_function_info":
                self.memory_mb[sample.labels["function"]] = int(sample.labels["memory_mb"])


def _held(page: Iterable[Sample]) -> float:
    return sum(
        sample.value
        for sample in page
        if sample.name == "engine_environments_held_total" and sample.labels["reason"] == "memory"
    )


def worst_stage(document: Document) -> Mapping[str, Any] | None:
    """The stage that served the smallest share of what was offered, or the slowest of several.

    Warm-up is looked at if there is nothing else.
    """
    stages = document["stages"]
    measured = [one for one in stages if not one["warmup"]] or stages
    return max(measured, key=lambda one: (_unserved(one), one["p99_ms"]), default=None)


def _unserved(stage: Mapping[str, Any]) -> float:
    lost = stage["refused"] + stage["failed"] + max(0, stage["open_at_end"] - stage["open_before"])
    return float(round(lost / stage["offered"], 3)) if stage["offered"] else 0.0


def limit_figures(document: Document, metrics: MetricFigures) -> LimitFigures | None:
    """The figures of the stage that went worst; None if no stage was over."""
    stage = worst_stage(document)
    if stage is None:
        return None
    from_s, to_s = stage["begin_s"], stage["begin_s"] + stage["seconds"]
    figures = {
        **_of_callers(document, stage),
        **_of_host(document, from_s, to_s),
        **_of_engine(document, metrics, from_s, to_s),
    }
    return LimitFigures(seconds=stage["seconds"], offered=stage["offered"], **figures)


def _of_callers(document: Document, stage: Mapping[str, Any]) -> dict[str, Any]:
    rate_per_s = stage["offered"] / stage["seconds"]
    end_s = stage["begin_s"] + stage["seconds"]
    in_handlers = _at(document["samples"], "in_flight", end_s) if document["samples"]["at_s"] else 0.0
    waits = max(0.0, stage["open_at_end"] - in_handlers)
    return {
        "refused": stage["refused"],
        "failed": max(stage["failed"], stage["due_and_failed"]),
        "never_sent": stage["never_sent"],
        "behind_s": waits / rate_per_s if rate_per_s and document["engine"] is not None else 0.0,
        "lag_ms": stage["lag_p99_ms"],
        "late_ms": max(0.0, stage["p99_ms"] - _handler_p99_ms(document)),
        "executors": tuple(dict.fromkeys(document["settings"].get("executors", {}).values())),
    }


def _handler_p99_ms(document: Document) -> float:
    spreads = [one["duration_p99_ms"] for one in document["functions"].values()]
    return max((one for one in spreads if one is not None), default=0.0)


def _of_host(document: Document, from_s: float, to_s: float) -> dict[str, Any]:
    host = document["host"]
    inside = _inside(host["at_s"], from_s, to_s)
    if not inside:
        return {
            "cores": document["machine"]["cores"] or 1,
            "generator_cpu": document["client"]["cpu_percent"] / 100,
        }
    engine_cpu, engine_wait = _busiest(host, "engine_cpu_s", "engine_wait_s", from_s, to_s)
    generator_cpu, generator_wait = _busiest(host, "generator_cpu_s", "generator_wait_s", from_s, to_s)
    handlers_cpu, handlers_wait = _busiest(host, "handlers_cpu_s", "handlers_wait_s", from_s, to_s)
    is_seen = any(host["engine_cpu_s"])
    return {
        "cores": document["machine"]["cores"] or 1,
        "engine_cpu": engine_cpu if is_seen else None,
        "engine_wait": engine_wait if is_seen else None,
        "handlers_cpu": handlers_cpu if is_seen else None,
        "handlers_wait": handlers_wait if is_seen else None,
        "generator_cpu": generator_cpu,
        "generator_wait": generator_wait,
        "busy_cores": grown(host, "busy_s", from_s, to_s) / (to_s - from_s),
        "memory_left": min(host["memory_left"][place] for place in inside),
        "unread": max(max(host["unread"][place], host["unaccepted"][place]) for place in inside),
    }


def _of_engine(document: Document, metrics: MetricFigures, from_s: float, to_s: float) -> dict[str, Any]:
    engine, samples = document["engine"], document["samples"]
    inside = _inside(samples["at_s"], from_s, to_s)
    if engine is None or not inside:
        return {"is_engine": engine is not None}
    inits = grown(samples, "inits", from_s, to_s)
    every = list(_handler_means_ms(samples, 0.0, math.inf))
    # If none ended in the stage, those that ended next had begun in it.
    means = (
        list(_handler_means_ms(samples, from_s, to_s))
        or list(_handler_means_ms(samples, from_s, math.inf))[:1]
    )
    refused = [name for name, one in document["functions"].items() if one["throttles"]]
    driven = {stream["function"] for stream in document["client"]["streams"].values()}
    loop_lag = document["loop_lag"]
    lags = [loop_lag["p99_ms"][place] for place in _inside(loop_lag["at_s"], from_s, to_s)]
    bounds = [metrics.limits[name] for name in refused if name in metrics.limits]
    return {
        "loop_lag_ms": max(lags, default=None),
        "held_by_memory": metrics.held_by_memory,
        "out_of_memory": sum(one["by_status"].get("oom", 0) for one in document["functions"].values()),
        "throttles": _throttles(document, from_s, to_s),
        "concurrency_limit": min(bounds, default=None),
        **{name: _mean(samples, name, inside) for name in ("in_flight", "busy", "starting", "pending")},
        "shortfall": sum(samples["ready"][at] < samples["desired"][at] for at in inside) / len(inside),
        "init_s": grown(samples, "init_s", from_s, to_s) / inits if inits >= 1 else None,
        "handler_ms": means[-1] if means else None,
        "handler_best_ms": min(every, default=None),
        "environments_wanted": engine["environments_wanted"],
        "memory_mb": max((mb for name, mb in metrics.memory_mb.items() if name in driven), default=None),
    }


def _throttles(document: Document, from_s: float, to_s: float) -> dict[str, int]:
    """By reason, as they are in the whole run, scaled down to those of the stage."""
    by_reason: dict[str, int] = {}
    for one in document["functions"].values():
        for reason, count in one["throttles_by_reason"].items():
            by_reason[reason] = by_reason.get(reason, 0) + count
    total = sum(by_reason.values())
    share = min(1.0, grown(document["samples"], "throttles", from_s, to_s) / total) if total else 0.0
    return {reason: round(count * share) for reason, count in by_reason.items()}


def _handler_means_ms(samples: Columns, from_s: float, to_s: float) -> Iterator[float]:
    """Of each stretch of about a second, the mean duration of the handlers that ended in it."""
    marks: list[int] = []
    for place in _inside(samples["at_s"], from_s, to_s):
        if not marks or samples["at_s"][place] - samples["at_s"][marks[-1]] >= 1.0:
            marks.append(place)
    for first, last in pairwise(marks):
        ended = samples["handled"][last] - samples["handled"][first]
        if ended >= _MIN_HANDLED:
            yield 1000 * (samples["handler_s"][last] - samples["handler_s"][first]) / ended


def _busiest(columns: Columns, ran: str, waited: str, from_s: float, to_s: float) -> tuple[float, float]:
    """Shares of the time for which it ran and waited, where both together are highest."""
    length_s = min(max(_MIN_WINDOW_S, _WINDOW_SHARE * (to_s - from_s)), to_s - from_s)
    starts = [columns["at_s"][place] for place in _inside(columns["at_s"], from_s, to_s - length_s)]
    shares = [
        tuple(grown(columns, name, at_s, at_s + length_s) / length_s for name in (ran, waited))
        for at_s in (from_s, *starts)
    ]
    best = max(shares, key=sum)
    return round(best[0], 4), round(best[1], 4)


def _inside(at_s: Sequence[float], from_s: float, to_s: float) -> list[int]:
    """Places of the samples in that time."""
    return [place for place, one in enumerate(at_s) if from_s <= one <= to_s]


def _mean(columns: Columns, name: str, places: Sequence[int]) -> float:
    return sum(columns[name][place] for place in places) / len(places)


def grown(columns: Columns, name: str, from_s: float, to_s: float) -> float:
    """What a counter grew by in that time."""
    return max(0.0, _at(columns, name, to_s) - _at(columns, name, from_s))


def _at(columns: Columns, name: str, at_s: float) -> float:
    """The value of a column at a moment, between its samples in proportion."""
    times, values = columns["at_s"], columns[name]
    after = bisect_right(times, at_s)
    if after == 0:
        return values[0]
    if after == len(times):
        return values[-1]
    before = after - 1
    share = (at_s - times[before]) / (times[after] - times[before])
    return values[before] + share * (values[after] - values[before])
