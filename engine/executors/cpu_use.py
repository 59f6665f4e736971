"""What an init has used of the CPU so far: another process's main thread, or the threads of this one."""

from __future__ import annotations

import resource
from typing import Final

from engine.core.init_turns import Use

_NS: Final = 1e9


def use_of_process(pid: int) -> Use | None:
    """Of the main thread of `pid`, which is what imports; None if the kernel does not say.

    The time in the queue is added when it gets to run, so whether it is ready now is read beside it.
    Sources: kernel documentation, "Scheduler Statistics", `/proc/<pid>/schedstat`; proc_pid_stat(5).
    """
    try:
        with open(f"/proc/{pid}/schedstat", "rb", buffering=0) as schedstat:
            ran_ns, queued_ns, _ = schedstat.read(128).split()
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
            after_name = stat.read(512).rpartition(b") ")[2]  # which may hold anything, brackets too
    except (OSError, ValueError):
        return None
    return Use(int(ran_ns) / _NS, int(queued_ns) / _NS, after_name.startswith(b"R"))


def cpu_beside_this_thread() -> float | None:
    """CPU seconds of all threads of this process but the calling one; None if the kernel does not say.

    Threads that import take turns at the interpreter, so that what one of them wants is what all get.
    """
    if not hasattr(resource, "RUSAGE_THREAD"):  # not Linux
        return None
    everything, here = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_THREAD))
    return everything.ru_utime + everything.ru_stime - here.ru_utime - here.ru_stime
