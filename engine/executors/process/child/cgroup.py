"""The control groups of one environment: its limits, and whether the kernel enforced that of memory.

Source: Linux kernel documentation, "Control Group v2".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def join(groups: Mapping[str, Mapping[str, str]]) -> None:
    """Make a group in each of these folders, with its limits by file, and put this process in it.

    It is named by the process id, which is unique among all that several fork servers have forked.
    """
    for folder, limits in groups.items():
        group = Path(folder, str(os.getpid()))
        group.mkdir(exist_ok=True)
        for file, text in limits.items():
            if (group / file).exists():  # kernels differ in what they have
                (group / file).write_text(text)
        (group / "cgroup.procs").write_text("0")


def remove(folders: Iterable[str], pid: int) -> bool:
    """Remove the groups of the environment `pid`, which exited; True if the kernel killed in them for memory.

    A group with a process that is still dying cannot be removed: the engine does that when it stops.
    """
    killed = False
    for folder in folders:
        group = f"{folder}/{pid}"
        try:
            with open(f"{group}/memory.events", encoding="ascii") as events:
                killed |= any(line.startswith("oom_kill ") and int(line.split()[1]) for line in events)
        except OSError:
            pass  # it limits CPU alone
        try:
            os.rmdir(group)
        except OSError:
            pass
    return killed
