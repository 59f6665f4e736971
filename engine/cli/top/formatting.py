"""How `engine top` writes numbers, and in which order it shows functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.cli.top.reading import FunctionRow, NodeRow

MONTH_H: Final = 730
"""Hours of a month, by convention."""

SORTS: Final[dict[str, Callable[[FunctionRow], Any]]] = {
    "rate": lambda row: row.per_s,
    "errors": lambda row: row.errors or 0.0,
    "p99": lambda row: row.p99_s or 0.0,
    "in-use": lambda row: row.in_flight,
    "queue": lambda row: row.queued,
    "cold": lambda row: row.cold_per_s,
    "cost": lambda row: row.usd_per_s,
}
"""What functions can be sorted by; the highest comes first. `name` is in order of the alphabet."""

ORDERS: Final = (*SORTS, "name")

HEADINGS: Final = (
    *("function", "per s", "errors", "throttled/s", "p50 ≈", "p99 ≈"),
    *("in use", "queue", "envs", "cold/s", "$/million"),
)


NODE_HEADINGS: Final = ("node", "", "per s", "errors", "envs", "CPU", "memory free", "round trip")


def node_cells(row: NodeRow) -> tuple[str, ...]:
    """A row under `NODE_HEADINGS`."""
    return (
        row.node,
        row.state,
        rate(row.per_s),
        _share(row.errors),
        f"{row.environments:,}",
        "" if row.load is None or row.cores is None else f"{row.load:.1f}/{row.cores:g}",
        "" if row.free_memory_mb is None else f"{row.free_memory_mb:,}/{row.memory_mb:,} MB",
        seconds(row.round_trip_s),
    )


def ordered(rows: Sequence[FunctionRow], order: str) -> list[FunctionRow]:
    """`rows` by one of `ORDERS`; equal ones by name."""
    by_name = sorted(rows, key=lambda row: row.function)
    key = SORTS.get(order)
    return by_name if key is None else sorted(by_name, key=key, reverse=True)


def cells(row: FunctionRow) -> tuple[str, ...]:
    """A row under `HEADINGS`."""
    return (
        row.function,
        rate(row.per_s),
        _share(row.errors),
        rate(row.throttles_per_s) if row.throttles_per_s else "",
        seconds(row.p50_s),
        seconds(row.p99_s),
        f"{row.in_flight:,}",
        f"{row.queued:,}" if row.queued else "",
        f"{row.environments:,}",
        rate(row.cold_per_s) if row.cold_per_s else "",
        "" if row.usd_per_million is None else f"{row.usd_per_million:.2f}",
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.3g} %"


def rate(value: float) -> str:
    """A number a second."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def seconds(value: float | None) -> str:
    """A time in the unit that suits it; nothing for None."""
    if value is None:
        return ""
    for factor, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value * 1e6:.0f} µs"


def dollars(value: float) -> str:
    """An amount of money, small ones with enough digits to see."""
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.2g}"


def span(value_s: float) -> str:
    """How long something has run."""
    whole = int(value_s)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s"
