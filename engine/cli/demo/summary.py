"""The result of a demo as one JSON document: figures, bill, and which promises held."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from engine.cli.demo.checks import promises
from engine.cli.demo.drive import THROTTLED, Recording, RequestSeries
from engine.cli.demo.load import OK
from engine.cli.demo.phases import DemoPhase
from engine.cli.demo.sizes import DemoSizes
from engine.core.late_dataclass import dataclass
from engine.core.ledger import Component
from engine.core.outcome import Status
from engine.report.figures import plain
from engine.telemetry.status_sample import StatusSample

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)

_MILLION: Final = 1_000_000
_CURVE_STEPS_PER_DECADE: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """A run of the demo that has ended.

    Attributes:
        plan: What was to be done.
        phases: What was done.
        recording: What the client saw.
        samples: What the engine said of itself, oldest first.
        status: Its last /status.json.
        exit_code: How its process ended.
        machine: Version, Python, processors: text by name.
    """

    plan: DemoSizes
    phases: Sequence[DemoPhase]
    recording: Recording
    samples: Sequence[StatusSample]
    status: Mapping[str, Any]
    exit_code: int | None
    machine: Mapping[str, Any]


def document(run: DemoRun) -> dict[str, Any]:
    """The document. Times are in seconds, latencies in milliseconds, money is decimal text in US dollars."""
    functions = run.status["functions"]
    invocations = {name: sum(one["invocations"].values()) for name, one in functions.items()}
    held = promises(run.plan, run.recording, run.samples, run.exit_code)
    return {
        "ok": all(promise.held for promise in held),
        "promises": [promise._asdict() for promise in held],
        "machine": dict(run.machine),
        "notes": list(run.plan.notes),
        "elapsed_s": round(max(phase.ended_s or 0.0 for phase in run.phases), 3),
        "phases": [_phase(phase) for phase in run.phases],
        "peak_concurrency": max(one.in_flight for one in run.samples),
        "peak_environments": max(one.environments for one in run.samples),
        "environments_at_the_end": run.samples[-1].environments,
        "invocations": sum(invocations.values()),
        "cold_starts": sum(one["cold_starts"] for one in functions.values()),
        "throttles": dict(_sum(one["throttles"] for one in functions.values())),
        "failures": {
            "by_status": _failures(functions.values()),
            "by_error": _errors(run.recording.series),
        },
        "series": [_series(one, run.phases[one.phase]) for one in run.recording.series],
        "cost": _cost(functions, sum(invocations.values()), run.plan.prices),
        "functions": {name: _function(one, invocations[name]) for name, one in functions.items()},
        "samples": {key: [getattr(one, key) for one in run.samples] for key in StatusSample._fields},
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of `ordered` (ascending, not empty) that at least `percent` per cent do not exceed."""
    rank = math.ceil(round(len(ordered) * percent / 100, 6))
    return ordered[max(rank, 1) - 1]


def curve(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """Percentile and value, ever denser towards 100: a decade more for each nine, as far as there is data."""
    decades = math.log10(len(ordered))
    steps = range(math.floor(decades * _CURVE_STEPS_PER_DECADE) + 1)
    percents = (100 - 100 / 10 ** (step / _CURVE_STEPS_PER_DECADE) for step in steps)
    return [(round(percent, 6), percentile(ordered, percent)) for percent in percents]


def _phase(phase: DemoPhase) -> dict[str, Any]:
    return {
        "title": phase.title,
        "target": phase.target,
        "achieved": phase.achieved,
        "began_s": round(phase.began_s or 0.0, 3),
        "ended_s": round(phase.ended_s or 0.0, 3),
    }


def _series(one: RequestSeries, phase: DemoPhase) -> dict[str, Any]:
    ordered = {kind: sorted(latencies) for kind, latencies in one.tally.latencies_s.items()}
    curved = max(ordered.values(), key=len, default=[])
    result = {
        "name": one.name,
        "phase": phase.title,
        "form": one.form,
        "requests": one.tally.count,
        "per_s": round(one.tally.per_s, 1),
        "answers": one.tally.answers,
        "reasons": dict(one.tally.reasons),
        "latency_ms": {kind: _latency(latencies) for kind, latencies in ordered.items()},
    }
    if one.sleep_s and OK in ordered:
        curved = [value - one.sleep_s for value in ordered[OK]]
        result["sleep_ms"] = _ms(one.sleep_s)
        result["overhead_ms"] = _latency(curved)
    # Of a burst the curve is that of the overhead: the sleep was asked for.
    result["curve_ms"] = [[percent, _ms(value)] for percent, value in curve(curved)] if curved else []
    return result


def _latency(ordered: Sequence[float]) -> dict[str, float]:
    spread = {f"p{percent:g}": _ms(percentile(ordered, percent)) for percent in PERCENTILES}
    return {**spread, "max": _ms(ordered[-1])}


def _ms(value_s: float) -> float:
    return round(value_s * 1000, 3)


def _failures(functions: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    total = _sum(one["invocations"] for one in functions)
    return {kind: count for kind, count in total.items() if count and kind != Status.SUCCESS}


def _errors(series: Iterable[RequestSeries]) -> dict[str, int]:
    """Function errors by the name that the client read."""
    total: Counter[str] = Counter()
    for one in series:
        for kind, count in one.tally.answers.items():
            status, _, name = kind.partition(" ")
            if name and kind != THROTTLED:
                total[name] += count
            elif status >= "500":
                total[f"HTTP {status}"] += count
    return dict(total.most_common())


def _cost(functions: Mapping[str, Any], invocations: int, prices: str) -> dict[str, Any]:
    components = {
        component.value: sum((Decimal(one["cost_usd"][component]) for one in functions.values()), Decimal(0))
        for component in Component
    }
    total = sum(components.values(), Decimal(0))
    per_million = total * _MILLION / invocations if invocations else Decimal(0)
    return {
        "prices": prices,
        "components_usd": {name: plain(usd) for name, usd in components.items()},
        "total_usd": plain(total),
        "per_million_invocations_usd": plain(round(per_million, 4)),
    }


def _function(one: Mapping[str, Any], invocations: int) -> dict[str, Any]:
    total = Decimal(one["cost_usd"]["total"])
    return {
        "invocations": invocations,
        "by_status": {kind: count for kind, count in one["invocations"].items() if count},
        "throttles": sum(one["throttles"].values()),
        "cold_starts": one["cold_starts"],
        "mean_duration_ms": _ms(one["duration_s"]["mean"] or 0.0),
        "mean_init_ms": _ms(one["init_s"]["mean"] or 0.0),
        "billed_ms": one["billed_ms"],
        "cost_usd": {name: plain(Decimal(usd)) for name, usd in one["cost_usd"].items()},
        "per_million_usd": plain(round(total * _MILLION / invocations, 4)) if invocations else None,
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total
