"""What a run must hold: each limit of a scenario as a sentence, whether it held, and what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.load.planning.scenario import Limits, Unchanged
from engine.load.results.limit_figures import GENERATOR
from engine.load.results.limit_rules import MAX_GENERATOR_CPU, MAX_LAG_MS

PASSED, FAILED, GENERATOR_LIMITED = "passed", "failed", "generator-limited"

_MAX_DROPPED: Final = 0.001

Document = Mapping[str, Any]


class RunCheck(NamedTuple):
    """One check: what had to hold, whether it did, and what was seen."""

    check: str
    held: bool
    saw: str


def verdict(
    sums: Sequence[RunCheck],
    generator: Sequence[RunCheck],
    limits: Sequence[RunCheck],
    *,
    found: Sequence[str],
) -> str:
    """Return the verdict: failed by a loss, else limited by the generator, else by the scenario's limits.

    `found` are the names of what was the limit. A generator that did not keep up is the verdict only if it
    was the limit, or if there was none.
    """
    if not all(one.held for one in sums):
        return FAILED
    kept_up = all(one.held for one in generator)
    if GENERATOR in found or not (found or kept_up):
        return GENERATOR_LIMITED
    return PASSED if all(one.held for one in limits) else FAILED


def sum_checks(document: Document, limits: Limits) -> Iterator[RunCheck]:
    """Checks of every run: nothing is lost, and every answer is the expected one.

    Where the limits say how many requests may fail, what callers saw is judged by that.
    """
    client = document["client"]
    answered = sum(row["success"] + row["failure"] + row["throttled"] for row in client["streams"].values())
    yield RunCheck("something was answered", answered > 0, f"{answered:,} requests")
    wrong = [row for row in document["conservation"] if not row["agrees"]]
    saw = "; ".join(f"{row['what']}: sent {row['sent']:,}, found {row['found']:,}" for row in wrong)
    rows = len(document["conservation"])
    yield RunCheck(
        "callers, engine and functions counted the same", not wrong, saw or f"{rows} of {rows} sums"
    )
    if limits.objectives is not None and limits.objectives.errors is not None:
        return
    unexpected = client["unexpected"]
    saw = ", ".join(f"{count:,} {text}" for text, count in list(unexpected.items())[:5])
    yield RunCheck("every request got the expected answer", not unexpected, saw or "no other answer")
    open_requests = client["unanswered"]
    yield RunCheck("every request was answered", not open_requests, f"{open_requests:,} were not")


def generator_checks(document: Document) -> Iterator[RunCheck]:
    """Whether the load generator kept up."""
    client = document["client"]
    lag_ms = client["lag_ms"]["p99"]
    yield RunCheck(
        f"requests were sent in time: p99 of the lag at most {MAX_LAG_MS:g} ms",
        lag_ms <= MAX_LAG_MS,
        f"{lag_ms:.1f} ms",
    )
    cpu = client["cpu_percent"]
    yield RunCheck(
        f"the generator used at most {100 * MAX_GENERATOR_CPU:g} % of a core",
        cpu <= 100 * MAX_GENERATOR_CPU,
        f"{cpu:.0f} %",
    )
    yield dropped_check(document)


def dropped_check(document: Document) -> RunCheck:
    """Whether all but a few of the arrivals were sent; those that were not have failed."""
    client = document["client"]
    due = sum(row["due"] for row in client["streams"].values())
    dropped = client["dropped"]
    return RunCheck(
        f"at most {_MAX_DROPPED:.1%} of the arrivals were dropped",
        dropped <= _MAX_DROPPED * due,
        f"{dropped:,} of {due:,}",
    )


def limit_checks(document: Document, limits: Limits) -> Iterator[RunCheck]:
    """The limits of the scenario."""
    if limits.throttles is not None:
        yield _throttles(document, wanted=limits.throttles)
    if limits.overhead_p99_ms is not None and document["engine"] is not None:
        seen_ms = document["engine"]["overhead_p99_ms"]
        text = f"the engine adds at most {limits.overhead_p99_ms:g} ms to an answer, p99"
        yield RunCheck(text, seen_ms <= limits.overhead_p99_ms, f"{seen_ms:.2f} ms")
    if limits.shortfall_s is not None:
        seen_s = longest_shortfall_s(document["samples"])
        text = f"fewer environments than desired for at most {limits.shortfall_s:g} s"
        yield RunCheck(text, seen_s <= limits.shortfall_s, f"{seen_s:.1f} s")
    if limits.knee:
        found = document["knee"]
        saw = "no stage broke after one that held" if found is None else f"{found['per_s']:,.0f} per s"
        yield RunCheck("the knee was found", found is not None, saw)
    yield from _ready(document, limits.ready)
    for name in limits.empty:
        left = _sample_before(document, _end_of(document, name))["environments"]
        yield RunCheck(f"{name}: no environment is left at the end", left == 0, f"{left:,} were")
    for name in limits.free:
        yield _free(document, name)
    if limits.rss_growth is not None:
        first, last = _quarters(document["samples"], "rss_mb")
        grown = last / first - 1
        text = f"memory grows by at most {limits.rss_growth:.0%}"
        yield RunCheck(text, grown <= limits.rss_growth, f"{grown:+.1%}: from {first:.0f} to {last:.0f} MB")
    if limits.more_files is not None:
        first, last = _quarters(document["samples"], "files")
        text = f"at most {limits.more_files} more open files"
        yield RunCheck(text, last - first <= limits.more_files, f"from {first:.0f} to {last:.0f}")
    if limits.unchanged is not None:
        yield _unchanged(document, limits.unchanged)
    for one in document["client"]["measured"]["objectives"]:
        yield RunCheck(one["text"], one["kept"], one["saw"])


def longest_shortfall_s(samples: Mapping[str, Sequence[float]]) -> float:
    """The longest time for which fewer environments were ready than desired, as far as samples show it."""
    longest_s, since_s = 0.0, None
    for at_s, ready, desired in zip(samples["at_s"], samples["ready"], samples["desired"], strict=True):
        if ready >= desired:
            since_s = None
        else:
            since_s = at_s if since_s is None else since_s
            longest_s = max(longest_s, at_s - since_s)
    return longest_s


def _throttles(document: Document, *, wanted: bool) -> RunCheck:
    seen = sum(row["throttled"] for row in document["client"]["streams"].values())
    text = "what is above the limit is refused" if wanted else "nothing is refused"
    return RunCheck(text, bool(seen) == wanted, f"{seen:,} refused")


def _ready(document: Document, wanted: Sequence[int]) -> Iterator[RunCheck]:
    reached = {row["environments"]: row["last_ms"] for row in document["ready"]}
    for number in wanted:
        saw = f"after {reached[number]:,.0f} ms" if number in reached else f"reached {sorted(reached)}"
        text = f"{number:,} environment{'s' * (number > 1)} from zero"
        yield RunCheck(text, number in reached, saw)


def _free(document: Document, name: str) -> RunCheck:
    begin_s = next(stage["began_s"] for stage in document["phases"] if stage["title"] == name)
    before = _sample_before(document, begin_s)["cost_usd"]
    after = _sample_before(document, _end_of(document, name))["cost_usd"]
    return RunCheck(f"{name}: nothing is billed", after == before, f"${after - before:.8f}")


def _unchanged(document: Document, wanted: Unchanged) -> RunCheck:
    p99_ms = {
        stage["name"]: stage["streams"][wanted.stream]["p99_ms"] for stage in document["client"]["stages"]
    }
    text = f"{wanted.stream}: p99 is the same {wanted.after} as {wanted.before} (±{wanted.share:.0%}"
    text += f" and {wanted.slack_ms:g} ms)" if wanted.slack_ms else ")"
    if wanted.before not in p99_ms or wanted.after not in p99_ms:
        return RunCheck(text, held=False, saw="a stage is missing")
    before, after = p99_ms[wanted.before], p99_ms[wanted.after]
    held = after <= before * (1 + wanted.share) + wanted.slack_ms
    return RunCheck(text, held, f"{before:.1f} ms, then {after:.1f} ms")


def _end_of(document: Document, name: str) -> float:
    return float(next(stage["ended_s"] for stage in document["phases"] if stage["title"] == name))


def _sample_before(document: Document, at_s: float) -> dict[str, Any]:
    """The last sample up to a moment; the first one if there is none."""
    samples = document["samples"]
    index = max(0, sum(one <= at_s for one in samples["at_s"]) - 1)
    return {name: column[index] for name, column in samples.items()}


def _quarters(samples: Mapping[str, Sequence[float]], name: str) -> tuple[float, float]:
    """The means of the first quarter, its first tenth left out (things get warm), and of the last."""
    column = samples[name]
    first = column[len(column) // 10 : len(column) // 4] or column[:1]
    last = column[-(len(column) // 4) :] or column[-1:]
    return sum(first) / len(first), sum(last) / len(last)
