"""What telemetry costs: nanoseconds per invocation, milliseconds per scrape of 200 functions.

One process, one thread, the real `Stats`, `Invocation` and `Outcome`: `began` plus `ended`, ledger included.
Run: `python tests/bench/metrics_cost.py`; prints one JSON object. Each figure is the best of several repeats:
what else runs on the machine can only add to it. The page has everything on: all functions have asynchronous
events, a mapping and measured memory. Before each scrape a tenth of the functions did something; in
`scrape_busy_ms` all of them did.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import timeit
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from engine.core.billing import billed_ms, rate
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.lambda_prices import price_sheet
from engine.core.ledger import Ledger
from engine.core.outcome import Outcome, Status
from engine.runtime.clock import SystemClock
from engine.runtime.gc_tuning import GcTuning
from engine.telemetry.collector import StatsCollector
from engine.telemetry.exposition import Exposition
from engine.telemetry.function_stats import Levels
from engine.telemetry.mapping_readings import MappingReading
from engine.telemetry.stats import Stats
from engine.version import build

FUNCTIONS = 200
CALLS = 50_000
REPEATS = 25
SCRAPES = 150

SHEET = price_sheet("us-east-1")
assert SHEET is not None
RATE = rate(SHEET, 128, "x86_64")


def main(calls: int = CALLS, scrapes: int = SCRAPES) -> int:
    """Measure with so many of each, and print."""
    stats = _stats()
    warm = _pair(7, duration_s=0.0123, queue_wait_s=0.00004)
    cold = _pair(7, duration_s=0.0123, queue_wait_s=0.15, init_s=0.1)
    ledger = Ledger(RATE, 128)

    def per_invocation(pair: tuple[Invocation, Outcome]) -> float:
        names = {"began": stats.began, "ended": stats.ended, "invocation": pair[0], "outcome": pair[1]}
        return _best_ns("began(invocation); ended(invocation, outcome, None)", names, calls)

    report = {
        "metrics_ns_per_invocation": per_invocation(warm),
        "metrics_ns_per_cold_invocation": per_invocation(cold),
        "ledger_ns_per_invocation": _best_ns("add(13, 12300)", {"add": ledger.add}, calls),
    }
    _busy(stats)
    registry = CollectorRegistry()
    collector = StatsCollector(stats)
    for other in (ProcessCollector, PlatformCollector, GCCollector):
        other(registry=registry)
    exposition = Exposition(stats, registry, collector)
    first_ms = _once_ms(exposition.page)
    page = exposition.page()[1]
    with GcTuning():  # as the engine runs
        some, all_of_them = (
            list(_scrapes(stats, exposition, busy, scrapes)) for busy in (FUNCTIONS // 10, FUNCTIONS)
        )
    report |= {
        "scrape_functions": FUNCTIONS,
        "scrape_lines": page.count(b"\n"),
        "scrape_ms": round(min(some), 2),
        "scrape_median_ms": round(statistics.median(some), 2),
        "scrape_busy_ms": round(min(all_of_them), 2),
        "first_scrape_ms": round(first_ms, 1),
    }
    print(json.dumps(report))
    return 0


def _stats() -> Stats:
    about = {"version": "0", "python": sys.version.split()[0], "event_loop": "none", "build": build()}
    stats = Stats(sheet=SHEET, account_limit=1000, build=about, clock=SystemClock(), later=lambda *_: None)
    stats.mappings.watch(_mappings)
    for number in range(FUNCTIONS):
        function = Function(f"function-{number}", handler="module.handler")
        stats.register(function, RATE, lambda: Levels(idle=3, busy=2, in_flight=2))
    return stats


def _mappings() -> Iterator[MappingReading]:
    records = {"polled": 7, "delivered": 6, "filtered": 1, "failed": 0, "dropped": 0, "deleted": 6}
    for number in range(FUNCTIONS):
        name = f"function-{number}"
        yield MappingReading(name, f"queue:{name}", records, (1, 2, 3, 0, 0, 0, 0, 0, 0), 14, 5, 0.3, 2, 1)


def _pair(
    number: int, *, duration_s: float, queue_wait_s: float, init_s: float | None = None
) -> tuple[Invocation, Outcome]:
    event = Event(f"function-{number}", b"{}", "6f1b2d9e-0000-4000-8000-000000000000", 0.0)
    outcome = Outcome(
        Status.SUCCESS, b"{}", event.request_id, RATE,
        cold_start=init_s is not None, queue_wait_s=queue_wait_s, init_s=init_s,
        duration_s=duration_s, billed_ms=billed_ms(duration_s, init_s or 0.0),
    )  # fmt: skip
    return Invocation(event, lambda _: None), outcome


def _busy(stats: Stats) -> None:
    """Give every function a past, so that few numbers on the page are 0."""
    draw = random.Random(1)
    for number in range(FUNCTIONS):
        for _ in range(100):
            invocation, outcome = _pair(
                number, duration_s=draw.expovariate(20), queue_wait_s=draw.expovariate(1000)
            )
            stats.began(invocation)
            stats.ended(invocation, outcome, None)
        stats.came_from_zero(f"function-{number}", 0.2)
        stats.scaled(f"function-{number}", "up", "demand")
        stats.functions[f"function-{number}"].use_memory(77)
        counts = stats.async_counts(f"function-{number}")
        counts.accepted += 1
        counts.aged(0.5)


def _scrapes(stats: Stats, exposition: Exposition, busy: int, scrapes: int) -> Iterator[float]:
    """Milliseconds of each of some scrapes; before each so many functions did something."""
    for scrape in range(scrapes):
        for number in range(busy):
            invocation, outcome = _pair(
                number, duration_s=0.001 * scrape + 0.00001 * number, queue_wait_s=0.0001
            )
            stats.began(invocation)
            stats.ended(invocation, outcome, None)
        yield _once_ms(exposition.page)


def _best_ns(statement: str, names: dict[str, object], calls: int) -> float:
    timer = timeit.Timer(statement, globals=names)
    return round(min(timer.repeat(REPEATS, calls)) / calls * 1e9, 1)


def _once_ms(call: Callable[[], object]) -> float:
    return timeit.timeit(call, number=1) * 1000


if __name__ == "__main__":
    sys.exit(main())
