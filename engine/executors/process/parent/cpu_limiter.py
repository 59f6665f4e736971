"""Gives each environment the CPU that Lambda gives it: by control groups, else by stopping it in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from engine.core.cpu_law import quota_s
from engine.executors.process.parent.cgroups import ControlGroups
from engine.executors.process.parent.environment_process import EnvironmentProcess
from engine.executors.process.parent.zygote_process import package_root

DUTY_CYCLE: Final = "duty cycle"
_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from engine.executors.process.child.duty_cycle import main; main()"
)


class CpuLimiter(Protocol):
    """Holds environments to their shares, from the end of their init on; until then they have a whole vCPU.

    Attributes:
        mechanism: How: the name of a control group's file, or `DUTY_CYCLE`.
    """

    mechanism: str

    def groups(self) -> Mapping[str, Mapping[str, str]]:
        """Control groups that an environment enters at its start: limits by file, by the folder of groups."""

    def initialised(self, environment: EnvironmentProcess, memory_mb: int) -> None:
        """Limit an environment of this size from now on."""

    def throttled_s(self, pid: int) -> float:
        """Seconds for which a process could have run, but for its quota. Raises OSError if it has exited."""

    def close(self) -> None:
        """Limit none any more."""


def make_cpu_limiter(memory_groups: ControlGroups | None) -> CpuLimiter:
    """The best that this machine has. `memory_groups`: where memory is limited, if by control groups."""
    groups = ControlGroups.for_cpu(memory_groups)
    if groups is None:
        return DutyCycleLimiter()
    return GroupLimiter(groups, owned=groups is not memory_groups)


def mechanism_here() -> str:
    """How CPU would be limited on this machine. Tries it, and leaves nothing behind."""
    memory_groups = ControlGroups.for_memory()
    groups = ControlGroups.for_cpu(memory_groups)
    for made in {memory_groups, groups}:
        if made is not None:
            made.remove()
    return DUTY_CYCLE if groups is None else groups.mechanism


class GroupLimiter:
    """Limits CPU by control groups."""

    def __init__(self, groups: ControlGroups, *, owned: bool) -> None:
        self._groups = groups
        self._owned = owned
        self.mechanism = groups.mechanism

    def groups(self) -> Mapping[str, Mapping[str, str]]:
        """See `CpuLimiter`."""
        return {str(self._groups.folder): self._groups.cpu_limit(None)}

    def initialised(self, environment: EnvironmentProcess, memory_mb: int) -> None:
        """See `CpuLimiter`."""
        with suppress(OSError):  # it has exited
            self._groups.limit_cpu(environment.pid, memory_mb)

    def throttled_s(self, pid: int) -> float:
        """See `CpuLimiter`."""
        return self._groups.throttled_s(pid)

    def close(self) -> None:
        """Remove the groups, unless they are somebody else's."""
        if self._owned:
            self._groups.remove()


class DutyCycleLimiter:
    """Limits CPU by a process that stops and continues others: see `child/duty_cycle.py`."""

    mechanism = DUTY_CYCLE

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter
            [sys.executable, "-P", "-c", _START, package_root()],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._lines = self._process.stdin
        os.set_blocking(self._lines.fileno(), False)

    def groups(self) -> Mapping[str, Mapping[str, str]]:
        """None."""
        return {}

    def initialised(self, environment: EnvironmentProcess, memory_mb: int) -> None:
        """Limit it whenever something runs in it."""
        environment.tell(DutyCycled(self, quota_s(memory_mb)))

    def throttled_s(self, _pid: int) -> float:
        """None: what is stopped cannot run."""
        return 0.0

    def tell(self, what: str, pid: int, quota_s: float = 0.0) -> None:
        """Send the process a line on `pid`, which runs unlimited if it cannot be told."""
        try:
            written = self._lines.write(f"{what} {pid} {quota_s}\n".encode())
        except OSError:  # it has been killed
            written = None
        if not written:
            with suppress(ProcessLookupError):
                os.kill(
                    pid, signal.SIGCONT
                )  # it may have been stopped when nobody could continue it any more

    def close(self) -> None:
        """End the process, which lets all others run on."""
        self._lines.close()
        self._process.wait()


class DutyCycled:
    """One process that a `DutyCycleLimiter` limits while something runs in it."""

    __slots__ = ("_limiter", "_quota_s")

    def __init__(self, limiter: DutyCycleLimiter, quota_s: float) -> None:
        """`quota_s`: CPU seconds in each period."""
        self._limiter = limiter
        self._quota_s = quota_s

    def begins(self, pid: int) -> None:
        """See `WorkListener`."""
        self._limiter.tell("+", pid, self._quota_s)

    def rests(self, pid: int) -> None:
        """See `WorkListener`."""
        self._limiter.tell("-", pid)

    def ends(self, pid: int) -> None:
        """See `WorkListener`."""
        self._limiter.tell("x", pid)
