"""Runs one load test: an engine of its own, Locust against it, a summary, and a check that the sums agree.

    python -m loadtests.run [--scenario steady] [--users N] [--seconds N] [--json]

Exit status 0: every request was answered as it should be, and the engine counted what the callers saw.
1: something failed, or the sums differ. 2: the load test could not be run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from loadtests.common.processes import LoadTestError, run_locust, running_engine
from loadtests.common.sums import Count, Row, compared, rows_of, scrape
from loadtests.scenarios import SCENARIOS, Scenario


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run showed."""

    scenario: str
    question: str
    users: int
    seconds: int
    rows: tuple[Row, ...]
    counts: tuple[Count, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario that `arguments` name and print what came of it."""
    options = _parser().parse_args(arguments)
    scenario = SCENARIOS[options.scenario]
    users = scenario.users if options.users is None else options.users
    seconds = scenario.seconds if options.seconds is None else options.seconds
    try:
        report = measure(options.scenario, scenario, users=users, seconds=seconds)
    except LoadTestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(as_json(report) if options.json else as_text(report))
    return 0 if report.ok else 1


def measure(name: str, scenario: Scenario, *, users: int, seconds: int) -> Report:
    """Run it. Raises `LoadTestError` if that cannot be done."""
    with running_engine(scenario.engine) as urls:
        variables = {
            "LOADTEST_AWS": urls["aws"],
            "LOADTEST_HTTP": urls["http"],
            "LOADTEST_FUNCTION": scenario.function,
            "LOADTEST_EVENT": json.dumps(scenario.event),
            "LOADTEST_METHOD": scenario.method,
            "LOADTEST_TARGET": scenario.target,
        }
        rows = rows_of(run_locust(variables, users=users, seconds=seconds), seconds)
        counts = compared(rows, scrape(urls["admin"]), scenario.function)
    return Report(
        scenario=name,
        question=scenario.question,
        users=users,
        seconds=seconds,
        rows=tuple(rows),
        counts=tuple(counts),
        problems=tuple(problems(rows, counts, throttles=scenario.throttles)),
    )


def problems(rows: Sequence[Row], counts: Sequence[Count], *, throttles: bool) -> list[str]:
    """What is wrong, one line each."""
    found = [f"{row.name}: {row.failed} requests failed" for row in rows if row.failed]
    found += [
        f"{count.what}: the callers saw {count.callers}, the engine counted {count.engine}"
        for count in counts
        if not count.agrees
    ]
    if not any(row.answered for row in rows):
        found.append("no request was answered")
    throttled = next(count.callers for count in counts if count.what == "throttled")
    if throttled and not throttles:
        found.append(f"{throttled} requests were throttled, though the load is within the limits")
    if throttles and not throttled:
        found.append("nothing was throttled, though the load is above the limit: raise --users")
    return found


def as_text(report: Report) -> str:
    """The summary for people."""
    lines = [
        f"{report.scenario}: {report.question}",
        f"{report.users} users for {report.seconds} s, each with one request in flight",
        "",
        f"{'':18} {'answered':>10} {'failed':>8} {'per s':>9} {'p50 ms':>8} {'p99 ms':>8}",
    ]
    lines += [
        f"{row.name:18} {row.answered:10,} {row.failed:8,} {row.per_s:9,.0f} {row.p50_ms:8,} {row.p99_ms:8,}"
        for row in report.rows
    ]
    lines += ["", f"{'':18} {'callers':>10} {'engine':>10}"]
    lines += [f"{count.what:18} {count.callers:10,} {count.engine:10,}" for count in report.counts]
    lines += ["", *(f"problem: {problem}" for problem in report.problems)]
    if report.ok:
        lines.append("nothing lost: the engine counted what the callers saw")
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """The same for programs."""
    return json.dumps({"ok": report.ok, **dataclasses.asdict(report)}, indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.run",
        description="Run one load test against an engine of its own.",
        epilog="\n".join(f"{name:10} {scenario.question}" for name, scenario in SCENARIOS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="steady", help="default: %(default)s")
    parser.add_argument("--users", type=_positive, metavar="N", help="callers; default: the scenario's")
    parser.add_argument("--seconds", type=_positive, metavar="N", help="of load; default: the scenario's")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
