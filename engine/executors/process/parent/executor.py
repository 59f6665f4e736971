"""Runs handlers in processes that are forked from a zygote: isolation, several cores, hard deadlines.

At the deadline the process is killed. Memory is capped and measured, `/tmp` is each environment's own, and
its variables are Lambda's. See docs/decisions/0008 for how, and for what a machine may not allow.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from engine.core.cpu_law import visible_vcpus
from engine.core.engine_events import Confined, EngineEvent
from engine.core.error_bodies import InitFailure
from engine.core.function import INIT_LIMIT_S, Function
from engine.core.init_turns import Use
from engine.core.invocation import Invocation
from engine.core.variables import PATH, Initialisation, initialisation_of, lambda_variables
from engine.executors.cpu_use import use_of_process
from engine.executors.granted_stream import GrantedStream
from engine.executors.process.admission import SHORTAGES, Need
from engine.executors.process.parent.cgroups import memory_limit
from engine.executors.process.parent.cpu_shares import CpuShares
from engine.executors.process.parent.environment_process import EnvironmentProcess
from engine.executors.process.parent.fork_server_client import ForkServerClient, ZygoteClient, is_lost
from engine.executors.process.parent.preloader import Preloader, preloaded_init_s
from engine.executors.process.parent.process_host import ProcessHost
from engine.executors.process.parent.snapshot_template import SnapshotTemplate
from engine.executors.process.spec import EnvironmentSpec, FunctionSpec
from engine.ports import Facts, Workshop

_LONG_INIT_S: Final = INIT_LIMIT_S * 0.99
_PREPARATION: Final = 0.5
"""The part of an init's limit that the engine waits for a preload or a template before it opens without."""

_QUEUE_S: Final = 1.0
"""Seconds that an environment must have waited for its fork before its init limit starts anew."""

_MAX_RESETS: Final = 1000
"""Reset environments whose `/tmp` is kept, at most, for those that take their places."""


class ProcessExecutor:
    """The environments of one function, each a process."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self.loop = workshop.loop
        self.memory_mb = function.memory_mb
        self.output = workshop.output
        self.ended = facts.ended
        self.died = facts.died
        self._function = function
        self._facts = facts
        self._workshop = workshop
        self._now = workshop.clock.now
        self._shared = function.environment_concurrency > 1
        self._environments: dict[int, EnvironmentProcess] = {}
        self._resets: deque[tuple[ForkServerClient, int, float]] = deque()
        """Environments whose `/tmp` is kept: fork server, token, and since when."""
        self._host = ProcessHost.acquire(workshop)
        self._admission = self._host.admission
        self.notify: Callable[[EngineEvent], None] = workshop.notify
        self.need = Need(function.name, self.memory_mb * 1024)
        self._monitor = self._host.monitor
        self.may_renice = self._host.may_renice
        self.cap_kb = function.memory_mb * 1024 if self._host.groups is None else 0
        law = function.cpu or workshop.cpu
        self._cpu = self._host.cpu_limiter(function, workshop.notify) if law == "lambda" else None
        self._cpu_shares = CpuShares(function, workshop, self._cpu.throttled_s) if self._cpu else None
        self._limits_renewed_s = 0.0
        self._generation = 0
        self._encoded: dict[Initialisation, bytes] = {}
        self._template: SnapshotTemplate | None = None
        # Large, and what each fork would pay for: only where the handler is not plainly a function.
        preload = () if function.preload == "auto" else function.preload
        self._preload = preload if workshop.is_async is False else ("asyncio", *preload)
        self._held_for: set[str] = set()
        self._zygote_due: asyncio.TimerHandle | None = None
        self._preloader = Preloader(self) if function.preload == "auto" and not function.snapstart else None

    async def prepare(self) -> None:
        """Start the zygote, and the template if there is one, before the first event."""
        try:
            zygote = self._zygote()
        except OSError:
            return  # the first environment waits until there can be one
        is_ready = await self._wait_until_up(zygote.up, "preload")
        if is_ready and self._function.snapstart:
            await self._wait_until_up(self._live_template().up, "SnapStart template")
        if is_ready and not self._host.has_logged_limits:
            self._host.has_logged_limits = True
            self._workshop.notify(
                Confined(
                    function=self._function.name,
                    memory_by="watch" if self.cap_kb else "cgroup",
                    own_tmp=zygote.own_tmp,
                )
            )

    async def _wait_until_up(self, up: asyncio.Future[InitFailure | None], what: str) -> bool:
        """Wait, but not for ever: an import that hangs must not keep the engine from opening."""
        limit_s = self._host.patience * _PREPARATION * self._function.init_limit_s
        if not up.done():
            await asyncio.wait([up], timeout=limit_s)
        if not up.done():
            self._host.patience /= 2  # so that many that hang take no more than twice one limit
            self.say(f"its {what} is not ready after {limit_s:g} s: the engine opens, and its requests wait")
        return up.done()

    # ---------------------------------------------------------------- Executor

    def start(self, env_id: int, /) -> None:
        """Fork a process as soon as the machine has room. One that replaces a reset one is ready at once."""
        self._start(env_id, provisioned=False)

    def provision(self, env_id: int, /) -> None:
        """The same for a provisioned environment, whose variables say so."""
        self._start(env_id, provisioned=True)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        kept = self._next_reset()
        environment = self._open(env_id, suppressed=kept is not None)
        environment.is_provisioned = provisioned
        self._admission.ask(environment, self, partial(self._begin, environment, kept))

    def repeat(self, env_id: int, /) -> bool:
        """Fork another process in the place of one whose init has just failed. See `Executor`."""
        if self._shared or self._function.snapstart:
            return False
        environment = self._open(env_id, suppressed=True)
        start = partial(self._begin, environment, self._next_reset(latest=True))
        self._admission.ask(environment, self, start, urgent=True)
        return True

    def _open(self, env_id: int, *, suppressed: bool) -> EnvironmentProcess:
        environment = self._environments[env_id] = EnvironmentProcess(
            self, env_id, self._now(), shared=self._shared
        )
        environment.served = suppressed
        self._monitor.add(environment)
        return environment

    def _begin(self, environment: EnvironmentProcess, kept: tuple[ForkServerClient, int] | None) -> None:
        """Have it forked: the machine has room for it."""
        try:
            if self._function.snapstart:
                self._live_template().spawn(
                    environment, lambda fork_server: self._spawn(environment, fork_server, kept)
                )
            elif self._preloader is not None and (own := self._preloader.zygote) is not None:
                own.spawn(environment, lambda fork_server: self._spawn(environment, fork_server, kept))
            else:
                self._spawn(environment, self._zygote(), kept)
        except OSError as error:  # not even the process that forks them could be started
            failure = InitFailure("Sandbox.Failure", str(error))
            self.loop.call_soon(environment.spawn_failed, failure, error.errno or errno.EAGAIN)
        if environment.served:
            self.loop.call_soon(self._serve_suppressed, environment)

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Send the invocation to the environment's process."""
        environment = self._environments[env_id]
        environment.run(invocation)
        if self._cpu_shares is not None:
            self._cpu_shares.begin(environment)
        if not self._monitor.is_running:
            self._monitor.start()

    def relay(self, env_id: int, invocation: Invocation, frame: bytes, deadline_s: float) -> None:
        """`run`, of an invocation that came from elsewhere as a request frame."""
        environment = self._environments[env_id]
        environment.relay(invocation, frame, deadline_s)
        if self._cpu_shares is not None:
            self._cpu_shares.begin(environment)
        if not self._monitor.is_running:
            self._monitor.start()

    def stop(self, env_id: int, /) -> None:
        """Kill it at once, or if it is idle send SIGTERM first. Its output up to then is logged."""
        environment = self._environments.get(env_id)
        if environment is not None:
            # Stopped while it worked: a deadline, its init's too. One that merely is not needed starts.
            timed_out = environment.running or self._now() - environment.since_s >= _LONG_INIT_S
            self._forget(environment, reset=timed_out and environment.working())
            self._host.terminate(environment)

    def init_use(self, env_id: int, /) -> Use | None:
        """CPU and wait of its init. Until it is forked all of it is wait: the zygote is busy with others."""
        environment = self._environments.get(env_id)
        if environment is None:
            return None
        if environment.pid:
            return use_of_process(environment.pid)
        if self._template is not None:
            return None  # what a template waits for is not known
        return Use(0.0, self._now() - environment.since_s)

    def renew(self) -> None:
        """Start the next environments, and the template, from the code as it is then."""
        self._generation += 1
        self.need.forget()
        self._encoded.clear()
        template, self._template = self._template, None
        if template is not None:
            self._host.retire(template)
            self._live_template()
        if self._preloader is not None:
            self._preloader.renew()
        while self._resets:
            fork_server, token, _ = self._resets.popleft()
            fork_server.forget(token)

    def close(self) -> None:
        """Begin to end every process: see `ProcessHost.terminate`."""
        for environment in self._environments.values():
            self._admission.forget(environment)
            self._host.terminate(environment)
        self._environments.clear()
        if self._cpu_shares is not None:
            self._cpu_shares.close()
        if self._template is not None:
            self._host.retire(self._template)
        if self._preloader is not None:
            self._preloader.renew()
        self._host.release(self._workshop.commons)

    async def wait_closed(self) -> None:
        """Return when all have ended, if this was the last process executor of the engine."""
        await self._host.wait_closed()

    # ---------------------------------------------------------------- what environments report

    def spawned_process(self, environment: EnvironmentProcess) -> None:
        """Start its init limit, and anew those of environments that still wait for their fork."""
        self._admission.spawned(environment)
        self._monitor.start()
        now_s = self._now()
        if now_s - environment.since_s > _QUEUE_S:
            self._facts.waits(environment.env_id)
            environment.since_s = now_s
        if now_s - self._limits_renewed_s > _QUEUE_S:
            self._limits_renewed_s = now_s
            for other in self._environments.values():
                if not other.pid:
                    self.init_waits(other)

    def retries_spawn(self, environment: EnvironmentProcess, failure: InitFailure, code: int) -> bool:
        """Try again later if the machine was short of something, and once if the zygote has exited."""
        start = partial(self._begin, environment, None)
        if code in SHORTAGES:
            environment.fork_server = None
            self._admission.postpone(environment, self, start, code)
            return True
        if is_lost(failure) and not environment.is_second:
            environment.is_second = True
            environment.fork_server = None
            self.loop.call_soon(start)
            return True
        return False

    def named(self, environment: EnvironmentProcess, log_stream: str) -> None:
        """Pass on the name of its log stream."""
        function = self._function
        self._workshop.name_log_stream(function.name, function.version, environment.env_id, log_stream)

    def initialised(self, environment: EnvironmentProcess) -> None:
        """Measure what it needs for its start, and give it its share of CPU from now on."""
        if self._cpu is not None:
            self._cpu.initialised(environment, self.memory_mb)
        self._admission.initialised(environment, self.need)
        if environment.served:
            self._facts.initialised(environment.env_id)

    def ready(self, environment: EnvironmentProcess, init_s: float) -> None:
        """Report it ready, with the seconds its init counts as."""
        if self._preloader is not None:
            init_s = self._preloader.init_s(environment.fork_server, init_s)
        self._facts.ready(environment.env_id, init_s)

    def failed(self, environment: EnvironmentProcess, failure: InitFailure, init_s: float) -> None:
        """Report that its init failed, after `init_s` or since it was asked for."""
        self._facts.failed(environment.env_id, failure, init_s or self._now() - environment.since_s)

    def open_stream(
        self, invocation: Invocation, content_type: str, grant: Callable[[int], object]
    ) -> GrantedStream:
        """Report that the response is streamed."""
        return GrantedStream(self._facts, invocation, content_type, grant)

    def removed(self, environment: EnvironmentProcess) -> None:
        """Forget it. After a crash or a failed init the next one is a reset of it, as AWS calls that."""
        self._forget(environment, reset=not environment.served or environment.running)

    # ---------------------------------------------------------------- preload = "auto"

    def preloaded_init_s(self) -> float | None:
        """See `Executor`."""
        return preloaded_init_s(self._function)

    def imported(self, names: list[str]) -> None:
        """Pass on to the preloader what an environment imported from outside its code folder."""
        if self._preloader is not None:
            self._preloader.learn(names)

    def start_zygote(self, imports: tuple[str, ...]) -> SnapshotTemplate:
        """Fork a process from the common zygote that imports these, with the function's variables set."""
        template = SnapshotTemplate(self.loop, self._stray, self.say)
        spec = self._describe(initialisation_of(self._function, provisioned=False))
        self._zygote().spawn(template, spec._replace(imports=imports).encode(), template=True)
        return template

    def retire(self, template: SnapshotTemplate) -> None:
        """Have it end with the last of its environments."""
        self._host.retire(template)

    def wait_for_zygote(self, *, waits: bool) -> None:
        """Hold further inits while it imports, for `INIT_LIMIT_S` at most."""
        if self._zygote_due is not None:
            self._zygote_due.cancel()
            self._zygote_due = None
        if waits:
            self._zygote_due = self.loop.call_later(INIT_LIMIT_S, lambda: self.wait_for_zygote(waits=False))
        self._hold_for("zygote", holds=waits)

    def _hold_for(self, reason: str, *, holds: bool) -> None:
        """Add or remove a reason to hold inits; they are held as long as there is one."""
        held = bool(self._held_for)
        (self._held_for.add if holds else self._held_for.discard)(reason)
        if self._held_for and not held:
            self._facts.hold()
        elif held and not self._held_for:
            self._facts.resume()

    def say(self, text: str) -> None:
        """Log a line about the function."""
        self._workshop.say(f"{self._function.name}: {text}")

    # ---------------------------------------------------------------- what the admission asks for

    def hold(self) -> None:
        """Ask for no further environments for now."""
        self._hold_for("memory", holds=True)

    def resume(self) -> None:
        """Ask for environments again."""
        self._hold_for("memory", holds=False)

    def init_waits(self, environment: EnvironmentProcess) -> None:
        """Start its init limit anew: its init has not begun."""
        self._facts.waits(environment.env_id)
        environment.since_s = self._now()

    def give_up(self, environment: EnvironmentProcess) -> bool:
        """End it for others: at once if it is idle, else after its invocation."""
        return self._facts.give_up(environment.env_id)

    # ---------------------------------------------------------------- inside

    def _zygote(self) -> ZygoteClient:
        return self._host.zygote(self._workshop.python, self._preload)

    def _live_template(self) -> SnapshotTemplate:
        if self._template is None or self._template.is_over:
            if self._template is not None:
                self._template.close()
            self._template = SnapshotTemplate(self.loop, self._stray, self.say)
            self._zygote().spawn(self._template, self._spec(provisioned=False), template=True)
        return self._template

    def _spawn(
        self,
        environment: EnvironmentProcess,
        fork_server: ForkServerClient,
        kept: tuple[ForkServerClient, int] | None,
    ) -> None:
        token = 0
        if kept is not None:
            if kept[0] is fork_server:
                token = kept[1]
            else:
                kept[0].forget(kept[1])
        environment.fork_server = fork_server
        spec = self._spec(provisioned=environment.is_provisioned)
        environment.token = fork_server.spawn(environment, spec, kept=token)
        if environment.closed:  # stopped while it waited for the template
            fork_server.forget(environment.token)

    def _serve_suppressed(self, environment: EnvironmentProcess) -> None:
        if not environment.closed:
            self._facts.ready(environment.env_id, None)

    def _forget(self, environment: EnvironmentProcess, *, reset: bool) -> None:
        self._environments.pop(environment.env_id, None)
        self._admission.forget(environment)
        self._monitor.remove(environment)
        fork_server = environment.fork_server
        if fork_server is None or fork_server.is_over:
            return
        if reset and not self._shared and len(self._resets) < _MAX_RESETS:
            self._resets.append((fork_server, environment.token, self._now()))
        else:
            fork_server.forget(environment.token)

    def _next_reset(self, *, latest: bool = False) -> tuple[ForkServerClient, int] | None:
        """Fork server and token of the reset environment that the next one replaces, if that is recent."""
        oldest_s = self._now() - self._function.keep_alive_s
        while self._resets:
            fork_server, token, at_s = self._resets.pop() if latest else self._resets.popleft()
            if not fork_server.is_over and (latest or at_s >= oldest_s):
                return fork_server, token
            fork_server.forget(token)
        return None

    def _stray(self, text: str) -> None:
        self.output(None, text)

    def _spec(self, *, provisioned: bool) -> bytes:
        """Made when it is first sent: most of ten thousand functions are not invoked."""
        kind = initialisation_of(self._function, provisioned=provisioned)
        encoded = self._encoded.get(kind)
        if encoded is None:
            encoded = self._encoded[kind] = self._describe(kind).encode()
        return encoded

    def _describe(self, kind: Initialisation) -> EnvironmentSpec:
        function, workshop = self._function, self._workshop
        python = workshop.python
        code = str(Path(function.code).absolute())
        variables = lambda_variables(
            function,
            workshop.account,
            log_stream="",  # each environment puts its own there
            task_root=code,
            initialisation=kind,
            python=f"{sys.version_info.major}.{sys.version_info.minor}" if python is None else python.series,
            logs_json=workshop.logs_json,
            endpoint_url=workshop.endpoint_url,
        )
        if "PATH" not in function.environment:
            executable = sys.executable if python is None else python.executable
            variables["PATH"] = f"{Path(executable).parent}:{PATH}"
        return EnvironmentSpec(
            function=_spec_of(function, code),
            arn=workshop.account.function_arn(function.name),
            variables=variables,
            generation=self._generation,
            cgroups=self._control_groups(),
            visible_cpus=None if self._cpu is None else visible_vcpus(self.memory_mb),
        )

    def _control_groups(self) -> dict[str, dict[str, str]]:
        """Limits of an environment at its start by file, by the folder in which it gets a control group."""
        groups: dict[str, dict[str, str]] = {}
        if self._host.groups is not None:
            groups[str(self._host.groups.folder)] = dict(memory_limit(self.memory_mb))
        if self._cpu is not None:
            for folder, limits in self._cpu.groups().items():
                groups.setdefault(folder, {}).update(limits)
        return groups


def _spec_of(function: Function, code: str) -> FunctionSpec:
    """What its environments need of it; `code` is an absolute path."""
    return FunctionSpec(
        name=function.name,
        handler=function.handler,
        code=code,
        memory_mb=function.memory_mb,
        version=function.version,
        environment_concurrency=function.environment_concurrency,
        preload=function.preload,
        no_preload=function.no_preload,
        snapstart=function.snapstart,
        ephemeral_storage_mb=function.ephemeral_storage_mb,
        log_group=function.log_group,
        is_package=function.is_package,
        streaming=function.streaming,
    )
