"""A process that gives other processes their shares of a CPU, by stopping and continuing them.

It is used where no control group can do it. The engine writes lines to its standard input: `+ PID QUOTA`
when something begins to run in a process, with the CPU seconds it may use in each period, `- PID 0` when
that has ended, and `x PID 0` when the process has. Each process has a budget, refilled every period and
never above its quota; what it used too much it lacks in the next one, so that the mean holds, also over
invocations.

Its error was measured: docs/operations.md. CPU of child processes of a handler is not counted, and they are
not stopped.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Final

from engine.core.cpu_law import PERIOD_S

_now: Final = time.monotonic  # noqa: TID251  # another process: there is no Clock to be passed in
_SHORTEST_S: Final = 0.0002
_LINES: Final = 65_536


class LimitedProcess:
    """One process in which something runs."""

    __slots__ = ("_budget_s", "_clock", "_pidfd", "_quota_s", "_refill_s", "_stopped", "_used_s")

    def __init__(self, pid: int, quota_s: float, now_s: float) -> None:
        """Raises OSError if there is no such process."""
        self._pidfd = os.pidfd_open(pid)
        self._clock = ~pid << 3 | 2  # its CPU clock, all threads: MAKE_PROCESS_CPUCLOCK of the kernel
        self._quota_s = self._budget_s = quota_s
        self._refill_s = now_s + PERIOD_S
        self._used_s = time.clock_gettime(self._clock)
        self._stopped = False

    def turn(self, now_s: float) -> float:
        """Stop or continue it; returns the time in seconds to look again at. Raises OSError if it is gone."""
        used_s = time.clock_gettime(self._clock)
        self._budget_s -= used_s - self._used_s
        self._used_s = used_s
        while now_s >= self._refill_s:
            self._refill_s += PERIOD_S
            self._budget_s = min(self._quota_s, self._budget_s + self._quota_s)
        has_budget = self._budget_s > 0
        if has_budget == self._stopped:
            self._stopped = not has_budget
            signal.pidfd_send_signal(self._pidfd, signal.SIGSTOP if self._stopped else signal.SIGCONT)
        if self._stopped:
            return self._refill_s
        return min(self._refill_s, now_s + max(self._budget_s, _SHORTEST_S))

    def resume(self) -> None:
        """Let it run as it likes: nothing runs in it, or the engine has gone."""
        if self._stopped:
            self._stopped = False
            with suppress(ProcessLookupError):  # it has exited
                signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)

    def close(self) -> None:
        """Let go of it, which has exited."""
        os.close(self._pidfd)


class DutyCycle:
    """All processes that are limited, and when to look at each of those that work."""

    def __init__(self) -> None:
        self._processes: dict[int, LimitedProcess] = {}
        self._due_s: dict[int, float] = {}

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until one is due; None if nothing runs."""
        return max(0.0, min(self._due_s.values()) - now_s) if self._due_s else None

    def obey(self, line: bytes, now_s: float) -> None:
        """Do what one line of the engine's says."""
        what, number, quota_s = line.split()
        pid = int(number)
        self._due_s.pop(pid, None)
        process = self._processes.get(pid)
        if what == b"+":
            if process is None:
                with suppress(OSError):  # it has exited
                    self._processes[pid] = LimitedProcess(pid, float(quota_s), now_s)
                    self._due_s[pid] = now_s
            else:
                self._due_s[pid] = now_s
        elif process is not None:
            process.resume()
            if what == b"x":
                self._processes.pop(pid).close()

    def turn(self, now_s: float) -> None:
        """Stop and continue those that are due."""
        for pid in [pid for pid, due_s in self._due_s.items() if due_s <= now_s]:
            try:
                self._due_s[pid] = self._processes[pid].turn(now_s)
            except OSError:  # it has exited
                del self._due_s[pid]

    def resume_all(self) -> None:
        """Let all run on."""
        for process in self._processes.values():
            process.resume()


def main() -> None:
    """Do as standard input says, until it is closed; then all processes run on."""
    cycle, rest = DutyCycle(), b""
    source = sys.stdin.fileno()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while True:
        wait_s = cycle.wait_s(_now())
        if poll.poll(None if wait_s is None else wait_s * 1000):
            data = os.read(source, _LINES)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                cycle.obey(line, _now())
        cycle.turn(_now())
    cycle.resume_all()


if __name__ == "__main__":
    main()
