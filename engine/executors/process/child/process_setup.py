"""Sets up a process before user code is imported: signals, variables, streams, priority."""

from __future__ import annotations

import fcntl
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

from engine.executors.process.linux import bind_to
from engine.executors.process.protocol import NICE

_DEFAULT: Final = int(signal.SIG_DFL)
_SIGCHLD: Final = int(signal.SIGCHLD)

set_signal: Final[Callable[[int, Any], Any]] = import_module("_signal").signal
"""`signal.signal` without its enumerations: those would cost each child a tenth of a millisecond."""

_OUT_OF_THE_WAY: Final = 900
"""The engine's descriptors have numbers from here, which handlers that close descriptors rarely reach."""


class WholeWrites(io.FileIO):
    """An unbuffered stream whose `write` writes everything, or raises."""

    def write(self, data: Any, /) -> int:
        """As `io.FileIO.write`, but never in part."""
        with memoryview(data).cast("B") as view:
            size = len(view)
            at = super().write(view) or 0
            while at < size:
                at += super().write(view[at:]) or 0
        return size

    def seekable(self) -> bool:
        """No: what the descriptor is when this is made says nothing of what it will be."""
        return False


class Priority(NamedTuple):
    """How a process is scheduled: what its niceness is raised by, policy and parameters of sched(7)."""

    nice: int
    policy: int
    parameters: os.sched_param


USUAL: Final = Priority(0, os.sched_getscheduler(0), os.sched_getparam(0))
"""As this process is: to set it changes nothing."""

OF_HANDLERS: Final = Priority(NICE, os.SCHED_BATCH, os.sched_param(0))
"""Batch work: a request that wakes it does not interrupt the engine, which has more of them to send."""


def set_up_process(parent: int, priority: Priority) -> None:
    """Separate the process from its parent, right after the fork, and have it killed when the parent dies."""
    nice, policy, parameters = priority
    os.nice(nice)
    os.sched_setscheduler(0, policy, parameters)
    bind_to(parent)
    signal.set_wakeup_fd(-1)
    set_signal(_SIGCHLD, _DEFAULT)


def move_to_high_number(descriptor: int) -> int:
    """Move it to a high number, close-on-exec; returns that number, or the same one if there is none."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    except OSError:  # over the limit of this process
        return descriptor
    os.close(descriptor)
    return moved


def show_cpus(count: int) -> None:
    """Have Python say that there are so many CPUs; those of the machine are used as before."""
    for name in ("cpu_count", "process_cpu_count"):
        if hasattr(os, name):
            setattr(os, name, lambda: count)


def redirect(output: int) -> None:
    """Make both standard outputs the pipe `output`, which is closed."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    if output > 2:
        os.close(output)


def empty_input() -> None:
    """Make standard input empty."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    if nothing:
        os.dup2(nothing, 0)
        os.close(nothing)


def open_streams() -> None:
    """Make new `sys.stdout` and `sys.stderr`, which write to whatever descriptors 1 and 2 are at the time.

    What they do with lone surrogates is what Python does under Lambda's `LC_CTYPE=C.UTF-8`.
    """
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process lives
    for name, number, errors in (("stdout", 1, "surrogateescape"), ("stderr", 2, "backslashreplace")):
        raw: Any = WholeWrites(number, "wb", closefd=False)
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def freeze_memory() -> list[bytes]:
    """Keep children from changing, and so copying, the pages of memory that they will share.

    The garbage collector does not touch what is there any more. The places that are free in between are taken
    as long as the result is kept: what this process and its children make then lies together on new pages.
    """
    gc.collect()
    fillers = _fill_gaps()
    gc.freeze()
    return fillers


def _fill_gaps() -> list[bytes]:
    """Take up the free places for small objects in all pages."""
    fillers: list[bytes] = []
    for size in _SIZES:
        in_order = last = 0
        for _ in range(_MOST_GAPS):
            filler = bytes(size - _BYTES_HEAD)
            fillers.append(filler)
            at = id(filler)
            in_order = in_order + 1 if at - last == size else 0
            last = at
            if in_order == _IN_ORDER:
                break
    return fillers


_BYTES_HEAD: Final = sys.getsizeof(b"")
_SIZES: Final = range(3 * 16, 512 + 1, 16)
"""In bytes: those of CPython's own allocator, above the smallest `bytes`."""

_IN_ORDER: Final = 8
"""So many objects side by side are taken for the beginning of a part of memory with no gaps."""

_MOST_GAPS: Final = 5_000
"""Of one size: for an interpreter that allocates in another way."""


def set_variables(variables: Mapping[str, str]) -> None:
    """Replace all environment variables by these."""
    zone = os.environ.get("TZ")
    for name in _encoded_variables:
        os.unsetenv(name)
    _encoded_variables.clear()
    add_variables(variables)
    if variables.get("TZ") != zone:
        time.tzset()


def set_variable(name: str, value: str) -> None:
    """Set one to ASCII text: what `os.environ[name] = value` comes to, without its Python code."""
    _encoded_variables[name.encode()] = value.encode()
    os.putenv(name, value)


_encoded_variables: Final[dict[bytes, bytes]] = vars(os.environ)["_data"]


def add_variables(variables: Mapping[str, str]) -> None:
    """Add these environment variables."""
    os.environ.update(variables)
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        vars(tempfile)["tempdir"] = None  # it may have looked before there were these
