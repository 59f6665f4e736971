"""The control group of one environment: its memory limit, and whether the kernel enforced it.

Source: Linux kernel documentation, "Control Group v2".
"""

from __future__ import annotations

import os
from pathlib import Path


def join(folder: str, memory_mb: int) -> None:
    """Make the control group `folder` for this process, with its memory limit, and enter it."""
    group = Path(folder)
    group.mkdir()
    (group / "memory.max").write_text(str(memory_mb * 1024 * 1024))
    for name, value in (("memory.oom.group", "1"), ("memory.swap.max", "0")):
        if (group / name).exists():
            (group / name).write_text(value)
    (group / "cgroup.procs").write_text("0")


def remove(folder: str) -> bool:
    """Remove the control group of an environment that exited; True if the kernel killed in it for memory.

    A group with a process that is still dying cannot be removed: the engine does that when it stops.
    """
    killed = False
    try:
        with open(f"{folder}/memory.events", encoding="ascii") as events:
            killed = any(line.startswith("oom_kill ") and int(line.split()[1]) for line in events)
        os.rmdir(folder)
    except OSError:
        pass
    return killed
