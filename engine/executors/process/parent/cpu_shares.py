"""Measures how much of the CPU that Lambda's law promises them the environments of a function get here."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from engine.core.cpu_law import fitting, share
from engine.core.engine_events import CpuMeasured
from engine.core.function import Function
from engine.executors.process.parent.environment_process import EnvironmentProcess
from engine.machine.cores import usable_cores
from engine.ports import Workshop

PERIOD_S: Final = 0.5
LOOKS: Final = 100
"""Environments read in one period, which takes some milliseconds. Of more, each is read less often."""

_SHORT: Final = 0.95
"""Of the CPU that was promised: below it an operator should know."""

_WORSE: Final = 0.1
"""By how much less than was said before it must be to be said again."""


class CpuUse(NamedTuple):
    """What a process has had up to a time, seconds.

    `delay_s`: for how long its first thread could have run and did not, quotas aside.
    """

    at_s: float
    cpu_s: float
    delay_s: float


class CpuShares:
    """Compares the CPU that environments of `function` had with what they were promised and could have used.

    Sends `CpuMeasured` every `PERIOD_S` while they work. `throttled_s` gives the seconds that a process has
    waited for its own quota.
    """

    def __init__(self, function: Function, workshop: Workshop, throttled_s: Callable[[int], float]) -> None:
        self._function = function
        self._loop = workshop.loop
        self._now = workshop.clock.now
        self._notify = workshop.notify
        self._share = share(function.memory_mb)
        self._fit = fitting(function.memory_mb, usable_cores())
        self._throttled_s = throttled_s
        self._told = _SHORT + _WORSE
        self._last: dict[EnvironmentProcess, CpuUse] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, environment: EnvironmentProcess) -> None:
        """Measure it until nothing runs in it any more: an invocation begins."""
        if environment not in self._last and environment.pid:
            use = self._use(environment.pid)
            if use is not None:
                self._last[environment] = use
            if self._timer is None:
                self._timer = self._loop.call_later(PERIOD_S, self._look)

    def close(self) -> None:
        """Measure nothing any more."""
        self._last.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        got_s = promised_s = 0.0
        working = max(0, len(self._last) - LOOKS)  # as far as is known of those that are not read
        for environment in list(itertools.islice(self._last, LOOKS)):
            before = self._last.pop(environment)
            use = None if environment.closed else self._use(environment.pid)
            if use is None:
                continue
            cpu_s = use.cpu_s - before.cpu_s
            wanted_s = cpu_s + max(0.0, use.delay_s - before.delay_s)
            working += cpu_s > 0
            got_s += cpu_s
            promised_s += max(cpu_s, min(wanted_s, self._share * (use.at_s - before.at_s)))
            if environment.running:
                self._last[environment] = use
        if promised_s:
            self._tell(got_s, promised_s, working)
        if self._last:
            self._timer = self._loop.call_later(PERIOD_S, self._look)

    def _tell(self, got_s: float, promised_s: float, environments: int) -> None:
        worse = got_s / promised_s < self._told - _WORSE
        if worse:
            self._told = got_s / promised_s
        self._notify(
            CpuMeasured(
                function=self._function.name,
                got_s=got_s,
                promised_s=promised_s,
                environments=environments,
                memory_mb=self._function.memory_mb,
                fit=self._fit,
                worse=worse,
            )
        )

    def _use(self, pid: int) -> CpuUse | None:
        """Sources: proc(5), `schedstat`; the kernel's MAKE_PROCESS_CPUCLOCK. None if it has exited."""
        try:
            _, delay_ns, _ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
            cpu_s = time.clock_gettime(~pid << 3 | 2)
            throttled_s = self._throttled_s(pid)
        except (OSError, ValueError):
            return None
        return CpuUse(self._now(), cpu_s, int(delay_ns) / 1e9 - throttled_s)
