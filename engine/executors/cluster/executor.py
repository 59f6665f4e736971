"""Runs handlers on the nodes of a cluster: the engine's end of what agents host as the process executor.

One fleet decides, as ever. What a command asks for is sent to the node of the environment, and its facts
come back. See docs/decisions/0031.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from engine.core.engine_events import EngineEvent
from engine.core.error_bodies import InitFailure, platform_error_body
from engine.core.function import Function
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.errors import ConfigError
from engine.executors.cluster.carrier import Carrier, PlainCarrier
from engine.executors.cluster.cluster import Cluster, tunnel_target
from engine.executors.cluster.code_archive import CodeError, ShippedCode
from engine.executors.cluster.messages import OWN_SERIES, FunctionMessage
from engine.executors.cluster.node import Node, RemoteEnvironment
from engine.executors.granted_stream import GrantedStream
from engine.executors.process.admission import unmeasured_kb
from engine.executors.process.parent.preloader import preloaded_init_s
from engine.ports import Facts, Workshop

_UNABLE_S: Final = 10.0
"""How long a node is left alone that could not start an environment."""

_PATIENCE_S: Final = 3.0
"""How long an environment that no node can start waits for another node before it has failed."""


class Shipped:
    """A function at one state of its code. Compared by identity."""

    def __init__(self, function: Function, workshop: Workshop, digest: bytes) -> None:
        self.digest = digest
        self._message = FunctionMessage(
            function=function,
            account=workshop.account,
            digest=digest,
            logs_json=workshop.logs_json,
            is_async=workshop.is_async,
            cpu=workshop.cpu,
            python=workshop.python,
            series=OWN_SERIES if workshop.python is None else workshop.python.series,
            endpoint_url=workshop.endpoint_url,
            is_tunnelled=tunnel_target(workshop.endpoint_url) is not None,
        )

    def message(self) -> bytes:
        """See `ShippedFunction`."""
        return self._message.encode()


class ClusterExecutor:
    """The environments of one function, each on a node."""

    KEY: ClassVar[str] = "cluster"
    """By what executors of one engine find their cluster."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self.name = function.name
        self._function = function
        self._facts = facts
        self._tell_ended = facts.ended
        self._workshop = workshop
        self._loop = workshop.loop
        self._now = workshop.clock.now
        self._environments: dict[int, RemoteEnvironment] = {}
        self._uncoded: dict[RemoteEnvironment, None] = {}  # that wait until the code is packed
        self._shipped: Shipped | None = None
        self._older: list[Shipped] = []
        self._packing: asyncio.Task[ShippedCode] | None = None
        self._is_outdated = False  # the code is being packed anew
        self._failed: RemoteEnvironment | None = None  # whose init has just failed or was stopped
        self._need_kb = 0
        self._held_by: set[Node] = set()
        self._unable: dict[Node, float] = {}  # until when nothing is started there
        self._is_held = False
        self._is_closed = False
        self._cluster = Cluster.of(workshop, self.KEY, self.carrier, self.secret())
        self._cluster.add(self)

    # ---------------------------------------------------------------- what a carrier changes

    @staticmethod
    def carrier(_workshop: Workshop) -> Carrier:
        """What starts the agents."""
        return PlainCarrier()

    @staticmethod
    def secret() -> bytes | None:
        """What agents have to know; None: what the configuration says."""
        return None

    # ---------------------------------------------------------------- Executor

    async def prepare(self) -> None:
        """Listen for agents, and pack the code.

        Raises:
            ConfigError: The code cannot be shipped.
            EngineError: There is no secret, or agents cannot be started.
            OSError: The address cannot be had; the message names it.
        """
        await self._cluster.open()
        packing = self._begin_packing()
        if packing is not None:
            try:
                await asyncio.shield(packing)
            except CodeError as error:
                raise ConfigError((f"functions.{self.name}.code: {error}",)) from error

    def start(self, env_id: int, /) -> None:
        """Start it on the node that suits it best, as soon as there is one and the code is packed."""
        self._start(env_id, provisioned=False)

    def provision(self, env_id: int, /) -> None:
        """The same for a provisioned environment, whose variables say so."""
        self._start(env_id, provisioned=True)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        environment = RemoteEnvironment(self, env_id, provisioned=provisioned)
        self._environments[env_id] = environment
        if self._shipped is not None and not self._is_outdated:
            self._cluster.place(environment, self)
            return
        self._uncoded[environment] = None
        self._cluster.begin_opening()
        self._begin_packing()

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Send the invocation to the environment's node."""
        environment = self._environments[env_id]
        node = environment.node
        assert node is not None  # it was ready, and its node is there, else it would be gone too
        node.run(environment, invocation)

    def stop(self, env_id: int, /) -> None:
        """Have its node end it, if that is there."""
        environment = self._environments.pop(env_id, None)
        if environment is None:
            return
        if not environment.is_ready:
            self._failed = environment
        self._uncoded.pop(environment, None)
        self._cluster.withdraw(environment)
        if environment.node is not None:
            environment.node.stop(environment)

    def repeat(self, env_id: int, /) -> bool:
        """Have the same node fork another process in the place of one whose init has just failed."""
        failed, self._failed = self._failed, None
        function = self._function
        if failed is None or failed.env_id != env_id or self._shipped is None:
            return False
        node = failed.node
        if function.environment_concurrency > 1 or function.snapstart or node not in self._cluster.usable:
            return False
        assert node is not None
        environment = self._environments[env_id] = RemoteEnvironment(self, env_id, provisioned=False)
        environment.is_ready = True
        environment.function = failed.function or self._shipped
        node.repeat(environment, environment.function)
        return True

    def preloaded_init_s(self) -> float | None:
        """See `Executor`."""
        return preloaded_init_s(self._function)

    def renew(self) -> None:
        """Ship the code as it is now: environments started from now on have it."""
        if self._packing is not None or self._shipped is not None:
            self._is_outdated = True
            self._packing = self._cluster.code.archive_of(self._function.code, anew=True)
            self._packing.add_done_callback(self._code_ready)

    def close(self) -> None:
        """Begin to end all environments, and the cluster if this is the last executor of it."""
        self._is_closed = True
        for environment in self._environments.values():
            self._cluster.withdraw(environment)
            if environment.node is not None:
                environment.node.forget(environment)
        self._environments.clear()
        self._uncoded.clear()
        self._cluster.remove(self, self._workshop.commons, self.KEY)

    async def wait_closed(self) -> None:
        """Return when all have ended, if this was the last executor of the cluster."""
        await self._cluster.wait_closed()

    # ---------------------------------------------------------------- its code

    def _begin_packing(self) -> asyncio.Task[ShippedCode] | None:
        """Pack the code, unless that was begun; returns the task that does."""
        if self._packing is None:
            self._packing = self._cluster.code.archive_of(self._function.code)
            self._packing.add_done_callback(self._code_ready)
        return self._packing

    def _code_ready(self, packing: asyncio.Task[ShippedCode]) -> None:
        """Have environments start with that code from now on."""
        if packing is not self._packing or packing.cancelled() or self._is_closed:
            return
        self._is_outdated = False
        error = packing.exception()
        if error is not None:
            self._code_failed(str(error))
            return
        digest = packing.result().digest
        if self._shipped is None or self._shipped.digest != digest:
            self._cluster.code.keep(digest)
            self._retire()
            self._shipped = Shipped(self._function, self._workshop, digest)
            self._need_kb = 0
        self._place_uncoded()

    def _place_uncoded(self) -> None:
        """Place what waited for the code."""
        uncoded, self._uncoded = self._uncoded, {}
        for environment in uncoded:
            self._facts.waits(environment.env_id)
            self._cluster.place(environment, self)

    def _retire(self) -> None:
        """Keep the code there was for those that run it, and have nodes forget what none runs any more."""
        if self._shipped is not None:
            self._older.append(self._shipped)
        used = {environment.function for environment in self._environments.values()}
        for shipped in self._older:
            if shipped not in used:
                self._cluster.forget_function(shipped)
        self._older = [shipped for shipped in self._older if shipped in used]

    def _code_failed(self, why: str) -> None:
        """Go on with the code there was; without any, what waits for it has failed."""
        self._packing = None
        if self._shipped is not None:
            self._workshop.say(f"{self.name}: nodes keep the code they have: {why}")
            self._place_uncoded()
            return
        uncoded, self._uncoded = self._uncoded, {}
        for environment in uncoded:
            self.failed(environment, InitFailure("Sandbox.Failure", why), 0.0)

    def shipped_now(self) -> Shipped:
        """See `ClusterMember`."""
        assert self._shipped is not None  # nothing is placed before
        return self._shipped

    def all_shipped(self) -> Iterable[Shipped]:
        """See `ClusterMember`."""
        return self._older if self._shipped is None else [*self._older, self._shipped]

    # ---------------------------------------------------------------- what nodes tell

    def need_kb(self, limit_kb: int) -> int:
        """See `ClusterMember`: as measured, else as the process executor assumes."""
        return self._need_kb or unmeasured_kb(self._function.memory_mb * 1024, limit_kb)

    def total_kb(self) -> int:
        """See `ClusterMember`."""
        return len(self._environments) * self.need_kb(0)

    def placed(self, environment: RemoteEnvironment) -> None:
        """Tell where it is."""
        assert environment.node is not None
        self._facts.placed(environment.env_id, environment.node.name)

    def ready(self, environment: RemoteEnvironment, init_s: float | None, need_kb: int) -> None:
        """Report that it can serve."""
        if need_kb:
            self._need_kb = need_kb
        self._facts.ready(environment.env_id, init_s)

    def initialised(self, environment: RemoteEnvironment) -> None:
        """Report it."""
        self._facts.initialised(environment.env_id)

    def waits(self, environment: RemoteEnvironment) -> None:
        """Have its init limit start over."""
        self._facts.waits(environment.env_id)

    def give_up(self, environment: RemoteEnvironment) -> None:
        """End it, now or after its work."""
        self._facts.give_up(environment.env_id)

    def failed(self, environment: RemoteEnvironment, failure: InitFailure, init_s: float) -> None:
        """Report that its init failed; the driver may have it repeated at once."""
        self._environments.pop(environment.env_id, None)
        self._failed = environment
        self._facts.failed(environment.env_id, failure, init_s)

    def open_stream(
        self, invocation: Invocation, content_type: str, grant: Callable[[int], object]
    ) -> GrantedStream:
        """Report that the response is streamed."""
        return GrantedStream(self._facts, invocation, content_type, grant)

    def ended(self, environment: RemoteEnvironment, invocation: Invocation, result: Result) -> None:
        """Report how an invocation ended."""
        node = environment.node
        if result.ends_environment:
            self._environments.pop(environment.env_id, None)
            if node is not None:
                node.forget(environment)
        self._tell_ended(invocation, result)
        if node is not None and node.is_leaving:
            self._let_go(environment)

    def died(self, environment: RemoteEnvironment) -> None:
        """Report that an idle one is gone; what was sent to it meanwhile begins anew there, but once."""
        self._environments.pop(environment.env_id, None)
        if not environment.running:
            self._facts.died(environment.env_id)
            return
        self._failed = environment
        node = environment.node
        if node is None or environment.is_second or not self.repeat(environment.env_id):
            self._answer_one(environment, "Runtime.ExitError", "Runtime exited without providing a reason")
            return
        second = self._environments[environment.env_id]
        second.is_second = True
        for invocation in environment.running.values():
            node.run(second, invocation)

    def _answer_one(self, environment: RemoteEnvironment, error_type: str, message: str) -> None:
        """Answer one of those that run in an environment that is gone; the driver answers the others."""
        invocation = next(iter(environment.running.values()))
        environment.running = {}
        body = platform_error_body(error_type, invocation.event.request_id, message)
        self._tell_ended(invocation, Result(Status.CRASH, body, error_type=error_type))

    def unable(self, environment: RemoteEnvironment, node: Node, why: str) -> None:
        """Start it on another node, and leave this one alone for a while.

        With no other, it has failed, unless one comes soon: nodes come back.
        """
        environment.node = None
        if environment.function is self._shipped:  # else it was for code that has been replaced
            self._cluster.say_sometimes(f"{self.name} cannot run on node {node.name}: {why}")
            now_s = self._now()
            self._unable[node] = now_s + _UNABLE_S
            if all(self._unable.get(usable, 0.0) > now_s for usable in self._cluster.usable):
                self._cluster.keep_waiting(environment, self)
                self._loop.call_later(_PATIENCE_S, self._give_up_waiting, environment, why)
                return
        self.waits(environment)
        self._cluster.place(environment, self)

    def _give_up_waiting(self, environment: RemoteEnvironment, why: str) -> None:
        if environment.node is None and self._environments.get(environment.env_id) is environment:
            self._cluster.withdraw(environment)
            self.failed(environment, InitFailure("Sandbox.Failure", why), 0.0)

    def named(self, environment: RemoteEnvironment, log_stream: str) -> None:
        """Pass on the name of its log stream."""
        function = self._function
        self._workshop.name_log_stream(function.name, function.version, environment.env_id, log_stream)

    def noticed(self, event: EngineEvent) -> None:
        """Pass it on."""
        self._workshop.notify(event)

    def output(self, invocation: Invocation | None, text: str) -> None:
        """Log it."""
        self._workshop.output(invocation, text)

    def node_lost(self, environment: RemoteEnvironment) -> None:
        """Answer what ran there with one error each; what had not begun starts on another node."""
        if environment.running:
            self._environments.pop(environment.env_id, None)
            self._answer_one(environment, "Sandbox.Failure", "The node it ran on is gone")
        elif environment.is_ready:
            self.died(environment)
        elif self._environments.get(environment.env_id) is environment:
            environment.node = None
            self.waits(environment)
            self._cluster.place(environment, self)

    def node_leaves(self, environment: RemoteEnvironment) -> None:
        """Have it end after its work, and start elsewhere if it had not begun any."""
        if not environment.is_ready:
            self._cluster.move(environment, self)
        elif not self._facts.give_up(environment.env_id):
            self._let_go(environment)

    def _let_go(self, environment: RemoteEnvironment) -> None:
        """End it, once it is idle, on a node that is about to go; a provisioned one has another then."""
        is_here = self._environments.get(environment.env_id) is environment
        if is_here and environment.node is not None and not environment.running:
            environment.node.stop(environment)
            self.died(environment)

    # ---------------------------------------------------------------- nodes without room

    def held(self, node: Node, *, holds: bool) -> None:
        """Ask for no further environments while no node has room."""
        (self._held_by.add if holds else self._held_by.discard)(node)
        self._cluster.note_shortage(self, holds=bool(self._held_by))
        self._look_at_holds()

    def is_held_by(self, node: Node) -> bool:
        """See `ClusterMember`."""
        return node in self._held_by or self._unable.get(node, 0.0) > self._now()

    def waiting_for_room(self) -> list[RemoteEnvironment]:
        """See `ClusterMember`."""
        return [
            environment
            for environment in self._environments.values()
            if not environment.is_ready and environment.node in self._held_by
        ]

    def nodes_changed(self) -> None:
        """See `ClusterMember`."""
        usable = self._cluster.usable
        self._held_by.intersection_update(usable)
        self._unable = {node: until_s for node, until_s in self._unable.items() if node in usable}
        self._cluster.note_shortage(self, holds=bool(self._held_by))
        self._look_at_holds()

    def _look_at_holds(self) -> None:
        usable = self._cluster.usable
        is_held = bool(usable) and all(node in self._held_by for node in usable)
        if is_held != self._is_held:
            self._is_held = is_held
            (self._facts.hold if is_held else self._facts.resume)()
