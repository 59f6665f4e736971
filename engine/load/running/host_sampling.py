"""Reads from /proc, while the load goes on, who uses the machine's CPU, who waits for it, and what is short.

It asks nobody: an engine that is too busy to answer is seen like any other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from engine.machine.memory import MemoryGauge

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_NS: Final = 1e-9
_LISTENING: Final = "0A"
_IDLE: Final = (3, 4)
"""Fields of /proc/stat that are no work: idle, and waiting for a disk."""

_PAUSE: Final = 20
"""Samples are as far apart as this many of them take, so that looking costs 5 % of a core at most."""


class HostSample(NamedTuple):
    """The machine at one moment; seconds count since any moment that is the same for all samples.

    Attributes:
        at_s: Monotonic seconds; later, seconds since the beginning of the load.
        engine_cpu_s: CPU of the engine's own process.
        engine_wait_s: For how long its main thread, which is the event loop, was ready and had no core.
        handlers_cpu_s: CPU of all processes that the engine started, those that have ended too.
        handlers_wait_s: For how long their main threads were ready and had no core.
        generator_cpu_s: CPU of the busiest process of the generator.
        generator_wait_s: For how long its main thread was ready and had no core.
        generators_cpu_s: CPU of all processes of the generator.
        busy_s: CPU that all programs of the machine used.
        memory_left: Share of the memory that can still be taken, of the machine or the tightest group.
        unaccepted: Connections to the engine that it has not accepted.
        unread: Connections on which something waits that the engine has not read.
    """

    at_s: float
    engine_cpu_s: float
    engine_wait_s: float
    handlers_cpu_s: float
    handlers_wait_s: float
    generator_cpu_s: float
    generator_wait_s: float
    generators_cpu_s: float
    busy_s: float
    memory_left: float
    unaccepted: int
    unread: int


class ProcessTimes(NamedTuple):
    """One process, from its `stat`.

    Attributes:
        parent: Its parent's pid.
        cpu_s: That it used itself.
        ended_s: That children used whose end it has seen.
    """

    parent: int
    cpu_s: float
    ended_s: float


class HostSampler:
    """`with HostSampler(...) as sampler`: samples in a thread until it is left, oldest first.

    Without a /proc there are none; without an engine's pid its figures are 0.
    """

    def __init__(
        self, engine: int | None, generator: Callable[[], int | None], ports: Iterable[int], every_s: float
    ) -> None:
        """`generator` gives the pid of the first process of the generator, once there is one."""
        self._engine = engine
        self._generator = generator
        self._ports = {f"{port:04X}" for port in ports}
        self._every_s = every_s
        self._waits = _Waits()
        self._memory = MemoryGauge()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-sampler", daemon=True)
        self.samples: list[HostSample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        if not Path("/proc/stat").exists():
            return
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            began_s = time.monotonic()
            self.samples.append(self._sample(began_s))
            pause_s = max(self._every_s, _PAUSE * (time.monotonic() - began_s))

    def _sample(self, at_s: float) -> HostSample:
        processes = _processes()
        engines = [] if self._engine is None else [self._engine]
        handlers = [pid for engine in engines for pid in _descendants(processes, engine)]
        own = processes.get(self._engine or 0, ProcessTimes(0, 0.0, 0.0))
        generator = self._generator()
        below = [] if generator is None else [generator, *_descendants(processes, generator)]
        generators = [
            (processes[pid].cpu_s, self._waits.of(str(pid), [pid])) for pid in below if pid in processes
        ]
        generator_cpu_s, generator_wait_s = max(generators, default=(0.0, 0.0))
        unaccepted, unread = _backlog(self._ports)
        memory = self._memory.read()
        return HostSample(
            at_s=at_s,
            engine_cpu_s=own.cpu_s,
            engine_wait_s=self._waits.of("engine", engines),
            handlers_cpu_s=own.ended_s + sum(sum(processes[pid][1:]) for pid in handlers),
            handlers_wait_s=self._waits.of("handlers", handlers),
            generator_cpu_s=generator_cpu_s,
            generator_wait_s=generator_wait_s,
            generators_cpu_s=sum(cpu_s for cpu_s, _ in generators),
            busy_s=_busy_s(),
            memory_left=1.0 if memory is None else memory.available_kb / memory.limit_kb,
            unaccepted=unaccepted,
            unread=unread,
        )


class _Waits:
    """How long processes were ready to run and had no core, added up by group; those that ended count on."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._seen: dict[int, float] = {}

    def of(self, group: str, pids: Iterable[int]) -> float:
        """Seconds of the processes that are or were in that group."""
        for pid in pids:
            wait_s = _wait_s(pid)
            self._sums[group] = self._sums.get(group, 0.0) + max(0.0, wait_s - self._seen.get(pid, 0.0))
            self._seen[pid] = wait_s
        return round(self._sums.get(group, 0.0), 4)


def _processes() -> dict[int, ProcessTimes]:
    """Every process that can be read."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            text = _text(f"/proc/{name}/stat")
            if text:
                found[int(name)] = process_times(text)
    return found


def process_times(stat: str) -> ProcessTimes:
    """The times in a `stat` of /proc (proc_pid_stat(5)); the name in it may hold any character."""
    fields = stat.rpartition(")")[2].split()
    user, system, user_ended, system_ended = (int(one) / _TICKS_PER_S for one in fields[11:15])
    return ProcessTimes(int(fields[1]), user + system, user_ended + system_ended)


def _descendants(processes: Mapping[int, ProcessTimes], root: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for pid, times in processes.items():
        children.setdefault(times.parent, []).append(pid)
    found: list[int] = []
    open_pids = [root]
    while open_pids:
        below = children.get(open_pids.pop(), [])
        found += below
        open_pids += below
    return found


def _wait_s(pid: int) -> float:
    """Seconds for which the main thread of a process was ready and had no core (sched-stats.txt of Linux)."""
    fields = _text(f"/proc/{pid}/schedstat").split()
    return int(fields[1]) * _NS if len(fields) > 1 else 0.0


def _busy_s() -> float:
    """Seconds of CPU that were used on all cores, proc_stat(5); what a hypervisor took counts as used."""
    fields = _text("/proc/stat").partition("\n")[0].split()[1:9]
    return sum(int(one) for place, one in enumerate(fields) if place not in _IDLE) / _TICKS_PER_S


def _backlog(ports: Iterable[str]) -> tuple[int, int]:
    """Connections that wait to be accepted, and those with unread bytes, of sockets on these ports."""
    unaccepted = unread = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _text(table).splitlines()[1:]:
            fields = line.split()
            if fields[1].rpartition(":")[2] not in ports:
                continue
            waiting = int(fields[4].partition(":")[2], 16)
            if fields[3] == _LISTENING:
                unaccepted += waiting
            else:
                unread += waiting > 0
    return unaccepted, unread


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
