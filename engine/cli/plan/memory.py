"""`engine plan --find memory`: how long a run takes at each size, as said or as `engine tune` measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from engine.cli.model_options import json_of, refuse, refuse_unused, sizes_of
from engine.cli.plan.against import Asked
from engine.cli.prediction_tables import NotedTable, count, dollars, percent, seconds
from engine.core.cpu_law import MB_PER_VCPU
from engine.core.late_dataclass import dataclass
from engine.model.cost.memory_sizes import duration_at
from engine.model.distributions import Constant, Distribution, empirical, stretched
from engine.model.queueing.memory_search import SizeAnswer

_MIN_MB, _MAX_MB = 128, 10_240


@dataclass(frozen=True, slots=True)
class SizeDurations:
    """How long a run takes at each memory size, MB.

    Attributes:
        at: Its law, by size.
        init: Law of an initialisation; None = nothing is said of it. It has a whole vCPU at every size.
        assumptions: What that takes for granted, a sentence each.
    """

    at: Mapping[int, Distribution]
    init: Distribution | None
    assumptions: tuple[str, ...]


def durations_of(
    context: click.Context,
    wanted: str | None,
    asked: Asked,
    *,
    cpu_ms: float | None,
    tuned: str | None,
    sizes: str,
) -> SizeDurations | None:
    """How long a run takes at each memory size, if that is what is looked for; exits if it is not said."""
    if wanted != "memory":
        refuse_unused(context, "needs --find memory", "cpu_ms", "tuned", "sizes")
        return None
    if tuned is not None:
        refuse_unused(context, "--tuned says it", "service", "memory_mb", "cpu_ms", "sizes")
        return durations_of_file(tuned)
    if cpu_ms is None:
        refuse(["--find memory: needs --cpu-ms, the part of a run that shrinks with memory, or --tuned FILE"])
    return durations_of_cpu(asked.service, cpu_ms, asked.function.memory_mb, sizes_of(sizes))


def durations_of_cpu(
    service: Distribution, cpu_ms: float, from_mb: int, sizes_mb: Sequence[int]
) -> SizeDurations:
    """`service` at `from_mb`, of which `cpu_ms` on average (at one vCPU) shrink; exits if they are longer."""
    mean_s = service.mean_s
    try:
        means_s = {
            memory_mb: duration_at(mean_s, cpu_ms / 1000, from_mb, memory_mb)
            for memory_mb in sorted({*sizes_mb, from_mb})
        }
    except ValueError as error:
        refuse([f"--cpu-ms {cpu_ms:g}: {error}"])
    part = f"of a run at {from_mb:,} MB, {cpu_ms:g} ms are CPU at one vCPU"
    said = (
        f"{part}; Lambda gives memory / {MB_PER_VCPU:g} MB of one, and more than one is of no use",
        "the rest of a run, and an init, take as long at every size",
        *(() if service.fixed else ("CPU is the same share of each run",)),
        "the handler has memory enough at every size (engine tune measures it)",
    )
    durations = {memory_mb: stretched(service, one_s / mean_s) for memory_mb, one_s in means_s.items()}
    return SizeDurations(durations, None, said)


def durations_of_file(path: str) -> SizeDurations:
    """The sizes of an answer of `engine tune --json` that have memory enough; exits if it is none."""
    document = json_of(path)
    try:
        sizes = [one for one in document["sizes"] if one["fits"]]
        durations = {
            _memory(one["memory_mb"]): empirical([_seconds(s) for s in one["warm_s"]]) for one in sizes
        }
        init_s = _seconds(document["init_ms"]) / 1000
        extrapolated = sorted(one["memory_mb"] for one in sizes if not one["measured"])
    except (LookupError, TypeError, ValueError):
        refuse([f"{path}: must be an answer of engine tune --json"])
    if not durations or min(law.mean_s for law in durations.values()) <= 0:
        refuse([f"{path}: has no size with memory enough and runs that take any time"])
    said = [f"durations and init are those in {path}"]
    if extrapolated:
        said.append(f"extrapolated, not measured: {', '.join(f'{one:,}' for one in extrapolated)} MB")
    return SizeDurations(durations, Constant(init_s), tuple(said))


def unkept(answers: Sequence[SizeAnswer]) -> str:
    """Why no size will do, from the largest of them."""
    largest = answers[-1]
    broken = ", ".join(f"{one.name} is {one.value:.4g}, at most {one.bound:g}" for one in largest.broken)
    sizes = f"{answers[0].memory_mb:,} to {largest.memory_mb:,} MB"
    return f"--find memory: no size of {sizes} keeps what is asked; at {largest.memory_mb:,} MB {broken}"


def memory_table(answers: Sequence[SizeAnswer]) -> NotedTable:
    """A row for each size."""
    rows: list[Sequence[str]] = [
        ("MB", "warm mean", "p99", "in flight", "cold", "refused", "US dollars", "kept")
    ]
    for one in answers:
        found = one.prediction
        rows.append(
            (
                f"{one.memory_mb:,}",
                seconds(found.warm_times.mean_s),
                seconds(found.all_times.percentiles_s[99.0]),
                count(found.concurrency),
                percent(found.cold_share),
                percent(found.throttled_share),
                dollars(one.usd_per_month),
                "no" if one.broken else "yes",
            )
        )
    return NotedTable(rows)


def _memory(value: Any) -> int:
    if not isinstance(value, int) or not _MIN_MB <= value <= _MAX_MB:
        raise ValueError(f"{value!r} is no memory size")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is no time")
    return float(value)
