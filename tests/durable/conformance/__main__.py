"""`python -m tests.durable.conformance [ID ...]`: which of AWS's requirements the engine fulfils, as a table.

Names of suites may be given in place of ids. `--partner` checks AWS's local runner instead.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.durable.conformance.checking import Outcome, check_all
from tests.durable.conformance.local_runner import partnered
from tests.durable.conformance.requirement_files import SUITES, Requirement, fetch, requirements
from tests.durable.conformance.served import served


def main(words: list[str]) -> int:
    """Checks them all, or those that are named; the exit status."""
    if (reason := fetch()) is not None:
        print(reason)
        return 2
    named = {word for word in words if not word.startswith("--")}
    every = requirements()
    chosen = [one for one in every.values() if not named or named & {one.id, one.suite}]
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        serving = partnered if "--partner" in words else served
        with serving(Path(folder)) as service:
            outcomes = check_all(chosen, service)
    print(table(chosen, outcomes, time.monotonic() - started_s))
    return 1 if any(outcome.problems for outcome in outcomes.values()) else 0


def table(chosen: list[Requirement], outcomes: dict[str, Outcome], took_s: float) -> str:
    """Passed and failed by suite, and what failed below it."""
    failed = [one for one in chosen if outcomes[one.id].problems]
    counts, failures = Counter(one.suite for one in chosen), Counter(one.suite for one in failed)
    rows = [f"{'suite':<20} {'passed':>7} {'failed':>7}"]
    rows += [
        f"{suite:<20} {counts[suite] - failures[suite]:>7} {failures[suite]:>7}"
        for suite in SUITES
        if counts[suite]
    ]
    rows.append(f"{'all':<20} {len(chosen) - len(failed):>7} {len(failed):>7}   in {took_s:.1f} s")
    for one in failed:
        rows += [f"\n{one.id} ({one.suite}): {one.document['description']}"]
        rows += [f"  {problem[:300]}" for problem in outcomes[one.id].problems]
        rows += ["  " + " ".join(event["EventType"] for event in outcomes[one.id].events)]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
