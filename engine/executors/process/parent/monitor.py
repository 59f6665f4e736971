"""Samples environments while something runs in them: one timer, a bounded number at a time.

Their memory is measured where no control group caps it. Those that run long are given a lower priority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from engine.machine import memory

PERIOD_S: Final = 0.02
LOOKS: Final = 100
"""Environments sampled at a time. Of more, each is sampled less often."""

SHARE: Final = 0.02
"""Of a core that sampling may take: after it took long, periods pass without, up to `_LONGEST_PAUSE_S`.

A thousand that sleep must not cost those that start meanwhile their time.
"""

_LONGEST_PAUSE_S: Final = 0.2

LONG: Final = 5
"""Samples without more memory, after which an invocation counts as one that runs long.

From then on it is sampled only once in so many periods, until it takes more.
"""

_CHILDREN_EVERY: Final = 4
"""Samples from one that includes child processes to the next, for an environment that had none."""


class MonitoredProcess(Protocol):
    """An environment, as far as the monitor knows it."""

    pid: int
    """0 before there is a process."""

    turn: int
    """Grows with each invocation it is given."""

    def working(self) -> bool:
        """Whether something runs in it."""

    def deprioritise(self) -> None:
        """Lower its priority: its invocation runs long."""

    def restore_priority(self) -> None:
        """Raise its priority again: it takes more memory, and may be on its way to the cap."""

    def over_cap(self, resident_kb: int) -> bool:
        """Take its resident memory in KB; True if that is over its cap, and it was ended."""


class _Seen:
    """What has been measured of one invocation so far."""

    __slots__ = ("has_children", "looks", "resident_kb", "still", "turn")

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.resident_kb = 0
        self.still = 0
        self.looks = 0
        self.has_children = False


class Monitor:
    """Samples environments that work for a whole period; shorter invocations are measured at their end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        resident_kb: Callable[[int], int | None] | None = None,
        also: Callable[[], object] = lambda: None,
        cpu_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`also` is called in each period. `resident_kb` replaces the reading of /proc in tests.

        `cpu_s`: seconds of CPU that the loop's thread has had, by which `SHARE` is kept.
        """
        self._loop = loop
        self._cpu_s = cpu_s
        self._paused_until_s = 0.0
        self._also = also
        self._resident_kb = resident_kb or memory.resident_kb
        self._tree = memory.tree_kb if resident_kb is None else lambda pid: (resident_kb(pid), False)
        self._members: dict[MonitoredProcess, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.is_running = False
        """Whether the timer runs. An attribute: it is read once an invocation."""
        self._seen: dict[MonitoredProcess, _Seen] = {}

    def add(self, process: MonitoredProcess) -> None:
        """Sample it from now on, whenever something runs in it."""
        self._members[process] = None

    def remove(self, process: MonitoredProcess) -> None:
        """Stop sampling it."""
        self._members.pop(process, None)
        self._seen.pop(process, None)

    def start(self) -> None:
        """Start the timer, unless it runs: an environment has begun to work."""
        if not self.is_running:
            self.is_running = True
            self._timer = self._loop.call_later(PERIOD_S, self._look)

    def close(self) -> None:
        """Stop the timer and forget all environments."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_running = False
        self._members.clear()

    def _look(self) -> None:
        self.is_running = False
        if self._loop.time() < self._paused_until_s:
            self._also()
            self.start()
            return
        began_s = self._cpu_s()
        seen, self._seen = self._seen, {}
        working = [process for process in self._members if process.pid and process.working()]
        if not working:
            return
        chosen: list[MonitoredProcess] = []
        for process in working:
            known = seen.get(process)
            if known is None or known.turn != process.turn:
                self._seen[process] = _Seen(process.turn)  # new since the last look
                continue
            self._seen[process] = known
            if known.still >= LONG:
                known.still += 1
                if known.still % LONG:
                    continue
            if len(chosen) < LOOKS:
                chosen.append(process)
        self._also()
        for process in chosen:
            if len(working) > LOOKS:  # to the end of the line, so that the others have their turn
                self._members.pop(process, None)
                self._members[process] = None
            self._look_at(process, self._seen[process])
        pause_s = min((self._cpu_s() - began_s) / SHARE, _LONGEST_PAUSE_S)
        self._paused_until_s = self._loop.time() + pause_s
        self.start()

    def _look_at(self, process: MonitoredProcess, known: _Seen) -> None:
        known.looks += 1
        if known.has_children or known.looks % _CHILDREN_EVERY == 1:
            resident_kb, known.has_children = self._tree(process.pid)
        else:
            resident_kb = self._resident_kb(process.pid)
        if resident_kb is None:
            return
        if process.over_cap(resident_kb):
            self.remove(process)
        elif resident_kb > known.resident_kb:
            if known.still >= LONG:
                process.restore_priority()
            known.resident_kb, known.still = resident_kb, 0
        elif known.still < LONG:
            known.still += 1
            if known.still == LONG:
                process.deprioritise()
