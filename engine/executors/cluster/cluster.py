"""The nodes of one engine: where agents connect to, which are there, and which one gets an environment."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from engine.core.cluster_config import ClusterConfig
from engine.core.cluster_nodes import NodeLoss, NodeReading
from engine.core.engine_events import NodeJoined, NodeLost
from engine.core.placement import EnvironmentNeed, choose, fits
from engine.errors import EngineError
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.carrier import Carrier
from engine.executors.cluster.code_store import CodeStore
from engine.executors.cluster.connection import prepare_socket
from engine.executors.cluster.handshake import EngineHandshake
from engine.executors.cluster.host_port import joined
from engine.executors.cluster.node import EnvironmentOwner, Node, RemoteEnvironment, ShippedFunction
from engine.executors.host_variables import host_variables
from engine.ports import Workshop
from engine.protocols.http.server import listening_sockets, named_listener
from engine.version import VERSION

SECRET_VARIABLE: Final = "ENGINE_CLUSTER_SECRET"  # noqa: S105  # its name
"""Holds the secret where no file is named."""

_MAX_UNKNOWN: Final = 64
"""Connections at a time that have not proved anything yet."""

_CLOSING_S: Final = 3.0
"""What agents get to end their environments when the engine stops."""

_SAY_AGAIN_S: Final = 60.0
_WISH_S: Final = 0.25


class ClusterMember(EnvironmentOwner, Protocol):
    """An executor, as far as the cluster knows it."""

    name: str

    def need_kb(self, limit_kb: int) -> int:
        """KB that its next environment is expected to take, on a node with `limit_kb`."""

    def total_kb(self) -> int:
        """KB that all of its environments are expected to take, those that wait for a node included."""

    def shipped_now(self) -> ShippedFunction:
        """What new environments run."""

    def all_shipped(self) -> Iterable[ShippedFunction]:
        """That, and what older ones still run."""

    def placed(self, environment: RemoteEnvironment) -> None:
        """It is on a node now."""

    def is_held_by(self, node: Node) -> bool:
        """Whether the node has no room for further environments of it, or could not start the last one."""

    def waiting_for_room(self) -> list[RemoteEnvironment]:
        """Its environments on nodes without room that have not initialised yet."""

    def nodes_changed(self) -> None:
        """A node has come, or is gone, or is about to go."""


_ALL_ADDRESSES: Final = ("0.0.0.0", "::")  # noqa: S104  # compared with


class Cluster:
    """Made by the first cluster executor of an engine, closed by the last."""

    def __init__(self, workshop: Workshop, carrier: Carrier, secret: bytes | None) -> None:
        """`secret`: None for that of the configuration."""
        self._loop = workshop.loop
        self._clock = workshop.clock
        self._now = workshop.clock.now
        self._config: ClusterConfig = workshop.cluster
        self._notify = workshop.notify
        self._cores_elsewhere = workshop.cores_elsewhere
        self._listens = workshop.listens
        self.say = workshop.say
        self._tunnel_target = tunnel_target(workshop.endpoint_url)
        self._carrier = carrier
        self._secret = secret
        self._servers: list[asyncio.Server] = []
        self._unknown: dict[EngineHandshake, None] = {}
        self._nodes: dict[str, Node] = {}
        self._waiting: dict[RemoteEnvironment, ClusterMember] = {}  # while there is no node
        self._opening: asyncio.Task[None] | None = None
        self._is_awaited = False
        self._closing: asyncio.Task[None] | None = None
        self._members: dict[ClusterMember, None] = {}
        self._wished = 0
        self._holding: set[ClusterMember] = set()
        self._wishing: asyncio.TimerHandle | None = None
        self._is_empty = asyncio.Event()
        self._said_s: dict[str, float] = {}
        self.code = CodeStore(workshop)
        self.address: tuple[str, int] | None = None
        """Where it listens; None before it does."""
        workshop.watch_nodes(self.readings)

    # ---------------------------------------------------------------- life

    @classmethod
    def of(
        cls, workshop: Workshop, key: str, carrier: Callable[[Workshop], Carrier], secret: bytes | None
    ) -> Cluster:
        """The cluster that all executors of an engine share by `key`."""
        cluster: Cluster | None = workshop.commons.get(key)
        if cluster is None:
            cluster = workshop.commons[key] = cls(workshop, carrier(workshop), secret)
        return cluster

    def add(self, member: ClusterMember) -> None:
        """Count an executor among those that need it."""
        self._members[member] = None

    def remove(self, member: ClusterMember, commons: dict[str, Any], key: str) -> None:
        """Let go of it. The last executor begins to close it; `wait_closed` says when that is done."""
        self._members.pop(member, None)
        self._holding.discard(member)
        for function in member.all_shipped():
            self.forget_function(function)
        if not self._members:
            commons.pop(key, None)
            self._closing = self._loop.create_task(self._close())

    def forget_function(self, function: ShippedFunction) -> None:
        """Have nodes end what still runs of it, and let go of its code."""
        for node in self._nodes.values():
            node.close_function(function)
        self.code.release(function.digest)

    async def open(self) -> None:
        """Listen for agents, and have some started.

        Raises:
            EngineError: There is no secret, or agents cannot be started.
            OSError: The address cannot be had; the message names it.
        """
        self._is_awaited = True
        self.begin_opening()
        assert self._opening is not None
        await asyncio.shield(self._opening)

    def begin_opening(self) -> None:
        """Open it meanwhile, unless that was begun; what goes wrong is said, if nobody waits for it."""
        if self._opening is None:
            self._opening = self._loop.create_task(self._open())
            self._opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[None]) -> None:
        if not opening.cancelled() and (error := opening.exception()) and not self._is_awaited:
            self.say(f"the cluster cannot be opened: {error}")

    async def _open(self) -> None:
        secret = self._secret if self._secret is not None else secret_of(self._config)
        with named_listener("cluster.listen"):
            sockets = listening_sockets(self._config.host, self._config.port)
        for one in sockets:
            prepare_socket(one)  # inherited by what is accepted
        handshake = partial(self._handshake, secret)
        host, port = sockets[0].getsockname()[:2]
        self._servers = [await self._loop.create_server(handshake, sock=one) for one in sockets]
        self.address = host, port
        self._listens("cluster", joined(host, port))
        await self._carrier.open(self.address, secret)

    async def wait_closed(self) -> None:
        """Return when the agents have ended what ran, or have had time to; at once while it is needed."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._wishing is not None:
            self._wishing.cancel()
        if self._opening is not None:
            await asyncio.wait([self._opening])
        for server in self._servers:
            server.close()
        for handshake in list(self._unknown):
            handshake.drop()
        nodes = list(self._nodes.values())
        for node in nodes:
            node.say_goodbye()
        if nodes:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_empty.wait(), _CLOSING_S)
        for node in list(self._nodes.values()):
            node.lose(NodeLoss.LEFT, "the engine stops")
        await self._carrier.close()
        await self.code.close()

    # ---------------------------------------------------------------- who is there

    def readings(self) -> Sequence[NodeReading]:
        """All nodes that are there, by name."""
        return [self._nodes[name].reading() for name in sorted(self._nodes)]

    def _handshake(self, secret: bytes) -> EngineHandshake:
        if len(self._unknown) >= _MAX_UNKNOWN:
            next(iter(self._unknown)).drop()
        handshake = EngineHandshake(
            self._loop,
            secret,
            VERSION,
            self._welcome,
            lambda known: self._unknown.pop(known, None),
            self._refused,
        )
        self._unknown[handshake] = None
        return handshake

    def _refused(self, reason: str) -> None:
        self.say_sometimes(f"an agent was refused: {reason}")

    def _welcome(self, transport: asyncio.Transport, details: wire.AgentDetails, rest: bytes) -> None:
        """Take a node in, in the place of one that it was before."""
        if self._closing is not None:
            transport.abort()
            return
        for node in list(self._nodes.values()):
            if node.agent == details.agent:
                node.lose(NodeLoss.REPLACED, "it has connected anew")
        name = self._unique(details.node)
        node = Node(self, self._loop, self._clock, transport, details, name, self._tunnel_target)
        self._nodes[node.name] = node
        self._is_empty.clear()
        transport.set_protocol(node.connection)
        self._notify(NodeJoined(node=node.described))
        self._count_cores()
        self._nodes_changed()
        waiting, self._waiting = self._waiting, {}
        for environment, member in waiting.items():
            member.waits(environment)
            self.place(environment, member)
        if rest:
            node.connection.data_received(rest)

    def _unique(self, name: str) -> str:
        number, found = 1, name
        while found in self._nodes:
            number += 1
            found = f"{name}#{number}"
        return found

    def _count_cores(self) -> None:
        self._cores_elsewhere(sum(int(node.described.cores) for node in self._nodes.values()))

    def _nodes_changed(self) -> None:
        for member in self._members:
            member.nodes_changed()
        self._wish_soon()

    @property
    def usable(self) -> list[Node]:
        """Nodes that take environments."""
        return [node for node in self._nodes.values() if not node.is_leaving]

    # ---------------------------------------------------------------- which node

    def place(self, environment: RemoteEnvironment, member: ClusterMember) -> None:
        """Start it on the node that suits it best; have it wait while there is none.

        Where no node has room it goes to the one with most memory left, whose admission has it wait.
        """
        node = self._choose(member, self.usable)
        if node is None:
            self._waiting[environment] = member
            self.say_sometimes(
                f"{member.name}: no agent is connected, and its requests wait: {self._how_to_start_one()}"
            )
        else:
            self._start(environment, member, node)
        self._wish_soon()

    def _how_to_start_one(self) -> str:
        if self._config.executor == "ray":
            return "Ray starts one on each node"
        host, port = self.address or (self._config.host, self._config.port)
        shown = joined("HOST" if host in _ALL_ADDRESSES else host, port)
        return f"start one on each node by `engine agent {shown}`"

    def _start(self, environment: RemoteEnvironment, member: ClusterMember, node: Node) -> None:
        function = environment.function = member.shipped_now()
        node.start(environment, function, member.need_kb(node.limit_kb))
        member.placed(environment)

    def _withdraw(self, environment: RemoteEnvironment) -> None:
        """Take it away from its node, where it has run nothing."""
        if environment.node is not None:
            environment.node.stop(environment)
            environment.node = None
        environment.is_ready = False

    def _choose(self, member: ClusterMember, nodes: Sequence[Node]) -> Node | None:
        if len(nodes) < 2:
            return nodes[0] if nodes else None
        free = [node for node in nodes if not member.is_held_by(node)] or nodes
        need = self._need(member, max(node.limit_kb for node in free))
        chosen = choose((node.room() for node in free), need)
        if chosen is not None:
            return self._nodes[chosen.name]
        return max(free, key=lambda node: node.room().free_memory_mb)

    def _need(self, member: ClusterMember, limit_kb: int) -> EnvironmentNeed:
        return EnvironmentNeed(member.need_kb(limit_kb) / 1024, code=member.shipped_now().digest.hex())

    def note_shortage(self, member: ClusterMember, *, holds: bool) -> None:
        """Note whether some node has no room for further environments of it."""
        (self._holding.add if holds else self._holding.discard)(member)

    def keep_waiting(self, environment: RemoteEnvironment, member: ClusterMember) -> None:
        """Place it when the next node joins."""
        self._waiting[environment] = member
        self._wish_soon()

    def withdraw(self, environment: RemoteEnvironment) -> None:
        """Forget that it waits for a node."""
        if self._waiting.pop(environment, None) is not None:
            self._wish_soon()

    def move(self, environment: RemoteEnvironment, member: ClusterMember) -> None:
        """Start it elsewhere: it has run nothing yet."""
        self._withdraw(environment)
        member.waits(environment)
        self.place(environment, member)

    def _wish_soon(self) -> None:
        if self._wishing is None and self._members:
            self._wishing = self._loop.call_later(_WISH_S, self._wish)

    def _wish(self) -> None:
        """Ask for as many agents as all environments, those that wait included, need memory of."""
        self._wishing = None
        needed_kb = sum(member.total_kb() for member in self._members)
        rooms = [node.room().memory_mb for node in self.usable]
        each_kb = 1024 * sum(rooms) / len(rooms) if rooms else math.inf
        self._wished = math.ceil(needed_kb / each_kb) or (1 if needed_kb else 0)
        self._carrier.wish(self._wished)

    # ---------------------------------------------------------------- NodeEvents

    def lost(self, node: Node, loss: NodeLoss, why: str) -> None:
        """See `NodeEvents`: what ran there is answered, and what was to start there starts elsewhere."""
        self._nodes.pop(node.name, None)
        if not self._nodes:
            self._is_empty.set()
        environments = list(node.environments.values())
        running = sum(len(environment.running) for environment in environments)
        self._notify(NodeLost(node=node.name, reason=loss, environments=len(environments), running=running))
        if loss is NodeLoss.PROTOCOL:
            self.say(f"{node.name}: {why}")
        self._count_cores()
        for environment in environments:
            environment.owner.node_lost(environment)
        self._nodes_changed()

    def leaves(self, node: Node) -> None:
        """See `NodeEvents`: what runs there may end, and nothing begins."""
        for environment in list(node.environments.values()):
            environment.owner.node_leaves(environment)
        self._nodes_changed()

    def has_room(self, node: Node) -> None:
        """See `NodeEvents`: what waits for room on other nodes is started there, as much as fits."""
        if self._wished:
            self._wish_soon()
        if node.is_leaving:
            return
        for member in list(self._holding):
            need = self._need(member, node.limit_kb)
            for environment in () if member.is_held_by(node) else member.waiting_for_room():
                if not fits(node.room(), need):
                    break
                self._withdraw(environment)
                member.waits(environment)
                self._start(environment, member, node)

    def needs_code(self, node: Node, digest: bytes) -> None:
        """See `NodeEvents`."""
        self.code.send(node.connection, digest)

    def say_sometimes(self, text: str) -> None:
        """Log a line, the same one once a minute at most."""
        now_s = self._now()
        if now_s - self._said_s.get(text, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
            self._said_s = {
                known: at_s for known, at_s in self._said_s.items() if now_s - at_s < _SAY_AGAIN_S
            }
            self._said_s[text] = now_s
            self.say(text)


def secret_of(config: ClusterConfig) -> bytes:
    """What agents must know: from the file that is named, else from the variable; empty on loopback alone.

    Raises:
        EngineError: There is none, and others could connect.
    """
    if config.secret_file is not None:
        try:
            secret = Path(config.secret_file).read_bytes().strip()
        except OSError as error:
            raise EngineError(f"cluster.secret_file: {config.secret_file}: {error.strerror}") from None
        if not secret:
            raise EngineError(f"cluster.secret_file: {config.secret_file} is empty")
        return secret
    secret = os.fsencode(host_variables().get(SECRET_VARIABLE, "")).strip()
    if not secret and not is_loopback(config.host):
        raise EngineError(
            f"cluster.listen: others can connect to {config.host}, and would be sent code and events: name a "
            f"secret_file, or set {SECRET_VARIABLE}"
        )
    return secret


def tunnel_target(endpoint_url: str | None) -> tuple[str, int] | None:
    """Host and port that streams from nodes go on to; None where nodes need none, or can go there alone."""
    if endpoint_url is None:
        return None
    found = urlsplit(endpoint_url)
    if found.hostname is None or not is_loopback(found.hostname):
        return None
    return found.hostname, found.port or (443 if found.scheme == "https" else 80)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
