"""What one step of the kernel costs: the same whatever the number of environments and events."""

from __future__ import annotations

import sys

import pytest

from engine.core.fleet import Fleet, FleetLimits
from engine.core.throttling import Pool, TokenBucket


def calls(step, *args) -> int:
    """How many calls, of Python and of C, one step of the kernel makes."""
    count = 0

    def profile(frame, event, arg) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        step(*args)
    finally:
        sys.setprofile(None)
    return count


def busy_fleet(count: int, **limits) -> Fleet[int]:
    """All `count` environments busy."""
    fleet: Fleet[int] = Fleet(FleetLimits(**limits), Pool(10 * count), TokenBucket(count + 5, 1.0))
    for item in range(count * limits.get("environment_concurrency", 1)):
        fleet.arrive(item, 0.0)
    for env_id in range(1, count + 1):
        fleet.ready(env_id, 0.0)
    return fleet


def work_with_idle(count: int) -> list[int]:
    fleet = busy_fleet(count)
    for env_id in range(1, count + 1):
        fleet.finished(env_id, 1.0)
    return [
        calls(fleet.arrive, -1, 2.0),
        calls(fleet.finished, count, 3.0),
        calls(fleet.crashed, count // 2, 4.0),
        calls(fleet.next_due_s),
        calls(fleet.tick, 5.0),
        calls(fleet.statistics),
    ]


def work_with_busy(count: int) -> list[int]:
    fleet = busy_fleet(count)
    return [
        calls(fleet.arrive, -1, 2.0),
        calls(fleet.finished, count // 2, 3.0),
        calls(fleet.crashed, count // 3, 3.0),
        calls(fleet.arrive, -2, 4.0),
        calls(fleet.ready, count + 1, 4.0),
    ]


def work_with_waiting(count: int) -> list[int]:
    fleet: Fleet[int] = Fleet(FleetLimits(), Pool(2 * count))
    for item in range(count):
        fleet.arrive(item, 0.0)
    return [
        calls(fleet.arrive, -1, 1.0),
        calls(fleet.ready, count // 2, 2.0),
        calls(fleet.finished, count // 2, 3.0),
        calls(fleet.crashed, count // 3, 3.0),
    ]


def work_with_blocked(count: int) -> list[int]:
    fleet: Fleet[int] = Fleet(FleetLimits(reserved=1, queue_limit=2 * count), Pool(0))
    for item in range(count):
        fleet.arrive(item, 0.0)
    return [
        calls(fleet.arrive, -1, 1.0),
        calls(fleet.ready, 1, 2.0),
        calls(fleet.finished, 1, 2.0),
        calls(fleet.tick, 2.5),
        calls(fleet.next_due_s),
    ]


def work_with_shared(count: int) -> list[int]:
    fleet = busy_fleet(count, environment_concurrency=2)
    work = [calls(fleet.finished, count // 2, 1.0)]
    for env_id in range(1, count // 2):
        fleet.finished(env_id, 1.0)
    return [*work, calls(fleet.arrive, -1, 2.0), calls(fleet.arrive, -2, 2.0), calls(fleet.finished, 1, 3.0)]


@pytest.mark.parametrize(
    "work", [work_with_idle, work_with_busy, work_with_waiting, work_with_blocked, work_with_shared]
)
def test_a_step_costs_the_same_with_10_and_with_10_000(work):
    """O(1) in environments, in waiting events and in blocked ones: the same number of calls."""
    assert work(10) == work(10_000)
