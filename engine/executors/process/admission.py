"""Lets environments be started only while the machine has room for them: memory, descriptors, processes.

Nothing is left to the kernel's out-of-memory killer, nor to calls that fail because every descriptor is
taken: what does not fit waits, in order, until something else has ended. How much an environment needs is
measured on those that are there; of a function that has none yet, its configured memory is assumed.

While environments wait, idle ones of other functions are given up for them, and after `PATIENCE_S` one that
is busy, as soon as its invocation ends: functions that do not fit together take turns. See decision 19.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any, Final, Protocol

from engine.core.engine_events import EndedForMemory, EngineEvent, Held
from engine.core.failure import InitFailure
from engine.core.function import INIT_LIMIT_S
from engine.machine import descriptors
from engine.machine.memory import Memory, MemoryGauge, reserve_kb, resident_kb, share_of
from engine.ports import Clock

PATIENCE_S: Final = 1.0
"""How long the first in line waits before a busy environment of another function has to go after its work."""

DESCRIPTORS_EACH: Final = 3
"""What an environment takes in this process: a socket, a pipe, and a hold on the process."""

SHORTAGES: Final = {
    errno.ENOMEM: "memory",
    errno.EAGAIN: "processes",
    errno.EMFILE: "descriptors",
    errno.ENFILE: "descriptors",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
}
"""What a fork that failed with such an error was short of. It may succeed later."""

_IN_NEED: Final = DESCRIPTORS_EACH + 1
"""How far into the reserve of descriptors the only environment may go: without it nothing would ever end."""

_LOOK_S: Final = 0.05
_REMIND_S: Final = 2.0
_TELL_AGAIN_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_OVERHEAD_KB: Final = 512
"""What the kernel has of each process: page tables, stacks, sockets."""

_FIRST_SAMPLES: Final = 3
_SAMPLE_EVERY: Final = 16
_FADES: Final = 0.9
_UNKNOWN_KB: Final = 256 * 1024
_GROWTH_KB_PER_S: Final = 4 << 20
"""How fast two cores can fill memory: how soon it has to be looked at again."""


class Applicant(Protocol):
    """An environment, as seen from here."""

    pid: int
    since_s: float

    @property
    def running(self) -> bool:
        """Whether invocations run in it."""

    def working(self) -> bool:
        """Whether something runs in it, its init included."""

    def unborn(self, failure: InitFailure) -> None:
        """There will be none."""

    def end_for_memory(self) -> None:
        """End it, as one that is over its own limit."""


class Tenant(Protocol):
    """The executor of one function."""

    need: Need

    def remind(self, one: Any) -> None:
        """Told that `one` still waits: the limit of its init has not begun."""

    def give_up(self, one: Any) -> bool:
        """Let an idle environment go, or a busy one after its work; False if it is not to go."""

    def hold(self) -> None:
        """Ask for no further environments for now: those that are asked for have to wait."""

    def resume(self) -> None:
        """Ask for them again."""

    def notify(self, notice: EngineEvent) -> None:
        """Pass it on to whoever runs the engine."""


class Need:
    """What an environment of one function takes, as measured so far.

    Attributes:
        function: Its name.
        cap_kb: Its configured memory.
        init_kb: What one has to itself after its init; 0 = not known yet.
        shared_kb: What it has besides that others have too.
        peak_kb: The most that invocations took, `shared_kb` included.
    """

    __slots__ = ("_seen", "cap_kb", "function", "init_kb", "peak_kb", "shared_kb")

    def __init__(self, function: str, cap_kb: int) -> None:
        self.function = function
        self.cap_kb = cap_kb
        self.init_kb = self.shared_kb = self.peak_kb = 0
        self._seen = 0

    def kb(self, limit_kb: int) -> int:
        """What to expect of the next one, on a machine of so much."""
        if not self.init_kb:
            return min(self.cap_kb, max(_UNKNOWN_KB, limit_kb // 8))
        return min(max(self.init_kb, self.peak_kb - self.shared_kb), self.cap_kb) + _OVERHEAD_KB

    def measure(self, pid: int) -> None:
        """Look at one that has just initialised. Most are as the ones before, and not looked at."""
        self._seen += 1
        if self._seen > _FIRST_SAMPLES and self._seen % _SAMPLE_EVERY:
            return
        resident, share = resident_kb(pid), share_of(pid)
        if resident is None:
            return
        own_kb = share.own_kb if share is not None else resident
        self.init_kb = max(own_kb, int(self.init_kb * _FADES))
        self.shared_kb = resident - own_kb
        self.peak_kb = int(self.peak_kb * _FADES)

    def forget(self) -> None:
        """Its code is another now."""
        self.init_kb = self.shared_kb = self.peak_kb = self._seen = 0


class _Waiting:
    """One in line. `began_s`: when it came."""

    __slots__ = ("began_s", "start", "tenant", "told")

    def __init__(self, tenant: Tenant, start: Callable[[], None], began_s: float) -> None:
        self.tenant = tenant
        self.start = start
        self.began_s = began_s
        self.told = False


class Admission:
    """One for all process executors of an engine.

    Args:
        loop: Where everything here is called.
        clock: The engine's.
        leaving: How many environments are on their way out, and will make room.
        gauge: Reads memory; called at most every `_LOOK_S`, or for each environment while memory is short.
        spare: How many descriptors may be opened; called for each environment.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        leaving: Callable[[], int],
        gauge: Callable[[], Memory | None] | None = None,
        spare: Callable[[], int] = descriptors.spare,
    ) -> None:
        self._loop = loop
        self._now = clock.now
        self._leaving = leaving
        self._gauge = gauge or MemoryGauge().read
        self._spare = spare
        self._most_descriptors = descriptors.share(spare())
        self._held: set[Tenant] = set()  # told to ask for no more
        self._spoilt: set[Tenant] = set()  # with idle environments, when last seen
        self._memory: Memory | None = None
        self._read_s = self._look_s = -1.0
        self._line: dict[Applicant, _Waiting] = {}
        self._begun: dict[Applicant, Tenant] = {}
        self._unborn: set[Applicant] = set()
        self._claims: dict[Applicant, int] = {}  # of those that initialise: not all of it is taken yet
        self._claimed_kb = 0
        self._timer: asyncio.TimerHandle | None = None
        self._moved_s = 0.0  # when something was started or had ended last
        self._took_s = 0.0  # when a busy one was told to go after its work
        self._reminded_s = 0.0
        self._paused_until_s = 0.0  # after a fork that failed
        self._pause_s = _FIRST_PAUSE_S
        self._paused_for = ""
        self._told_s: dict[str, float] = {}

    # ---------------------------------------------------------------- what executors tell

    def ask(self, one: Applicant, tenant: Tenant, start: Callable[[], None], *, urgent: bool = False) -> None:
        """Have `start` called: now, or as soon as there is room. `urgent`: it takes the place of another."""
        if not urgent and (self._line or self._shortage(tenant)):
            self._line[one] = _Waiting(tenant, start, self._now())
            self._rouse()
        else:
            self._begin(one, tenant, start)

    def postpone(self, one: Applicant, tenant: Tenant, start: Callable[[], None], code: int) -> None:
        """It was started, and could not be forked because of the error `code`: first in line again."""
        self.forget(one)
        now_s = self._now()
        if now_s >= self._paused_until_s:
            self._paused_until_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._paused_for = SHORTAGES.get(code, "processes")
        self._line = {one: _Waiting(tenant, start, one.since_s), **self._line}
        self._rouse()

    def born(self, one: Applicant) -> None:
        """Its process is there."""
        self._unborn.discard(one)
        self._pause_s = _FIRST_PAUSE_S
        self._paused_for = ""

    def initialised(self, one: Applicant, need: Need) -> None:
        """It has taken what it needs for the start."""
        self._claimed_kb -= self._claims.pop(one, 0)
        self._read_s = -1.0  # what was claimed is taken now
        need.measure(one.pid)
        if self._line:
            self._admit()

    def forget(self, one: Applicant) -> None:
        """It is gone, or about to go, wherever it was."""
        self._line.pop(one, None)
        self._unborn.discard(one)
        self._claimed_kb -= self._claims.pop(one, 0)
        if self._begun.pop(one, None) is not None:
            self._moved_s = self._now()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    def close(self) -> None:
        """Start nothing more."""
        self._line.clear()
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- whether there is room

    def _shortage(self, tenant: Tenant) -> str | None:
        """What is missing for one more, if anything is."""
        now_s = self._now()
        if self._paused_for and (self._unborn or now_s < self._paused_until_s):
            return self._paused_for  # one at a time, until one succeeds
        spare = self._spare() - DESCRIPTORS_EACH * (len(self._unborn) + 1)
        over = len(self._begun) * DESCRIPTORS_EACH >= self._most_descriptors
        if (spare < 0 or over) and (self._begun or spare < -_IN_NEED):
            return "descriptors"
        if now_s - self._read_s >= _LOOK_S or self._short_of_memory:
            self._memory, self._read_s = self._gauge(), now_s
        memory = self._memory
        if memory is None:
            return None
        left_kb = memory.available_kb - self._claimed_kb - tenant.need.kb(memory.limit_kb)
        kept_kb = reserve_kb(memory.limit_kb)
        if left_kb < kept_kb and (self._begun or memory.available_kb < kept_kb // 2):
            return "memory"
        return None

    @property
    def _short_of_memory(self) -> bool:
        memory = self._memory
        return memory is not None and memory.available_kb - self._claimed_kb < memory.limit_kb // 4

    def _begin(self, one: Applicant, tenant: Tenant, start: Callable[[], None]) -> None:
        memory = self._memory
        need_kb = tenant.need.kb(memory.limit_kb) if memory is not None else 0
        self._claims[one] = need_kb
        self._claimed_kb += need_kb
        self._begun[one] = tenant
        self._unborn.add(one)
        self._moved_s = self._now()
        start()

    def _admit(self) -> None:
        """Start what fits, in order; for so long, one function's that do not fit hold up none of others."""
        oldest_s = next(iter(self._line.values())).began_s
        strict = self._now() - oldest_s > PATIENCE_S
        short = set(self._spoilt)  # nobody waits for what they have in line
        for one, waiting in list(self._line.items()):
            if waiting.tenant in short or one not in self._line:
                continue
            if self._shortage(waiting.tenant) is None:
                del self._line[one]
                self._begin(one, waiting.tenant, waiting.start)
            elif strict:
                return
            else:
                short.add(waiting.tenant)

    # ---------------------------------------------------------------- while something waits

    def _rouse(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self._now()
        self._read_s = -1.0
        self._spoilt = set(self._idle_by_tenant())
        if self._line:
            self._admit()
        if self._line:
            self._tell(now_s)
            self._make_room(now_s)
            self._remind(now_s)
        else:
            self._spoilt.clear()
        self._hold_and_resume()
        if self._line:
            self._rouse()

    def _hold_and_resume(self) -> None:
        """Tell those whose environments wait to ask for no more, and those whose wait no longer."""
        waiting = {one.tenant for one in self._line.values()}
        held, self._held = self._held, waiting
        for tenant in waiting - held:
            tenant.hold()
        for tenant in held - waiting:
            tenant.resume()

    def _make_room(self, now_s: float) -> None:
        """Give up environments that do less than what waits would."""
        if self._leaving():
            return
        first = next((one for one in self._line.values() if one.tenant not in self._spoilt), None)
        if first is None:
            return
        idle = self._idle_by_tenant()
        if idle:
            limit_kb = self._memory.limit_kb if self._memory is not None else 0
            missing_kb = first.tenant.need.kb(limit_kb)
            tenant = max(idle, key=lambda one: len(idle[one]))
            for one in idle[tenant]:
                if tenant.give_up(one):
                    missing_kb -= tenant.need.kb(limit_kb)
                if missing_kb <= 0:
                    return
        elif now_s - max(first.began_s, self._moved_s, self._took_s) > PATIENCE_S:
            self._take_from_the_richest(first.tenant)
            self._took_s = now_s

    def _take_from_the_richest(self, poor: Tenant) -> None:
        """One of the function that has most environments, and more than `poor`, goes after its work."""
        counts: dict[Tenant, int] = {}
        for tenant in self._begun.values():
            counts[tenant] = counts.get(tenant, 0) + 1
        own = counts.pop(poor, 0)
        for tenant in sorted(counts, key=lambda one: -counts[one]):
            if counts[tenant] > own and any(
                tenant.give_up(one) for one, of in list(self._begun.items()) if of is tenant and one.running
            ):
                return

    def _idle_by_tenant(self) -> dict[Tenant, list[Applicant]]:
        idle: dict[Tenant, list[Applicant]] = {}
        for one, tenant in self._begun.items():
            if one.pid and not one.working():
                idle.setdefault(tenant, []).append(one)
        return idle

    def _remind(self, now_s: float) -> None:
        """No init has begun. Where nothing is there that might end and make room, waiting is of no use."""
        if now_s - self._reminded_s < _REMIND_S:
            return
        self._reminded_s = now_s
        stuck = not self._begun and now_s - self._moved_s > INIT_LIMIT_S
        for one, waiting in list(self._line.items()):
            if stuck and now_s - waiting.began_s > INIT_LIMIT_S:
                del self._line[one]
                one.unborn(InitFailure("Sandbox.Failure", _no_room(self._shortage(waiting.tenant))))
            else:
                waiting.tenant.remind(one)

    def _tell(self, now_s: float) -> None:
        """Count what waits for more than a moment; and once in a while, say so."""
        for waiting in self._line.values():
            if waiting.told or now_s - waiting.began_s < _LOOK_S:
                continue
            waiting.told = True
            tenant = waiting.tenant
            by = self._shortage(tenant) or "memory"
            said_s = self._told_s.get(by)
            known = bool(tenant.need.init_kb) or now_s - waiting.began_s > PATIENCE_S
            first = known and (said_s is None or now_s - said_s > _TELL_AGAIN_S)
            if first:
                self._told_s[by] = now_s
            tenant.notify(self._notice(tenant, by, first=first))

    def _notice(self, tenant: Tenant, by: str, *, first: bool) -> Held:
        memory = self._memory or Memory(0, 0)
        need_kb = tenant.need.kb(memory.limit_kb)
        there = sum(of is tenant for of in self._begun.values()) if first else 0
        free_kb = memory.available_kb - self._claimed_kb - reserve_kb(memory.limit_kb)
        return Held(
            function=tenant.need.function,
            by=by,
            environment_mb=-(-need_kb // 1024),
            measured=bool(tenant.need.init_kb),
            fit=max(1, there + max(0, free_kb // need_kb)) if need_kb else 0,
            limit=descriptors.limit() if by == "descriptors" else memory.limit_kb // 1024,
            first=first,
        )

    # ---------------------------------------------------------------- while something runs

    def relieve(self) -> None:
        """Called while invocations run: they may grow. Idle environments go before memory is short.

        If that is not enough, the largest of those that work is ended as out of memory: else the kernel
        would choose, and might choose the engine.
        """
        now_s = self._now()
        if now_s < self._look_s:
            return
        memory = self._memory = self._gauge()
        self._read_s = now_s
        if memory is None:
            self._look_s = now_s + 60.0
            return
        kept_kb = reserve_kb(memory.limit_kb)
        over_kb = memory.available_kb - kept_kb // 2
        self._look_s = now_s + min(0.5, max(0.0, over_kb / _GROWTH_KB_PER_S))
        if over_kb > 0 or self._leaving():
            return
        idle = self._idle_by_tenant()
        if any(tenant.give_up(one) for tenant, ones in idle.items() for one in ones):
            return
        if memory.available_kb < kept_kb // 4:
            self._end_largest()
            self._look_s = now_s + _LOOK_S  # it takes the kernel a moment

    def _end_largest(self) -> None:
        sizes = {one: resident_kb(one.pid) or 0 for one in self._begun if one.pid}
        if sizes:
            one = max(sizes, key=lambda each: sizes[each])
            tenant = self._begun[one]
            tenant.notify(EndedForMemory(function=tenant.need.function, resident_mb=sizes[one] // 1024))
            one.end_for_memory()


def _no_room(by: str | None) -> str:
    return f"the machine has no room for another environment ({by or 'memory'}), and nothing is left to end"
