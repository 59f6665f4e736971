"""What the callers saw and what the engine counted, and whether the two agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from loadtests.common.processes import LoadTestError

TRIGGERS = ("invoke", "http")
THROTTLED = ", throttled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the summary: requests of one kind, as the callers saw them.

    Attributes:
        name: `invoke` or `http`, or either with `, throttled`.
        answered: Requests that got the answer the row is for.
        failed: Requests that did not.
        per_s: Answered requests per second.
        p50_ms, p99_ms: Percentiles of the response time; whole milliseconds, as Locust keeps them.
    """

    name: str
    answered: int
    failed: int
    per_s: float
    p50_ms: int
    p99_ms: int


def rows_of(entries: Iterable[Mapping[str, Any]], seconds: float) -> list[Row]:
    """Locust's entries as rows, in the order of their names."""
    rows = []
    for entry in entries:
        failed = entry["num_failures"]
        answered = entry["num_requests"] - failed
        times = {int(ms): count for ms, count in entry["response_times"].items()}
        rows.append(
            Row(
                name=entry["name"],
                answered=answered,
                failed=failed,
                per_s=answered / seconds,
                p50_ms=percentile(times, 0.50),
                p99_ms=percentile(times, 0.99),
            )
        )
    return sorted(rows, key=lambda row: row.name)


def percentile(times: Mapping[int, int], share: float) -> int:
    """The smallest time (ms) that `share` of all requests did not exceed; 0 if there were none."""
    rank = share * sum(times.values())
    seen = 0
    for ms in sorted(times):
        seen += times[ms]
        if seen >= rank:
            return ms
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One sum that must agree."""

    what: str
    callers: int
    engine: int

    @property
    def agrees(self) -> bool:
        """Whether both sides counted the same."""
        return self.callers == self.engine


def scrape(admin_url: str) -> str:
    """The engine's metrics page. Raises `LoadTestError` if it cannot be had."""
    try:
        with urlopen(f"{admin_url}/metrics", timeout=10) as page:  # noqa: S310  the URL is the engine's own
            text: bytes = page.read()
    except OSError as error:
        raise LoadTestError(f"{admin_url}/metrics: {error}") from None
    return text.decode()


def compared(rows: Iterable[Row], metrics: str, function: str) -> list[Count]:
    """Each sum as the callers have it and as `metrics`, the page of a fresh engine, has it.

    Successes are compared for each trigger, throttles for both together (the metric has no trigger), and
    invocations that did not succeed with answers that were failures.
    """
    rows = list(rows)
    answered = Counter[str]()
    for row in rows:
        answered[row.name] += row.answered
    engine = _engine_counts(metrics, function)
    counts = [
        Count(what=f"{trigger}, success", callers=answered[trigger], engine=engine[trigger])
        for trigger in TRIGGERS
    ]
    throttled = sum(answered[f"{trigger}{THROTTLED}"] for trigger in TRIGGERS)
    counts.append(Count(what="throttled", callers=throttled, engine=engine["throttled"]))
    failed = sum(row.failed for row in rows)
    counts.append(Count(what="failed", callers=failed, engine=engine["failed"]))
    return counts


def _engine_counts(metrics: str, function: str) -> Counter[str]:
    counts = Counter[str]()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("function") != function:
                continue
            if sample.name == "engine_invocations_total":
                succeeded = labels["outcome"] == "success"
                counts[labels["trigger"] if succeeded else "failed"] += int(sample.value)
            elif sample.name == "engine_throttles_total":
                counts["throttled"] += int(sample.value)
    return counts
