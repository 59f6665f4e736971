"""Random streams, faults and crashes: no record is lost or repeated beyond the rules, no key out of order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.streams.world import Plan, World

SHARES = st.sampled_from((0.0, 0.1, 0.4))

PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32),
    keys=st.sampled_from((1, 4, 30)),
    shards=st.integers(1, 3),
    puts=st.integers(0, 120),
    reshardings=st.integers(0, 4),
    failing=SHARES,
    throttling=SHARES,
    partial=SHARES,
    poison=st.sampled_from((0.0, 0.05)),
    filtered=st.sampled_from((0.0, 0.3)),
    failing_reads=st.sampled_from((0.0, 0.3)),
    names_children=st.booleans(),
    knows_delay=st.booleans(),
)

SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "batch_size": st.sampled_from((1, 3, 10, 100)),
    "batching_window_s": st.sampled_from((0, 1, 20)),
    "maximum_retry_attempts": st.sampled_from((0, 1, 3)),
    "bisect": st.booleans(),
    "report_batch_item_failures": st.booleans(),
    "read_limit": st.sampled_from((1, 7, 1_000)),
    "buffer_records": st.sampled_from((1, 20, 10_000)),
    "list_interval_s": st.sampled_from((1.0, 10.0)),
}

mappings = st.fixed_dictionaries(SETTINGS | {"parallelization_factor": st.integers(1, 10)})
windowed = st.fixed_dictionaries(SETTINGS | {"tumbling_window_s": st.sampled_from((1, 7, 30))})


def problems(plan: Plan, chosen: dict[str, Any]) -> list[str]:
    """What did not hold."""
    world = World(plan, **chosen)
    world.run()
    return world.problems[:5]


@settings(max_examples=30)
@given(PLANS, mappings)
def test_order_and_fates_hold_under_failures_and_reshardings(plan: Plan, chosen: dict[str, Any]) -> None:
    assert [] == problems(plan, chosen)


@settings(max_examples=20)
@given(PLANS, mappings, st.integers(1, 3), st.integers(0, 3))
def test_a_pause_loses_and_repeats_nothing_and_a_crash_only_what_was_not_checkpointed(
    plan: Plan, chosen: dict[str, Any], pauses: int, crashes: int
) -> None:
    assert [] == problems(Plan(**vars(plan) | {"pauses": pauses, "crashes": crashes}), chosen)


@settings(max_examples=20)
@given(PLANS, mappings, st.integers(1, 4), st.integers(0, 1))
def test_other_settings_lose_and_repeat_nothing(
    plan: Plan, chosen: dict[str, Any], changes: int, crashes: int
) -> None:
    assert [] == problems(Plan(**vars(plan) | {"changes": changes, "crashes": crashes}), chosen)


@settings(max_examples=20)
@given(PLANS, windowed)
def test_windows_partition_the_records_and_their_states_never_cross(
    plan: Plan, chosen: dict[str, Any]
) -> None:
    assert [] == problems(plan, chosen)


@settings(max_examples=20)
@given(PLANS, windowed, st.integers(0, 2), st.integers(1, 2))
def test_the_state_of_a_window_outlives_a_restart(
    plan: Plan, chosen: dict[str, Any], pauses: int, crashes: int
) -> None:
    assert [] == problems(Plan(**vars(plan) | {"pauses": pauses, "crashes": crashes}), chosen)


@settings(max_examples=30)
@given(PLANS, mappings)
def test_what_fails_for_ever_is_given_up_at_its_age(plan: Plan, chosen: dict[str, Any]) -> None:
    chosen = chosen | {"maximum_retry_attempts": -1, "maximum_record_age_s": 60}

    assert [] == problems(Plan(**vars(plan) | {"poison": 0.1}), chosen)


@pytest.mark.slow
@settings(max_examples=50)
@given(PLANS, st.one_of(mappings, windowed), st.integers(0, 3), st.integers(0, 3))
def test_everything_at_once(plan: Plan, chosen: dict[str, Any], pauses: int, crashes: int) -> None:
    assert [] == problems(Plan(**vars(plan) | {"pauses": pauses, "crashes": crashes}), chosen)
