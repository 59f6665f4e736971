"""Counts the page faults of each step in a child's life; for `process_pages`, which has a zygote import it.

A step ends where one of these functions returns; what goes before it since the last step is part of it.
"""

from __future__ import annotations

import mmap
import os
import resource
import struct
from importlib import import_module

_CHILD = "engine.executors.process.child"
STEPS = {
    "the fork, closing descriptors": (f"{_CHILD}.fork_server:ForkServer", "_close_in_child"),
    "signals, priority, streams": (f"{_CHILD}.bootstrap:ChildBootstrap", "_set_up"),
    "path, folder, log": (f"{_CHILD}.environment:ChildEnvironment", "prepare"),
    "socket": (f"{_CHILD}.environment:ChildEnvironment", "attach"),
    "handler's module": (f"{_CHILD}.environment:ChildEnvironment", "initialise"),
    "telling that it is ready": (f"{_CHILD}.environment:ChildEnvironment", "ready"),
    "receiving the first request": ("engine.executors.process.protocol:FrameReader", "next"),
    "event and context": ("engine.executors.handler_runner:HandlerRunner", "begin"),
    "handler, answering": (f"{_CHILD}.environment:ChildEnvironment", "send"),
}
_CELL = struct.Struct("qq")  # faults, times


class Counts:
    """Faults by step, in a file that all processes have mapped."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(descriptor, mmap.PAGESIZE)
        self._cells = mmap.mmap(descriptor, mmap.PAGESIZE)
        os.close(descriptor)
        self._last = 0

    def begin(self) -> None:
        """This is the first step of a process, and the kernel counts from the fork."""
        self._last = 0

    def end(self, step: int) -> None:
        """Add what the step has taken."""
        now = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        faults, times = _CELL.unpack_from(self._cells, step * _CELL.size)
        _CELL.pack_into(self._cells, step * _CELL.size, faults + now - self._last, times + 1)
        self._last = resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def clear(self) -> None:
        """Forget what was counted so far."""
        self._cells[:] = bytes(mmap.PAGESIZE)

    def means(self, children: int) -> dict[str, float]:
        """Faults of each step, for one child."""
        cells = [_CELL.unpack_from(self._cells, step * _CELL.size) for step in range(len(STEPS))]
        return {name: round(cell[0] / children, 1) for name, cell in zip(STEPS, cells, strict=True)}


def count_in(path: str) -> None:
    """In the zygote, before it does anything: count the steps of what it forks, one by one at a time."""
    import_module(f"{_CHILD}.zygote")
    counts = Counts(path)
    _clear_at_first(counts, import_module(f"{_CHILD}.fork_server").ForkServer)
    for number, (place, name) in enumerate(STEPS.values()):
        module, _, owner = place.partition(":")
        _count(counts, number, getattr(import_module(module), owner), name)


def _clear_at_first(counts: Counts, server: type) -> None:
    """Forget the steps of the rehearsal."""
    run = vars(server)["run"]

    def run_cleared(self: object) -> None:
        counts.clear()
        run(self)

    setattr(server, "run", run_cleared)  # noqa: B010


def _count(counts: Counts, number: int, owner: type, name: str) -> None:
    inner = getattr(owner, name)

    def outer(*args: object, **options: object) -> object:
        if not number:
            counts.begin()
        result = inner(*args, **options)
        counts.end(number)
        return result

    setattr(owner, name, outer)
