"""Plan, the fast simulator, the live rules and the fluid model on 400 random workloads.

Run: `python tests/bench/model_grid.py`; prints one JSON object, exit code 1 if an answer is further from a
simulation than its stated error and chance allow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.model.workload_grid import by_rules, case, differences, fast, planned, workload

WORKLOADS = 400
FIRST_SEED = 10_000
AT_MOST = 2
"""Workloads that may be further apart: a bound of about five standard deviations, eight bounds each."""


def main() -> int:
    """Compare and print."""
    apart: list[str] = []
    different = 0
    for seed in range(FIRST_SEED, FIRST_SEED + WORKLOADS):
        one = case(seed)
        drawn = workload(one, seed)
        found = differences(one, planned(one), fast(one, drawn) or by_rules(one, drawn))
        apart += [f"seed {seed}: {line}" for line in found]
        different += bool(found)
    print(
        json.dumps({"workloads": WORKLOADS, "different": different, "at_most": AT_MOST, "differences": apart})
    )
    return 0 if different <= AT_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
