"""Lambda's CPU law: a share of a vCPU in proportion to memory, in periods of 20 ms."""

import random

import pytest

from engine.core.cpu_law import PERIOD_S, expected_wall_s, quota_s, share, visible_vcpus


@pytest.mark.parametrize(
    ("memory_mb", "quota_ms"), [(128, 1.447), (256, 2.894), (512, 5.788), (1024, 11.577), (1769, 20.0)]
)
def test_the_quota_of_a_period_is_in_proportion_to_memory(memory_mb, quota_ms):
    assert pytest.approx(quota_ms, abs=0.001) == quota_s(memory_mb) * 1000


@pytest.mark.parametrize(
    ("memory_mb", "count"),
    [(128, 2), (3008, 2), (3009, 3), (5307, 3), (5308, 4), (7076, 4), (8845, 5), (8846, 6), (10_240, 6)],
)
def test_code_sees_the_published_number_of_vcpus(memory_mb, count):
    assert count == visible_vcpus(memory_mb)


def wall_s(cpu_s, quota, phase_s):
    """What one thread takes that begins `phase_s` before the next refill, its pool full."""
    wall, left, until = 0.0, quota, phase_s
    while True:
        step = min(cpu_s, left)
        if step <= until:
            wall, cpu_s, left, until = wall + step, cpu_s - step, left - step, until - step
            if cpu_s <= 1e-12:
                return wall
            wall, left, until = wall + until, quota, PERIOD_S
        else:
            wall, cpu_s, left, until = wall + until, cpu_s - until, quota, PERIOD_S


@pytest.mark.parametrize("memory_mb", [128, 256, 512, 640, 1024])
@pytest.mark.parametrize("cpu_ms", [60, 100, 200])
def test_the_expected_time_is_that_of_a_pool_that_is_refilled(memory_mb, cpu_ms):
    """Averaged over where in a period it begins, and over amounts of work of about this size.

    The formula leaves out that a thread which begins shortly before a refill cannot use up its pool before:
    half a quota at most.
    """
    chosen = random.Random(1)
    times = [
        wall_s(
            cpu_ms / 1000 + chosen.uniform(0, quota_s(memory_mb)),
            quota_s(memory_mb),
            chosen.uniform(0, PERIOD_S),
        )
        for _ in range(1000)
    ]
    middle_s = cpu_ms / 1000 + quota_s(memory_mb) / 2

    assert pytest.approx(expected_wall_s(middle_s, memory_mb), abs=quota_s(memory_mb) / 2 + 0.001) == sum(
        times
    ) / len(times)


@pytest.mark.parametrize(("memory_mb", "cpu_s"), [(128, 0.001), (512, 0.005), (1769, 3.0), (3008, 3.0)])
def test_what_fits_into_the_quota_runs_at_full_speed(memory_mb, cpu_s):
    assert cpu_s == expected_wall_s(cpu_s, memory_mb)
    assert 0.0723 < share(128) < 0.0724
