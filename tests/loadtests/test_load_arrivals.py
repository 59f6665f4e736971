"""When requests are due: no clock, no socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.load.planning.arrivals import Arrival, arrivals, share_of
from engine.load.planning.plan import LoadStage, Plan, Stream

STAGES = (
    LoadStage(name="slow", seconds=2, per_s={"a": 2}),
    LoadStage(name="burst", seconds=1, at_once={"a": 3}, per_s={"b": 5}),
    LoadStage(name="idle", seconds=4),
    LoadStage(name="fast", seconds=1, per_s={"a": 4}),
)


def test_even_arrivals_follow_the_stages():
    """Each stage has its rate; a burst is due at its beginning; numbers go on."""
    actual = list(arrivals(STAGES, "a", spacing="constant", seed=1))

    assert [
        Arrival(0.5, 0, 0, burst=False),
        Arrival(1.0, 0, 1, burst=False),
        Arrival(1.5, 0, 2, burst=False),
        Arrival(2.0, 1, 3, burst=True),
        Arrival(2.0, 1, 4, burst=True),
        Arrival(2.0, 1, 5, burst=True),
        Arrival(7.25, 3, 6, burst=False),
        Arrival(7.5, 3, 7, burst=False),
        Arrival(7.75, 3, 8, burst=False),
    ] == actual


def test_random_arrivals_have_the_rate_that_is_asked_for():
    """A Poisson process: over 10,000 expected arrivals the count is within five standard deviations."""
    stages = (LoadStage(name="one", seconds=10, per_s={"a": 1000}),)

    count = sum(1 for _ in arrivals(stages, "a", spacing="poisson", seed=7))

    assert 9_500 < count < 10_500


@given(st.integers(1, 5), st.integers(0, 100), st.sampled_from(["poisson", "constant"]))
def test_every_arrival_is_sent_by_exactly_one_process(parts, seed, spacing):
    """The parts together are the whole, in whatever process they are walked."""
    whole = list(arrivals(STAGES, "a", spacing=spacing, seed=seed))

    split = [
        one
        for part in range(parts)
        for one in share_of(arrivals(STAGES, "a", spacing=spacing, seed=seed), part, parts)
    ]

    assert whole == sorted(split, key=lambda one: one.number)
    assert whole == sorted(whole)


def test_streams_do_not_share_their_chance():
    """Another stream has other times; the same seed has the same."""
    stages = (LoadStage(name="one", seconds=5, per_s={"a": 10, "b": 10}),)

    of_a = [one.at_s for one in arrivals(stages, "a", spacing="poisson", seed=1)]

    assert of_a == [one.at_s for one in arrivals(stages, "a", spacing="poisson", seed=1)]
    assert of_a != [one.at_s for one in arrivals(stages, "b", spacing="poisson", seed=1)]
    assert of_a != [one.at_s for one in arrivals(stages, "a", spacing="poisson", seed=2)]


@pytest.mark.parametrize(
    ("at_s", "stage", "per_s"),
    [(-1, 0, 0), (0, 0, 2), (1.99, 0, 2), (2, 1, 5), (5, 2, 0), (7.9, 3, 4), (8, 3, 0), (99, 3, 0)],
)
def test_a_plan_knows_its_stage_and_rate_at_any_time(at_s, stage, per_s):
    """Before the load and after it nothing is due."""
    plan = Plan(
        run_id="x",
        scenario="x",
        urls={},
        streams={name: Stream(send="invoke", function="f") for name in "ab"},
        stages=STAGES,
        result="r",
    )

    assert (stage, per_s, 8) == (plan.stage_at(at_s), plan.rate_at(at_s), plan.seconds)
