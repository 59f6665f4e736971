"""`python -m tests.durable.conformance [ID ...]`: which of AWS's requirements the engine fulfils, as a table.

Names of suites may be given in place of ids. `--thread` has the engine run the handlers on its own threads,
`--partner` checks AWS's local runner in place of the engine's service.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

from tests.durable.conformance.checking import Outcome, Service, check_all
from tests.durable.conformance.local_runner import partnered
from tests.durable.conformance.requirement_files import SUITES, Requirement, fetch, requirements
from tests.durable.conformance.served import served

ENDS_ITS_PROCESS: Final = frozenset({"1-17", "1-18", "3-12"})


def main(words: list[str]) -> int:
    """Checks them all, or those that are named; the exit status."""
    if (reason := fetch()) is not None:
        print(reason)
        return 2
    named = {word for word in words if not word.startswith("--")}
    every = requirements()
    chosen = [one for one in every.values() if not named or named & {one.id, one.suite}]
    serving: Callable[[Path], AbstractContextManager[Service]] = served
    if "--partner" in words:
        serving = partnered
    elif "--thread" in words:
        serving = partial(served, executor="thread")
        chosen = [one for one in chosen if one.id not in ENDS_ITS_PROCESS]
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as service:
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
