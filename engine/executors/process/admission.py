"""Lets environments be started only while the machine has room for them: memory, descriptors, processes.

What does not fit waits, in order, until something else has ended, so that neither the out-of-memory killer
nor calls that fail decide what ends. How much an environment needs is
measured on those that are there; of a function that has none yet, its configured memory is assumed.

While environments wait, idle ones of other functions are given up for them, and after `PATIENCE_S` one that
is busy, as soon as its invocation ends: functions that do not fit together take turns. See decision 19.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from engine.core.engine_events import EndedForMemory, EngineEvent, Held
from engine.core.error_bodies import InitFailure
from engine.core.function import INIT_LIMIT_S
from engine.core.placement import PATIENCE_S
from engine.machine import descriptors
from engine.machine.memory import Memory, MemoryGauge, reserve_kb, resident_kb, share_of
from engine.ports import Clock

DESCRIPTORS_EACH: Final = 3
"""What an environment takes in this process: a socket, a pipe and a pidfd."""

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
_EXTEND_S: Final = 2.0
_LOG_AGAIN_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_OVERHEAD_KB: Final = 512
"""Memory that the kernel needs for each process: page tables, stacks, sockets."""

_FIRST_SAMPLES: Final = 3
_SAMPLE_EVERY: Final = 16
_FADES: Final = 0.9
_UNKNOWN_KB: Final = 256 * 1024
_GROWTH_KB_PER_S: Final = 4 << 20
"""How fast two cores can fill memory: how soon it has to be looked at again."""


class AdmittedEnvironment(Protocol):
    """An environment, as far as admission knows it."""

    pid: int
    since_s: float

    @property
    def running(self) -> bool:
        """Whether invocations run in it."""

    def working(self) -> bool:
        """Whether something runs in it, its init included."""

    def spawn_failed(self, failure: InitFailure) -> None:
        """Fail it: it is not started."""

    def end_for_memory(self) -> None:
        """End it as one that is over its own limit."""


class AdmittedFunction(Protocol):
    """The executor of one function."""

    need: Need

    def init_waits(self, environment: Any) -> None:
        """Start the init limit of `environment` anew: it still waits."""

    def give_up(self, environment: Any) -> bool:
        """End an idle environment, or a busy one after its invocation; False if it is to stay."""

    def hold(self) -> None:
        """Ask for no further environments for now: those that are asked for have to wait."""

    def resume(self) -> None:
        """Ask for environments again."""

    def notify(self, notice: EngineEvent) -> None:
        """Pass it on to the observers."""


def unmeasured_kb(cap_kb: int, limit_kb: int) -> int:
    """KB that an environment is assumed to take while none was measured, on a machine with `limit_kb`."""
    return min(cap_kb, max(_UNKNOWN_KB, limit_kb // 8))


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
        """KB that the next environment is expected to take, on a machine with `limit_kb`."""
        if not self.init_kb:
            return unmeasured_kb(self.cap_kb, limit_kb)
        return min(max(self.init_kb, self.peak_kb - self.shared_kb), self.cap_kb) + _OVERHEAD_KB

    def measure(self, pid: int) -> None:
        """Measure one that has just initialised. After the first ones only every sixteenth is measured."""
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
        """Start measuring anew: the code has changed."""
        self.init_kb = self.shared_kb = self.peak_kb = self._seen = 0


class _Waiting:
    """An environment in the queue. `began_s`: engine clock when it was asked for."""

    __slots__ = ("began_s", "function", "is_counted", "start")

    def __init__(self, function: AdmittedFunction, start: Callable[[], None], began_s: float) -> None:
        self.function = function
        self.start = start
        self.began_s = began_s
        self.is_counted = False


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
        self._max_descriptors = descriptors.environments_share(spare())
        self._held: set[AdmittedFunction] = set()  # asked for no more environments
        self._with_idle: set[AdmittedFunction] = set()  # with idle environments, when last seen
        self._short_of = "memory"  # the last time it was short of anything
        self._memory: Memory | None = None
        self._read_s = self._look_s = -1.0
        self._queue: dict[AdmittedEnvironment, _Waiting] = {}
        self._begun: dict[AdmittedEnvironment, AdmittedFunction] = {}
        self._spawning: set[AdmittedEnvironment] = set()
        self._claims: dict[AdmittedEnvironment, int] = {}  # of those that initialise, in KB
        self._claimed_kb = 0
        self._timer: asyncio.TimerHandle | None = None
        self._moved_s = 0.0  # when something was started or had ended last
        self._taken_s = 0.0  # when a busy one was told to go after its work
        self._owed: AdmittedFunction | None = None  # the function that others make room for
        self._extended_s = 0.0
        self._paused_until_s = 0.0  # after a fork that failed
        self._pause_s = _FIRST_PAUSE_S
        self._paused_for = ""
        self._logged_s: dict[str, float] = {}

    # ---------------------------------------------------------------- what executors tell

    def ask(
        self,
        environment: AdmittedEnvironment,
        function: AdmittedFunction,
        start: Callable[[], None],
        *,
        urgent: bool = False,
    ) -> None:
        """Have `start` called: now, or as soon as there is room. `urgent`: it takes the place of another."""
        if not urgent and (self._queue or self._shortage(function)):
            self._queue[environment] = _Waiting(function, start, self._now())
            self._start_timer()
        else:
            self._begin(environment, function, start)

    def postpone(
        self,
        environment: AdmittedEnvironment,
        function: AdmittedFunction,
        start: Callable[[], None],
        code: int,
    ) -> None:
        """Put it first in the queue again: its fork failed with the errno `code`."""
        self.forget(environment)
        now_s = self._now()
        if now_s >= self._paused_until_s:
            self._paused_until_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._paused_for = SHORTAGES.get(code, "processes")
        self._queue = {environment: _Waiting(function, start, environment.since_s), **self._queue}
        self._start_timer()

    def spawned(self, environment: AdmittedEnvironment) -> None:
        """Its process has been forked."""
        self._spawning.discard(environment)
        self._pause_s = _FIRST_PAUSE_S
        self._paused_for = ""

    def initialised(self, environment: AdmittedEnvironment, need: Need) -> None:
        """Its init is done: what it claimed is in use now."""
        self._claimed_kb -= self._claims.pop(environment, 0)
        self._read_s = -1.0  # what was claimed is taken now
        need.measure(environment.pid)
        if self._queue:
            self._admit()

    def forget(self, environment: AdmittedEnvironment) -> None:
        """Drop it, whether it waits or has begun."""
        self._queue.pop(environment, None)
        self._spawning.discard(environment)
        self._claimed_kb -= self._claims.pop(environment, 0)
        if self._begun.pop(environment, None) is not None:
            self._moved_s = self._now()

    @property
    def waiting(self) -> int:
        """Number of environments that wait."""
        return len(self._queue)

    def close(self) -> None:
        """Start nothing more."""
        self._queue.clear()
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- whether there is room

    def _shortage(self, function: AdmittedFunction) -> str | None:
        """What the machine is short of for one more environment; None if there is room."""
        found = self._found_shortage(function)
        if found is not None:
            self._short_of = found
        return found

    def _found_shortage(self, function: AdmittedFunction) -> str | None:
        now_s = self._now()
        if self._paused_for and (self._spawning or now_s < self._paused_until_s):
            return self._paused_for  # one at a time, until one succeeds
        spare = self._spare() - DESCRIPTORS_EACH * (len(self._spawning) + 1)
        over = len(self._begun) * DESCRIPTORS_EACH >= self._max_descriptors
        if (spare < 0 or over) and (self._begun or spare < -_IN_NEED):
            return "descriptors"
        if now_s - self._read_s >= _LOOK_S or self._short_of_memory:
            self._memory, self._read_s = self._gauge(), now_s
        memory = self._memory
        if memory is None:
            return None
        left_kb = memory.available_kb - self._claimed_kb - function.need.kb(memory.limit_kb)
        kept_kb = reserve_kb(memory.limit_kb)
        if left_kb < kept_kb and (self._begun or memory.available_kb < kept_kb // 2):
            return "memory"
        return None

    @property
    def _short_of_memory(self) -> bool:
        memory = self._memory
        return memory is not None and memory.available_kb - self._claimed_kb < memory.limit_kb // 4

    def _begin(
        self, environment: AdmittedEnvironment, function: AdmittedFunction, start: Callable[[], None]
    ) -> None:
        memory = self._memory
        need_kb = function.need.kb(memory.limit_kb) if memory is not None else 0
        self._claims[environment] = need_kb
        self._claimed_kb += need_kb
        self._begun[environment] = function
        self._spawning.add(environment)
        self._moved_s = self._now()
        if function is self._owed:
            self._owed = None
        start()

    def _admit(self) -> None:
        """Start what fits, in order. What does not fit holds up other functions only after `PATIENCE_S`."""
        oldest_s = next(iter(self._queue.values())).began_s
        strict = self._now() - oldest_s > PATIENCE_S
        short = set(self._with_idle)  # nobody waits for what they have in line
        for environment, waiting in self._in_order():
            if waiting.function in short or environment not in self._queue:
                continue
            if self._shortage(waiting.function) is None:
                del self._queue[environment]
                self._begin(environment, waiting.function, waiting.start)
            elif strict:
                return
            else:
                short.add(waiting.function)

    def _in_order(self) -> list[tuple[AdmittedEnvironment, _Waiting]]:
        """What waits, as it came; first what others make room for."""
        entries = list(self._queue.items())
        return sorted(entries, key=lambda one: one[1].function is not self._owed) if self._owed else entries

    # ---------------------------------------------------------------- while something waits

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self._now()
        self._read_s = -1.0
        self._with_idle = set(self._idle_by_function())
        if self._queue:
            self._admit()
        if self._queue:
            self._count_waits(now_s)
            self._make_room(now_s)
            self._extend_inits(now_s)
        else:
            self._with_idle.clear()
        self._hold_and_resume()
        if self._queue:
            self._start_timer()

    def _hold_and_resume(self) -> None:
        """Hold functions whose environments wait, and resume those whose environments no longer do."""
        waiting = {entry.function for entry in self._queue.values()}
        held, self._held = self._held, waiting
        for function in waiting - held:
            function.hold()
        for function in held - waiting:
            function.resume()

    def _make_room(self, now_s: float) -> None:
        """End idle environments for those that wait, or after `PATIENCE_S` without any, a busy one."""
        if self._leaving():
            return
        firsts: dict[AdmittedFunction, _Waiting] = {}
        for entry in self._queue.values():
            if entry.function not in self._with_idle:
                firsts.setdefault(entry.function, entry)
        idle = self._idle_by_function() if firsts else {}
        if idle:
            self._give_up_idle(next(iter(firsts)), idle)
        else:
            self._take_turns(firsts.values(), now_s)

    def _give_up_idle(
        self, waiting: AdmittedFunction, idle: dict[AdmittedFunction, list[AdmittedEnvironment]]
    ) -> None:
        """End idle environments of the function that has most of them, until `waiting` has its memory."""
        limit_kb = self._memory.limit_kb if self._memory is not None else 0
        missing_kb = waiting.need.kb(limit_kb)
        function = max(idle, key=lambda owner: len(idle[owner]))
        for environment in idle[function]:
            if function.give_up(environment):
                self._owed = waiting
                missing_kb -= function.need.kb(limit_kb)
            if missing_kb <= 0:
                return

    def _take_turns(self, firsts: Iterable[_Waiting], now_s: float) -> None:
        """Have a busy environment go after its work for the first in line, or for a function that has none.

        The largest function of all may be the first in line: it must not keep out those behind it.
        """
        there = set(self._begun.values())
        for place, first in enumerate(firsts):
            quiet_s = now_s - max(first.began_s, self._moved_s, self._taken_s)
            is_next = not place or first.function not in there
            if is_next and quiet_s > PATIENCE_S and self._take_from_the_largest(first.function):
                self._taken_s, self._owed = now_s, first.function
                return

    def _take_from_the_largest(self, waiting_function: AdmittedFunction) -> bool:
        """Have the function with the most environments, and more than `waiting_function`, give one up.

        Returns whether one does.
        """
        counts: dict[AdmittedFunction, int] = {}
        for function in self._begun.values():
            counts[function] = counts.get(function, 0) + 1
        own = counts.pop(waiting_function, 0)
        for function in sorted(counts, key=lambda owner: -counts[owner]):
            if counts[function] > own and any(
                function.give_up(environment)
                for environment, of in list(self._begun.items())
                if of is function and environment.running
            ):
                return True
        return False

    def _idle_by_function(self) -> dict[AdmittedFunction, list[AdmittedEnvironment]]:
        idle: dict[AdmittedFunction, list[AdmittedEnvironment]] = {}
        for environment, function in self._begun.items():
            if environment.pid and not environment.working():
                idle.setdefault(function, []).append(environment)
        return idle

    def _extend_inits(self, now_s: float) -> None:
        """Start init limits anew; fail what has waited for long while nothing runs that could end."""
        if now_s - self._extended_s < _EXTEND_S:
            return
        self._extended_s = now_s
        stuck = not self._begun and now_s - self._moved_s > INIT_LIMIT_S
        for environment, waiting in list(self._queue.items()):
            if stuck and now_s - waiting.began_s > INIT_LIMIT_S:
                del self._queue[environment]
                environment.spawn_failed(
                    InitFailure("Sandbox.Failure", _no_room(self._shortage(waiting.function)))
                )
            else:
                waiting.function.init_waits(environment)

    def _count_waits(self, now_s: float) -> None:
        """Notify observers of what waits for more than a moment; have it logged once in a while."""
        for waiting in self._queue.values():
            if waiting.is_counted or now_s - waiting.began_s < _LOOK_S:
                continue
            waiting.is_counted = True
            function = waiting.function
            by = self._shortage(function) or self._short_of  # it may be over by now
            logged_s = self._logged_s.get(by)
            known = bool(function.need.init_kb) or now_s - waiting.began_s > PATIENCE_S
            first = known and (logged_s is None or now_s - logged_s > _LOG_AGAIN_S)
            if first:
                self._logged_s[by] = now_s
            function.notify(self._held_event(function, by, first=first))

    def _held_event(self, function: AdmittedFunction, by: str, *, first: bool) -> Held:
        memory = self._memory or Memory(0, 0)
        need_kb = function.need.kb(memory.limit_kb)
        there = sum(of is function for of in self._begun.values()) if first else 0
        free_kb = memory.available_kb - self._claimed_kb - reserve_kb(memory.limit_kb)
        return Held(
            function=function.need.function,
            by=by,
            environment_mb=-(-need_kb // 1024),
            measured=bool(function.need.init_kb),
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
        idle = self._idle_by_function()
        if any(function.give_up(environment) for function, ones in idle.items() for environment in ones):
            return
        if memory.available_kb < kept_kb // 4:
            self._end_largest()
            self._look_s = now_s + _LOOK_S  # it takes the kernel a moment

    def _end_largest(self) -> None:
        sizes = {
            environment: resident_kb(environment.pid) or 0 for environment in self._begun if environment.pid
        }
        if sizes:
            environment = max(sizes, key=lambda each: sizes[each])
            function = self._begun[environment]
            function.notify(
                EndedForMemory(function=function.need.function, resident_mb=sizes[environment] // 1024)
            )
            environment.end_for_memory()


def _no_room(by: str | None) -> str:
    return f"the machine has no room for another environment ({by or 'memory'}), and nothing is left to end"
