"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cores(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may run on, or what its control groups' quotas leave of them; 1 or more.

    A quota of one and a half cores counts as two: rounding down would leave half of one unused.
    Sources: sched_getaffinity(2); kernel documentation, "Control Group v2", `cpu.max`, and "CFS Bandwidth
    Control", `cpu.cfs_quota_us`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(proc, cgroups), default=math.inf)
    return max(1, cores if quota >= cores else math.ceil(quota))


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """The quota of each control group this process is in, in cores."""
    try:
        memberships = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, read = cgroups, _max_quota
        elif "cpu" in controllers.split(","):
            root, read = cgroups / controllers, _cfs_quota
        else:
            continue
        # In a container the path is that of the host, and what is mounted is the group itself.
        folder = root / path.lstrip("/")
        for one in (*((folder, *folder.parents) if folder.is_dir() else ()), root):
            if one.is_relative_to(root) and (quota := read(one)) is not None:
                yield quota


def _max_quota(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _cfs_quota(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
