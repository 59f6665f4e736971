"""Two runs side by side: what is chance and what is not, and which runs cannot be compared."""

import json
from random import Random

import pytest

from engine.load.results.comparison import comparison, refusal

BLOCKS = 20


def run(p50_ms, *, seed, cost=2e-7, cold=0, executor="process", cores=2, spread=0.2):
    """A document of a run of 2,000 requests around that time."""
    random = Random(seed)
    blocks = []
    for _ in range(BLOCKS):
        level = p50_ms * random.uniform(1 - spread, 1 + spread)  # neighbours wait for each other
        counts = {}
        for _ in range(100):
            value = round(1000 * level * random.lognormvariate(0, 0.3), -2)
            counts[int(value)] = counts.get(int(value), 0) + 1
        blocks.append(sorted(counts.items()))
    steps = range(101)
    return {
        "run_id": f"run-{seed}",
        "question": "How?",
        "client": {"streams": {"a": {"blocks": blocks}}},
        "engine": {},
        "settings": {"executors": {"a": executor}, "seed": 1},
        "machine": {"cores": cores},
        "samples": {
            "at_s": [step / 10 for step in steps],
            "invocations": [20 * step for step in steps],
            "cold_starts": [min(cold, step) for step in steps],
            "cost_usd": [20 * step * cost for step in steps],
        },
    }


def rows(before, after):
    """By name."""
    return {row["name"]: row for row in comparison(before, after)["rows"]}


def test_a_difference_of_chance_is_not_called_one():
    """In nineteen of twenty pairs of runs of the same thing, or thereabouts."""
    pairs = [rows(run(20, seed=seed), run(20, seed=seed + 10)) for seed in range(3)]

    assert 2 > sum(one["a, p50, ms"]["differs"] for one in pairs)


def test_a_difference_is_told_with_its_interval():
    """Twice as long, and a tenth dearer."""
    found = rows(run(20, seed=1), run(40, seed=2, cost=2.2e-7))

    times, cost = found["a, p50, ms"], found["cost of 1,000 requests, $"]
    assert times["differs"]
    assert 10 < times["low"] < times["after"] - times["before"] < times["high"] < 30
    assert cost["differs"]
    assert (2e-4, 2.2e-4) == (pytest.approx(cost["before"]), pytest.approx(cost["after"]))
    assert found["a, p99, ms"]["differs"]


def test_cold_starts_are_a_share_of_the_invocations():
    """All of them at the beginning: one block has them, so little is known of the difference."""
    found = rows(run(20, seed=1, cold=0), run(20, seed=2, cold=10))["cold starts, %"]

    assert (0.0, 0.5) == (found["before"], found["after"])
    assert found["low"] <= 0.5 <= found["high"]


def test_the_same_runs_give_the_same_intervals():
    """Draws are made from a seed."""
    before, after = run(20, seed=1), run(21, seed=2)

    assert comparison(before, after) == comparison(json.loads(json.dumps(before)), after)


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        (run(20, seed=1), None),
        (run(20, seed=1, executor="thread"), "ran on other executors: a on thread, and now a on process"),
        (run(20, seed=1, cores=8), "ran on 8 cores, and now on 2"),
        (
            {**run(20, seed=1), "client": {"streams": {"a": {}}}},
            "has no times to compare: it is a published run",
        ),
        ({"settings": {}}, "is no run.json of engine load, or of an older version"),
    ],
)
def test_what_ran_elsewhere_is_not_compared(before, problem):
    """Its figures are of another thing."""
    assert problem == refusal(before, {"a": "process"}, 2)
