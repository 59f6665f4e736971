"""Each stage by itself: what became of its requests by the time they were over, what it cost, what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from engine.load.results.measured_figures import grown
from engine.report.figures import plain

_PER: Final = 1000


def stage_rows(
    client: Mapping[str, Any], samples: Mapping[str, Sequence[float]], host: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """A row for each stage that is over.

    `open_before` + `offered` is `answered` + `refused` + `failed` + `open_at_end`, whatever a request's stage
    was when it was due. Requests that were never sent have failed. `due_and_failed` are those
    that were due in the stage and failed at any time.
    """
    rows: list[dict[str, Any]] = []
    for stage in client["stages"]:
        from_s, to_s = stage["begin_s"], stage["begin_s"] + stage["seconds"]
        answered = stage["answered"]
        rows.append(
            {
                "name": stage["name"],
                "begin_s": from_s,
                "seconds": stage["seconds"],
                "warmup": stage["warmup"],
                "target_per_s": stage["target_per_s"],
                "offered": stage["offered"],
                "answered": answered["success"],
                "refused": answered["throttled"],
                "failed": answered["failure"] + stage["never_sent"],
                "never_sent": stage["never_sent"],
                "due_and_failed": stage["failure"] + stage["never_sent"],
                "open_before": rows[-1]["open_at_end"] if rows else 0,
                "open_at_end": stage["open_at_end"],
                "p50_ms": stage["p50_ms"],
                "p99_ms": stage["p99_ms"],
                "lag_p99_ms": stage["lag_p99_ms"],
                "engine_cpu": _share(host, "engine_cpu_s", from_s, to_s),
                "handlers_cpu": _share(host, "handlers_cpu_s", from_s, to_s),
                "generator_cpu": _share(host, "generator_cpu_s", from_s, to_s),
                "per_thousand_usd": _per_thousand(samples, from_s, to_s),
                "first_error": stage["first_error"],
            }
        )
    return rows


def _share(host: Mapping[str, Sequence[float]], name: str, from_s: float, to_s: float) -> float | None:
    """Of a core, on average."""
    return round(grown(host, name, from_s, to_s) / (to_s - from_s), 4) if host["at_s"] else None


def _per_thousand(samples: Mapping[str, Sequence[float]], from_s: float, to_s: float) -> str | None:
    """What AWS would ask for a thousand of the invocations that ended in that time."""
    if not samples["at_s"]:
        return None
    ended = grown(samples, "invocations", from_s, to_s)
    if ended < 1:
        return None
    cost_usd = Decimal(repr(grown(samples, "cost_usd", from_s, to_s)))
    return plain(round(cost_usd * _PER / Decimal(repr(ended)), 7))
