"""How much CPU Lambda gives an environment: in proportion to its memory, one vCPU at 1,769 MB.

Sources: Lambda Developer Guide, "Configure Lambda function memory"; the period of 20 ms is what third parties
measured (unverified); visible vCPUs as `/proc/cpuinfo` showed them on Lambda.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, Literal

CpuLaw = Literal["host", "lambda"]
"""Whose CPU an environment has: all that this machine has to give, or the share that Lambda gives it."""

MB_PER_VCPU: Final = 1769
PERIOD_S: Final = 0.02

_VCPUS: Final = (2, 3, 4, 5, 6)
_UP_TO_MB: Final = (3008, 5307, 7076, 8845)


def share(memory_mb: int) -> float:
    """Of a vCPU, which an environment of this size may use at most; above 1 it takes threads to use it."""
    return memory_mb / MB_PER_VCPU


def fitting(memory_mb: int, cores: int) -> int:
    """How many environments of this size can compute at once and have their shares."""
    return int(cores / share(memory_mb))


def quota_s(memory_mb: int, period_s: float = PERIOD_S) -> float:
    """CPU seconds in each period, after which an environment waits for the next one."""
    return share(memory_mb) * period_s


def visible_vcpus(memory_mb: int) -> int:
    """What `os.cpu_count` says in an environment of this size."""
    return _VCPUS[bisect_left(_UP_TO_MB, memory_mb)]


def expected_wall_s(cpu_s: float, memory_mb: int, period_s: float = PERIOD_S) -> float:
    """Mean seconds that one thread takes for `cpu_s` of computing, if it begins at any time of a period.

    What is left of the first period is free: it takes 14 to 20 ms less than `cpu_s / share`, and no longer
    than `cpu_s` if that is within the quota.
    """
    quota = quota_s(memory_mb, period_s)
    if quota >= period_s:
        return cpu_s
    return max(cpu_s, cpu_s * period_s / quota - period_s + quota / 2)
