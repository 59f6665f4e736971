"""Runs each environment as a process that polls Lambda's Runtime API: AWS's own clients, in any language.

An environment is an address on loopback and a process started with it in `AWS_LAMBDA_RUNTIME_API`. At the
deadline its whole process group is killed. What cannot be done here: to cap memory, to give a process
a `/tmp` or a user of its own.
"""

from __future__ import annotations

import asyncio
from typing import Final

from engine.core.error_bodies import InitFailure
from engine.core.function import Function
from engine.core.init_turns import Use
from engine.core.invocation import Invocation
from engine.executors.runtime_api.environment import RuntimeEnvironment
from engine.executors.runtime_api.process_reaper import ProcessReaper
from engine.executors.runtime_api.runtime_process import RuntimeProcess
from engine.ports import Facts, Workshop

_REAP_S: Final = 5.0
"""What processes that were killed get to exit."""


class RuntimeExecutor:
    """The environments of one function, each a process that polls the Runtime API."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self.function = function
        self.facts = facts
        self.workshop = workshop
        self._environments: dict[int, RuntimeEnvironment] = {}
        self._closing: set[RuntimeEnvironment] = set()  # closed, and their processes not reaped yet
        self._none_left = asyncio.Event()  # of those
        self._none_left.set()
        self._openings: set[asyncio.Task[None]] = set()
        self._reaper: ProcessReaper | None = None

    def start(self, env_id: int, /) -> None:
        """Listen, and start a process. Its first poll means that it is ready."""
        self._start(env_id, provisioned=False)

    def provision(self, env_id: int, /) -> None:
        """The same for a provisioned environment, whose variables say so."""
        self._start(env_id, provisioned=True)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        if self._reaper is None:
            try:
                self._reaper = ProcessReaper()
            except OSError as error:
                failure = InitFailure("Sandbox.Failure", str(error))
                self.workshop.loop.call_soon(self.facts.failed, env_id, failure, 0.0)
                return
        environment = self._environments[env_id] = RuntimeEnvironment(env_id, self, provisioned=provisioned)
        self.open(environment)

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Answer the poll of that environment with it."""
        self._environments[env_id].run(invocation)

    def stop(self, env_id: int, /) -> None:
        """SIGKILL to the process and all it started."""
        environment = self._environments.get(env_id)
        if environment is not None:
            self.discard(environment)

    def init_use(self, env_id: int, /) -> Use | None:
        """CPU of its process, without what that starts."""
        environment = self._environments.get(env_id)
        return None if environment is None else environment.init_use()

    def renew(self) -> None:
        """Do nothing: a new process reads the code when it starts."""

    def close(self) -> None:
        """Kill every process; `wait_closed` says when they are gone."""
        for environment in list(self._environments.values()):
            self.discard(environment)

    async def wait_closed(self) -> None:
        """Return when no process and no descriptor is left."""
        try:
            async with asyncio.timeout(_REAP_S):
                if self._openings:
                    await asyncio.wait(self._openings)
                await self._none_left.wait()
        except TimeoutError:
            pass  # one that the kernel does not let die
        finally:  # also if the loop is closed meanwhile
            for environment in self._closing:
                environment.wait_until_reaped()
            self._closing.clear()
        if self._reaper is not None:
            reaper, self._reaper = self._reaper, None
            await reaper.close()

    # ---------------------------------------------------------------- what environments ask for

    def open(self, environment: RuntimeEnvironment) -> None:
        """Start its process, beside the loop."""
        opening = self.workshop.loop.create_task(environment.open())
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)

    def watch(self, child: RuntimeProcess) -> None:
        """Have the process killed if the engine is killed."""
        if self._reaper is not None:
            self._reaper.watch(child.group)

    def forget(self, child: RuntimeProcess) -> None:
        """Stop that: the process is about to be reaped."""
        if self._reaper is not None:
            self._reaper.forget(child.group)

    def discard(self, environment: RuntimeEnvironment) -> None:
        """Close it, and keep it until its process is reaped."""
        self._environments.pop(environment.env_id, None)
        environment.close()
        if environment.is_reaped:
            self._closing.discard(environment)
        else:
            self._closing.add(environment)
        (self._none_left.clear if self._closing else self._none_left.set)()
