"""The result of a run as one JSON document: run.json, and what report.html shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Any, Final

from engine.core.late_dataclass import dataclass
from engine.core.ledger import Component
from engine.load.planning.plan import Plan
from engine.load.planning.scenario import Scenario
from engine.load.results.checks import dropped_check, generator_checks, limit_checks, sum_checks, verdict
from engine.load.results.conservation import compared, engine_counts, totals
from engine.load.results.knee import knee
from engine.load.results.limit_rules import FoundLimit, limit_of
from engine.load.results.measured_figures import MetricFigures, limit_figures
from engine.load.results.metrics_page import buckets, counted_since, quantile
from engine.load.results.stages import stage_rows
from engine.load.running.deliveries import RecordDeliveries
from engine.load.running.host_sampling import HostSample
from engine.load.running.sampling import EngineSample, LoopLagSample
from engine.report.figures import plain
from engine.telemetry.fine_classes import percentile

_SINCE_START: Final = ("invocations", "throttles", "cold_starts", "cost_usd")
"""Columns of the samples that count since the start of the engine; in the document since that of the run."""

_OVERHEAD: Final = "engine_overhead_seconds"
_MILLION: Final = 1_000_000
_PER_THOUSAND: Final = 1000
_MONTH_S: Final = 730 * 3600
"""AWS's month in its price examples: 730 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTestRun:
    """A run that has ended.

    Attributes:
        scenario, plan: What was to be done.
        client: What Locust found.
        samples: What the engine said meanwhile.
        host: What the machine was doing meanwhile.
        loop_lags: How late the engine's event loop woke.
        status: Its last /status.json, less what was before the run; None if there was no engine to ask.
        metrics, metrics_before: Its last metrics page, and that from before the run if others use it too.
        deliveries, dead, waiting: What became of records, by stream.
        prometheus: What a Prometheus saw, if there was one.
        settings: Scale, capacity and the like.
        machine: What it ran on.
    """

    scenario: Scenario
    plan: Plan
    client: Mapping[str, Any]
    samples: Sequence[EngineSample]
    host: Sequence[HostSample]
    loop_lags: Sequence[LoopLagSample]
    status: Mapping[str, Any] | None
    metrics: str
    metrics_before: str
    deliveries: Mapping[str, RecordDeliveries]
    dead: Mapping[str, int]
    waiting: Mapping[str, int]
    prometheus: Mapping[str, float | None] | None
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]


def document(run: LoadTestRun) -> dict[str, Any]:
    """The document: seconds from the beginning of the load, milliseconds for latencies, money as text."""
    client, plan = run.client, run.plan
    samples, host = _samples(run.samples, client["begin_s"]), _host(run.host, client["begin_s"])
    counted = None if run.status is None else engine_counts(run.metrics, run.metrics_before)
    counts = compared(plan, client, counted, run.deliveries, run.dead, run.waiting)
    result: dict[str, Any] = {
        "run_id": plan.run_id,
        "scenario": plan.scenario,
        "question": run.scenario.question,
        "settings": dict(run.settings),
        "machine": dict(run.machine),
        "elapsed_s": max([client["ended_s"], *samples["at_s"]]),
        "phases": [_phase(stage) for stage in client["stages"]],
        "client": dict(client),
        "totals": totals(client),
        "stages": stage_rows(client, samples, host),
        "conservation": [{**dataclasses.asdict(one), "agrees": one.agrees} for one in counts],
        "knee": None if run.scenario.breaks is None else knee(client["stages"], run.scenario.breaks),
        "ready": [_ready(stage) for stage in client["stages"] if stage.get("ready_ms")],
        "deliveries": {name: _deliveries(one, run, name) for name, one in run.deliveries.items()},
        "engine": None if run.status is None else _engine(run, run.status, samples),
        "functions": {} if run.status is None else _functions(run.status),
        "cost": None if run.status is None else _cost(run.status, client["ended_s"]),
        "series": [_series(name, one) for name, one in client["streams"].items() if one["curve_ms"]],
        "prometheus": run.prometheus,
        "samples": samples,
        "host": host,
        "loop_lag": _loop_lag(run.loop_lags, client["begin_s"]),
    }
    figures = limit_figures(result, MetricFigures(run.metrics, run.metrics_before))
    limit = FoundLimit((), "No stage was over.", "") if figures is None else limit_of(figures)
    sums = list(sum_checks(result, run.scenario.limits))
    generator = list(generator_checks(result))
    limits = list(limit_checks(result, run.scenario.limits))
    return {
        "verdict": verdict(sums, generator, [*limits, dropped_check(result)], found=limit.names),
        "limit": {**limit._asdict(), "figures": None if figures is None else dataclasses.asdict(figures)},
        "checks": [one._asdict() for one in (*sums, *limits)],
        "generator": [one._asdict() for one in generator],
        **result,
    }


def without_curves(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what is drawn: what is worth keeping with the commit."""
    drawn = ("samples", "series", "host", "loop_lag", "timeline", "latency")
    client = {name: value for name, value in whole["client"].items() if name not in drawn}
    client["streams"] = {
        name: {key: value for key, value in stream.items() if key not in ("curve_ms", "blocks")}
        for name, stream in client["streams"].items()
    }
    client["stages"] = [
        {key: value for key, value in stage.items() if key != "ready_ms"} for stage in client["stages"]
    ]
    kept = {name: value for name, value in whole.items() if name not in drawn}
    return {**kept, "client": client}


def _samples(samples: Sequence[EngineSample], begin_s: float) -> dict[str, list[float]]:
    """By column; the last one from before the load is its beginning."""
    before = [one for one in samples if one.at_s <= begin_s][-1:]
    kept = [one._replace(at_s=begin_s) for one in before] + [one for one in samples if one.at_s > begin_s]
    columns = {name: [getattr(one, name) for one in kept] for name in EngineSample._fields}
    for name in _SINCE_START if kept else ():
        columns[name] = [value - columns[name][0] for value in columns[name]]
    return {**columns, "at_s": [round(one.at_s - begin_s, 3) for one in kept]}


def _host(samples: Sequence[HostSample], begin_s: float) -> dict[str, list[float]]:
    """By column; the last one from before the load is the first."""
    before = sum(one.at_s < begin_s for one in samples)
    kept = samples[max(0, before - 1) :]
    names = HostSample._fields
    columns: dict[str, list[float]] = {name: [getattr(one, name) for one in kept] for name in names}
    return {**columns, "at_s": [round(one.at_s - begin_s, 3) for one in kept]}


def _loop_lag(samples: Sequence[LoopLagSample], begin_s: float) -> dict[str, list[float]]:
    """The p99 of each stretch between two samples, at its end."""
    found: dict[str, list[float]] = {"at_s": [], "p99_ms": []}
    for before, after in pairwise(samples):
        if after.at_s >= begin_s and after.upto:
            found["at_s"].append(round(after.at_s - begin_s, 3))
            p99_s = quantile(counted_since(before.upto, after.upto), 0.99) or 0.0
            found["p99_ms"].append(round(1000 * p99_s, 3))
    return found


def _p99_ms(duration: Mapping[str, Any]) -> float | None:
    """Of handlers' durations; None if there were none."""
    seconds = percentile(dict(duration["classes"]), 0.99)
    return None if seconds is None else round(1000 * seconds, 3)


def _phase(stage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": stage["name"],
        "began_s": stage["begin_s"],
        "ended_s": round(stage["begin_s"] + stage["seconds"], 3),
    }


def _series(name: str, stream: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "requests": stream["success"], "curve_ms": stream["curve_ms"]}


def _ready(stage: Mapping[str, Any]) -> dict[str, Any]:
    """From the moment at which the requests were due to that at which so many handlers had begun."""
    ready_ms = stage["ready_ms"]
    return {
        "stage": stage["name"],
        "environments": len(ready_ms),
        "first_ms": ready_ms[0],
        "half_ms": ready_ms[(len(ready_ms) - 1) // 2],
        "last_ms": ready_ms[-1],
        "sent_within_ms": stage["sent_within_ms"],
        "per_s": round(len(ready_ms) / ready_ms[-1] * 1000, 1),
    }


def _deliveries(one: RecordDeliveries, run: LoadTestRun, name: str) -> dict[str, Any]:
    sent = run.client["streams"][name]["records"]
    took_s = max(0.0, one.drained_s - run.client["begin_s"])
    return {
        "sent": sent,
        "delivered": one.delivered,
        "dead_letters": run.dead.get(name, 0),
        "duplicates": one.duplicates,
        "attempts": one.attempts,
        "attempts_per_record": round(one.attempts / sent, 3) if sent else 0.0,
        "drained_after_s": round(took_s, 3),
        "per_s": round(one.delivered / took_s, 1) if took_s else 0.0,
        "sent_to_done_ms": one.times.spread_ms(),
        "curve": _curve(one, run.client["begin_s"]),
    }


def _curve(one: RecordDeliveries, begin_s: float) -> list[tuple[float, int]]:
    """Seconds since the beginning of the load, and how many records were delivered by then."""
    seconds = sorted(one.seconds)
    counts = accumulate(one.seconds[second] for second in seconds)
    return [(round(second + 1 - begin_s, 3), count) for second, count in zip(seconds, counts, strict=True)]


def _engine(
    run: LoadTestRun, status: Mapping[str, Any], samples: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    functions = status["functions"].values()
    invocations = sum(sum(one["invocations"].values()) for one in functions)
    cold_starts = sum(one["cold_starts"] for one in functions)
    cpu_s = samples["cpu_s"][-1] - samples["cpu_s"][0]
    return {
        "invocations": invocations,
        "cold_starts": cold_starts,
        "cold_start_ratio": round(cold_starts / invocations, 6) if invocations else 0.0,
        "throttles": sum(sum(one["throttles"].values()) for one in functions),
        "peak_concurrency": max(samples["in_flight"]),
        "peak_environments": max(samples["environments"]),
        "environments_made": sum(sum(one["scaled"]["up"].values()) for one in functions),
        "environments_wanted": sum(one["environments_wanted"] for one in functions),
        "cpu_s": round(cpu_s, 3),
        "invocations_per_cpu_s": round(invocations / cpu_s, 1) if cpu_s else 0.0,
        "overhead_p99_ms": round(1000 * _overhead_s(run.metrics, run.metrics_before, 0.99), 3),
        "peak_rss_mb": max(samples["rss_mb"]),
    }


def _overhead_s(metrics: str, before: str, share: float) -> float:
    """The engine's own histogram, all triggers together; interpolated inside a bucket."""
    return quantile(counted_since(buckets(before, _OVERHEAD), buckets(metrics, _OVERHEAD)), share) or 0.0


def _functions(status: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were called."""
    return {
        name: {
            "invocations": sum(one["invocations"].values()),
            "by_status": {kind: count for kind, count in one["invocations"].items() if count},
            "throttles": sum(one["throttles"].values()),
            "throttles_by_reason": {reason: count for reason, count in one["throttles"].items() if count},
            "duration_p99_ms": _p99_ms(one["duration_s"]),
            "cold_starts": one["cold_starts"],
            "billed_ms": one["billed_ms"],
            "gb_seconds": one["billed_gb_seconds"],
            "cost_usd": {kind: plain(Decimal(usd)) for kind, usd in one["cost_usd"].items()},
        }
        for name, one in status["functions"].items()
        if any(one["invocations"].values()) or one["throttles"]
    }


def _cost(status: Mapping[str, Any], load_s: float) -> dict[str, Any]:
    """What it would have cost on AWS; a month is 730 hours at the mean rate of the load."""
    functions = status["functions"].values()
    components = {
        component.value: sum((Decimal(one["cost_usd"][component]) for one in functions), Decimal(0))
        for component in Component
    }
    total = sum(components.values(), Decimal(0))
    invocations = sum(sum(one["invocations"].values()) for one in functions)
    per_million = total * _MILLION / invocations if invocations else Decimal(0)
    month = total * _MONTH_S / Decimal(str(load_s)) if load_s else Decimal(0)
    return {
        "components_usd": {name: plain(usd) for name, usd in components.items()},
        "total_usd": plain(total),
        "per_thousand_requests_usd": plain(round(per_million / _PER_THOUSAND, 7)),
        "gb_seconds": plain(sum((Decimal(one["billed_gb_seconds"]) for one in functions), Decimal(0))),
        "per_million_invocations_usd": plain(round(per_million, 4)),
        "month_at_this_rate_usd": plain(round(month, 2)),
    }
