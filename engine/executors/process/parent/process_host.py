"""What the process executors of one engine share: zygotes, admission, the monitor, control groups."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from engine.core.cpu_law import fitting
from engine.core.engine_events import CpuLimited, EngineEvent
from engine.core.function import Function
from engine.core.python_interpreter import PythonInterpreter
from engine.executors.process.admission import Admission
from engine.executors.process.parent.cgroups import ControlGroups
from engine.executors.process.parent.cpu_limiter import CpuLimiter, make_cpu_limiter
from engine.executors.process.parent.environment_process import EnvironmentProcess
from engine.executors.process.parent.fork_server_client import ZygoteClient
from engine.executors.process.parent.monitor import Monitor
from engine.executors.process.parent.snapshot_template import SnapshotTemplate
from engine.executors.process.parent.zygote_process import STARTED, ZygoteProcess
from engine.machine import descriptors
from engine.machine.cores import usable_cores
from engine.machine.temporary import new_path
from engine.ports import Clock, Offload, Workshop

GRACE_S: Final = 0.5
"""Seconds between SIGTERM and SIGKILL for an environment that is not needed any more.

Source: Lambda Developer Guide, "Lambda execution environment lifecycle", shutdown phase: the budget of a
function with an internal extension.
"""

_KEY: Final = "process"
_CAP_SYS_NICE: Final = 23


class ProcessHost:
    """Made by the first process executor of an engine, closed by the last."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        offload: Offload,
        say: Callable[[str], object],
        started: ZygoteProcess | None = None,
    ) -> None:
        """`started`: a process for the first zygote of the engine's own interpreter."""
        self._started = started
        self._loop = loop
        self._now_s = clock.now
        self._say = say
        self._offload = offload
        self._zygotes: dict[tuple[PythonInterpreter | None, tuple[str, ...]], ZygoteClient] = {}
        self._replaced: list[ZygoteClient] = []  # that ended before this does
        self._members = 0
        self._closing: asyncio.Task[None] | None = None
        self._all_exited = asyncio.Event()
        self._terminating: dict[EnvironmentProcess, asyncio.TimerHandle] = {}
        self._retired: list[SnapshotTemplate] = []
        self._tmp_base = str(new_path("tmp"))
        self.groups = ControlGroups.for_memory()
        self._cpu_limiter: CpuLimiter | None = None
        descriptors.raise_limit()
        self.admission = Admission(loop, clock, lambda: len(self._terminating))
        self.monitor = Monitor(loop, also=self.admission.relieve, cpu_s=time.thread_time)
        self.may_renice = _may_renice()
        """Whether priorities can be raised again, so that they may be lowered."""
        self.patience = 1.0
        """The share of the usual time for which the next function is waited for before the engine opens."""
        self.has_logged_limits = False
        """Whether it was logged what this machine allows."""

    @classmethod
    def acquire(cls, workshop: Workshop) -> ProcessHost:
        """The host that all executors of an engine share. Each call needs one of `release`."""
        commons = workshop.commons
        host: ProcessHost | None = commons.get(_KEY)
        if host is None:
            started = commons.pop(STARTED, None)
            host = cls(workshop.loop, workshop.clock, workshop.offload, workshop.say, started)
            commons[_KEY] = host
        host._members += 1
        return host

    def release(self, commons: dict[str, Any]) -> None:
        """Let go of it. The last executor begins to close it; `wait_closed` says when that is done."""
        self._members -= 1
        if not self._members:
            commons.pop(_KEY, None)
            self._closing = self._loop.create_task(self._close())

    def zygote(self, interpreter: PythonInterpreter | None, preload: Sequence[str]) -> ZygoteClient:
        """The zygote of that interpreter that has imported just these.

        `interpreter`: None for the engine's own. It is started when first asked for, and again if it died; if
        that was at its start, and again and again, not before a pause that grows.
        """
        key = interpreter, tuple(sorted(set(preload)))
        zygote = self._zygotes.get(key)
        if zygote is None or zygote.may_be_replaced:
            failures = 0
            if zygote is not None:
                failures = zygote.failures
                self._replaced = [zygote, *(one for one in self._replaced if not one.is_reaped)]
            process = self._started_process(interpreter)
            zygote = ZygoteClient(self._loop, self._now_s, process, *key, self._tmp_base, self._say, failures)
            self._zygotes[key] = zygote
        return zygote

    def _started_process(self, interpreter: PythonInterpreter | None) -> ZygoteProcess:
        process = self._started if interpreter is None else None
        if process is None or process.is_taken:
            process = ZygoteProcess(interpreter)
        process.is_taken = True
        return process

    def cpu_limiter(self, function: Function, notify: Callable[[EngineEvent], object]) -> CpuLimiter:
        """What holds environments to Lambda's CPU law; made, and told of, when it is first asked for."""
        if self._cpu_limiter is None:
            self._cpu_limiter = make_cpu_limiter(self.groups)
            cores = usable_cores()
            notify(
                CpuLimited(
                    function=function.name,
                    mechanism=self._cpu_limiter.mechanism,
                    cores=cores,
                    memory_mb=function.memory_mb,
                    fit=fitting(function.memory_mb, cores),
                )
            )
        return self._cpu_limiter

    def terminate(self, environment: EnvironmentProcess) -> None:
        """End an environment that is not needed: an idle one gets SIGTERM, and SIGKILL `GRACE_S` later."""
        if environment.request_exit(self._on_exit):
            self._terminating[environment] = self._loop.call_later(GRACE_S, environment.close)
        else:
            environment.close()

    def retire(self, template: SnapshotTemplate) -> None:
        """Have a template end with the last of its environments. Nothing is forked from it any more."""
        template.retire()
        self._retired = [template, *(one for one in self._retired if not one.is_over)]

    async def wait_terminated(self) -> None:
        """Return when no environment is on its way out any more, in `GRACE_S` at most."""
        if self._terminating:
            self._all_exited.clear()
            await self._all_exited.wait()

    async def wait_closed(self) -> None:
        """Return when no process and no file of it is left; at once while executors still need it."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def _on_exit(self, environment: EnvironmentProcess) -> None:
        self._terminating.pop(environment).cancel()
        if not self._terminating:
            self._all_exited.set()

    async def _close(self) -> None:
        """End all processes: idle environments as `terminate` says, then what forked them."""
        self.monitor.close()
        self.admission.close()
        try:
            await self.wait_terminated()
        finally:  # also if the loop is closed meanwhile
            for environment in list(self._terminating):
                environment.close()
            for template in self._retired:
                template.close()
            for zygote in self._zygotes.values():
                zygote.close()
        for zygote in (*self._zygotes.values(), *self._replaced):
            await zygote.wait_closed()
        await self._offload(self._remove_files)

    def _remove_files(self) -> None:
        if self._cpu_limiter is not None:
            self._cpu_limiter.close()
        if self.groups is not None:
            self.groups.remove()
        shutil.rmtree(self._tmp_base, ignore_errors=True)


def _may_renice() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    capabilities = next((line for line in status.splitlines() if line.startswith("CapEff:")), "0 0")
    return bool(int(capabilities.split()[1], 16) >> _CAP_SYS_NICE & 1)
