"""The engine's side of one agent: the environments on its node, and what it has told of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final, Protocol

from engine.core.cluster_nodes import NodeDescription, NodeLoss, NodeReading
from engine.core.engine_events import EngineEvent
from engine.core.error_bodies import InitFailure
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.core.placement import NodeRoom
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.connection import AgentConnection
from engine.executors.cluster.host_port import joined
from engine.executors.cluster.messages import read_event, read_failure
from engine.executors.cluster.tunnel import TunnelStreams
from engine.executors.granted_stream import GrantedStream
from engine.executors.process.protocol import pack_request
from engine.machine.memory import reserve_kb
from engine.ports import Clock

_STATUSES: Final = tuple(Status)
_UNKNOWN_KB: Final = 1 << 40
"""Memory of a node that does not say how much it has."""

SILENT_S: Final = wire.SILENCE_S - wire.BEAT_S / 2
"""Noticed at the next look, this is `SILENCE_S` at most."""

_NUMBERS: Final = 0x7FFF_FFFF
_new_tuple: Final = tuple.__new__


class ShippedFunction(Protocol):
    """A function at one state of its code, as nodes are told of it. Compared by identity."""

    digest: bytes

    def message(self) -> bytes:
        """The body of its FUNCTION frame."""


class EnvironmentOwner(Protocol):
    """The executor of an environment. All of it is called on the loop, and none from within a command."""

    def ready(self, environment: RemoteEnvironment, init_s: float | None, need_kb: int) -> None:
        """It can serve. `need_kb`: what the next environment of the function is expected to take."""

    def initialised(self, environment: RemoteEnvironment) -> None:
        """It has done its init inside its first invocation."""

    def waits(self, environment: RemoteEnvironment) -> None:
        """Its init has not begun, or does so now."""

    def give_up(self, environment: RemoteEnvironment) -> None:
        """Its node needs the room."""

    def failed(self, environment: RemoteEnvironment, failure: InitFailure, init_s: float) -> None:
        """Its init has failed, and it is gone."""

    def open_stream(
        self, invocation: Invocation, content_type: str, grant: Callable[[int], object]
    ) -> GrantedStream:
        """An invocation's response is streamed; `grant` lets the node send more."""

    def ended(self, environment: RemoteEnvironment, invocation: Invocation, result: Result) -> None:
        """An invocation has ended."""

    def died(self, environment: RemoteEnvironment) -> None:
        """It has ended while it was idle."""

    def unable(self, environment: RemoteEnvironment, node: Node, why: str) -> None:
        """The node cannot start it, for want of its code or its Python."""

    def node_lost(self, environment: RemoteEnvironment) -> None:
        """Its node is gone."""

    def node_leaves(self, environment: RemoteEnvironment) -> None:
        """Its node is about to go."""

    def held(self, node: Node, *, holds: bool) -> None:
        """The node has no room for further environments, or has some again."""

    def named(self, environment: RemoteEnvironment, log_stream: str) -> None:
        """What its handler is told to be its log stream."""

    def noticed(self, event: EngineEvent) -> None:
        """An engine event that happened on a node."""

    def output(self, invocation: Invocation | None, text: str) -> None:
        """What a handler wrote; None: outside of any invocation."""


class RemoteEnvironment:
    """One environment that is, or is to be, on a node.

    Attributes:
        owner: Its executor.
        env_id: The driver's number for it.
        node: Where it is; None while there is no node for it.
        function: What it runs, once it has a node.
        channel: Its number on the node's connection.
        running: What runs in it, by number.
        streams: The responses that are streamed, by number.
        is_ready: Whether the driver was told that it can serve.
        is_provisioned: Whether provisioned concurrency asked for it.
        is_second: Whether it has what was sent to another one that had ended meanwhile.
        claim_kb: What is kept free for it on its node while it initialises.
    """

    __slots__ = (
        "channel",
        "claim_kb",
        "env_id",
        "function",
        "is_provisioned",
        "is_ready",
        "is_second",
        "node",
        "owner",
        "running",
        "streams",
        "turn",
    )

    def __init__(self, owner: EnvironmentOwner, env_id: int, *, provisioned: bool) -> None:
        self.owner = owner
        self.env_id = env_id
        self.node: Node | None = None
        self.function: ShippedFunction | None = None
        self.channel = 0
        self.running: dict[int, Invocation] = {}
        self.streams: dict[int, GrantedStream] = {}
        self.turn = 0
        self.is_ready = False
        self.is_provisioned = provisioned
        self.is_second = False
        self.claim_kb = 0


class NodeEvents(Protocol):
    """The cluster, as far as its nodes know it."""

    def lost(self, node: Node, loss: NodeLoss, why: str) -> None:
        """Its agent is gone. Called once."""

    def leaves(self, node: Node) -> None:
        """Its agent is to end: nothing more may be placed there."""

    def has_room(self, node: Node) -> None:
        """It has told what it has left."""

    def needs_code(self, node: Node, digest: bytes) -> None:
        """Code that it was told of does not lie there."""

    def say(self, text: str) -> None:
        """Log a line for whoever runs the engine."""


class Node:
    """One agent that is connected. It ends with its connection, and so do its numbers."""

    def __init__(
        self,
        events: NodeEvents,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        transport: asyncio.Transport,
        details: wire.AgentDetails,
        name: str,
        tunnel_target: tuple[str, int] | None,
    ) -> None:
        """Take over the connection.

        Args:
            events: The cluster.
            loop: Where everything here is called.
            clock: The engine's.
            transport: The connection.
            details: What the agent said of itself.
            name: What it is called here, unique among the nodes that are there.
            tunnel_target: Where streams from it go on to, or None.
        """
        self.name = name
        self.agent = details.agent
        self.described = NodeDescription(
            name=name,
            address=_address(transport),
            cores=details.cores,
            memory_mb=details.memory_mb,
            python=details.python,
            version=details.version,
            own_tmp=details.own_tmp,
        )
        self.environments: dict[int, RemoteEnvironment] = {}
        self.busy = 0
        """Environments there that run something, their init included."""
        self.is_leaving = False
        self.codes: frozenset[str] = frozenset()
        self.connection = AgentConnection(loop, clock, transport, self, must_run=False)
        self._streams = TunnelStreams(loop, self.connection, tunnel_target)
        self._events = events
        self._now = clock.now
        self._functions: dict[ShippedFunction, int] = {}
        self._owners: dict[int, EnvironmentOwner] = {}  # by the channel of the function
        self._channels = 0
        limit_kb = details.memory_mb * 1024
        self._load = wire.NodeLoad(limit_kb, limit_kb, 0.0, 0, 0.0)
        self._claimed_kb = 0
        self._settling_kb = 0  # of those that are ready since the last load
        self._heard_s = self._now()
        self._beats = 0
        self._beat_s: dict[int, float] = {}
        self._round_trip_s: float | None = None
        self._loss = NodeLoss.DISCONNECTED
        self._takes: dict[int, Callable[[int, bytes], object]] = {
            wire.BEAT: self._beat,
            wire.ENDED: self._ended,
            wire.READY: self._ready,
            wire.OUTPUT: self._output,
            wire.RESPONSE: self._response,
            wire.PIECE: self._piece,
            wire.INITIALISED: self._initialised,
            wire.WAITS: self._waits,
            wire.GIVE_UP: self._give_up,
            wire.FAILED: self._failed,
            wire.DIED: self._died,
            wire.UNABLE: self._unable,
            wire.HOLD: self._hold,
            wire.RESUME: self._resume,
            wire.LOG_STREAM: self._log_stream,
            wire.NOTICE: self._notice,
            wire.SAY: self._say,
            wire.HAVE: self._have,
            wire.NEED: self._need,
            wire.LEAVING: self._leaving,
            wire.BYE: self._bye,
        }

    # ---------------------------------------------------------------- what there is

    def room(self) -> NodeRoom:
        """What is left of it."""
        limit_kb = self._load.limit_kb or _UNKNOWN_KB
        kept_kb = reserve_kb(limit_kb)
        available_kb = self._load.available_kb if self._load.limit_kb else _UNKNOWN_KB
        free_kb = available_kb - kept_kb - self._claimed_kb - self._settling_kb
        return NodeRoom(
            self.name,
            max(1, limit_kb - kept_kb) / 1024,
            self.described.cores,
            free_kb / 1024,
            self.described.cores - self.busy,
            self.codes,
        )

    @property
    def limit_kb(self) -> int:
        """The tightest limit on its memory; 0 where the kernel does not say."""
        return self._load.limit_kb

    def reading(self) -> NodeReading:
        """What whoever watches the engine is shown."""
        return NodeReading(
            self.described,
            self._now() - self._heard_s,
            self._round_trip_s,
            self._load.at_work,
            self._load.available_kb // 1024,
        )

    # ---------------------------------------------------------------- commands

    def start(self, environment: RemoteEnvironment, function: ShippedFunction, claim_kb: int) -> None:
        """Start it there, the function made known before."""
        self._add(environment, function)
        environment.claim_kb = claim_kb
        self._claimed_kb += claim_kb
        self.busy += 1
        body = wire.STARTED.pack(self._functions[function], environment.is_provisioned)
        self.connection.send(wire.START, environment.channel, body)

    def repeat(self, environment: RemoteEnvironment, function: ShippedFunction) -> None:
        """Start it in the place of one whose init has just failed there: see `Executor.repeat`."""
        self._add(environment, function)
        body = wire.STARTED.pack(self._functions[function], environment.is_provisioned)
        self.connection.send(wire.REPEAT, environment.channel, body)

    def _add(self, environment: RemoteEnvironment, function: ShippedFunction) -> None:
        if function not in self._functions:
            self._functions[function] = channel = self._next_channel()
            self._owners[channel] = environment.owner
            self.connection.send(wire.FUNCTION, channel, function.message())
        environment.node = self
        environment.channel = channel = self._next_channel()
        self.environments[channel] = environment

    def _next_channel(self) -> int:
        self._channels += 1
        return self._channels

    def run(self, environment: RemoteEnvironment, invocation: Invocation) -> None:
        """Send the invocation, with the time that is left for it."""
        running = environment.running
        if not running:
            self.busy += 1
        environment.turn = number = (environment.turn + 1) & _NUMBERS
        running[number] = invocation
        event = invocation.event
        payload = event.payload
        head = pack_request(
            number,
            invocation.deadline_s - self._now(),
            event.request_id,
            event.qualifier,
            event.trace_id,
            event.client_context,
            len(payload),
        )
        self.connection.send(wire.RUN, environment.channel, head, payload)

    def stop(self, environment: RemoteEnvironment) -> None:
        """End it; nothing more is told of it."""
        self.forget(environment)
        self.connection.send(wire.STOP, environment.channel)

    def forget(self, environment: RemoteEnvironment) -> None:
        """Drop what is known of it: it is gone there."""
        if self.environments.pop(environment.channel, None) is None:
            return
        if environment.running or not environment.is_ready:
            self.busy -= 1
        self._claimed_kb -= environment.claim_kb
        environment.claim_kb = 0

    def close_function(self, function: ShippedFunction) -> None:
        """End all that it has there."""
        channel = self._functions.pop(function, None)
        if channel is not None:
            self._owners.pop(channel, None)
            self.connection.send(wire.CLOSE, channel)

    def say_goodbye(self) -> None:
        """Have the agent end all environments, and then the connection."""
        self._loss = NodeLoss.LEFT
        self.connection.send(wire.BYE, 0)

    def lose(self, loss: NodeLoss, why: str) -> None:
        """Give it up."""
        self._loss = loss
        self.connection.lose(why)

    # ---------------------------------------------------------------- FrameHandler

    def take(self, operation: int, channel: int, body: bytes) -> None:
        """See `FrameHandler`."""
        handler = self._takes.get(operation)
        if handler is not None:
            handler(channel, body)
        elif wire.STREAM_DATA <= operation <= wire.STREAM_WINDOW or operation == wire.STREAM_OPEN:
            self._streams.take(operation, channel, body)
        else:
            self.unreadable(f"operation {operation} is none of an agent's")

    def unreadable(self, why: str) -> None:
        """See `FrameHandler`."""
        self.lose(NodeLoss.PROTOCOL, f"what it sent is not what agents send: {wire.printable(why)}")

    def beat(self) -> bytes:
        """See `FrameHandler`."""
        self._beats = number = (self._beats + 1) & _NUMBERS
        self._beat_s[number] = self._now()
        self._beat_s.pop(number - 8, None)
        return wire.NUMBER.pack(number)

    def silent(self, for_s: float) -> None:
        """Give it up when it has been silent for too long."""
        if for_s >= SILENT_S:
            self.lose(NodeLoss.SILENT, f"nothing was heard of it for {wire.SILENCE_S:g} s")

    def lost(self, reason: str) -> None:
        """See `FrameHandler`."""
        self._streams.close()
        self._events.lost(self, self._loss, wire.printable(reason))

    # ---------------------------------------------------------------- what the agent tells

    def _beat(self, _channel: int, body: bytes) -> None:
        self._heard_s = now_s = self._now()
        self._load = load = wire.NodeLoad.unpack(body)
        self._settling_kb = 0
        sent_s = self._beat_s.pop(load.echo, None)
        if sent_s is not None:
            self._round_trip_s = max(0.0, now_s - sent_s - load.echoed_s)
        self._events.has_room(self)

    def _ended(self, channel: int, body: bytes) -> None:
        environment = self.environments.get(channel)
        if environment is None:
            return  # stopped meanwhile
        number, status, raw, memory_mb, type_size = wire.RESULT.unpack_from(body)
        invocation = environment.running.pop(number, None)
        if invocation is None:
            return
        if environment.streams:
            environment.streams.pop(number, None)
        if not environment.running:
            self.busy -= 1
        at = wire.RESULT.size + type_size
        error_type = body[wire.RESULT.size : at].decode() if type_size else None
        fields = _STATUSES[status], body[at:], bool(raw), memory_mb - 1 if memory_mb else None, error_type
        environment.owner.ended(environment, invocation, _new_tuple(Result, fields))

    def _ready(self, channel: int, body: bytes) -> None:
        environment = self.environments.get(channel)
        if environment is None:
            return
        init_s, need_kb = wire.INIT.unpack(body)
        self._settling_kb += environment.claim_kb
        self._claimed_kb -= environment.claim_kb
        environment.claim_kb = 0
        if not environment.is_ready:
            environment.is_ready = True
            self.busy -= 1
        environment.owner.ready(environment, None if math.isnan(init_s) else init_s, need_kb)

    def _response(self, channel: int, body: bytes) -> None:
        environment = self.environments.get(channel)
        [number] = wire.NUMBER.unpack_from(body)
        invocation = None if environment is None else environment.running.get(number)
        if environment is None or invocation is None:
            return
        environment.streams[number] = environment.owner.open_stream(
            invocation, body[wire.NUMBER.size :].decode(), lambda _size: self._taken(channel, number)
        )

    def _piece(self, channel: int, body: bytes) -> None:
        environment = self.environments.get(channel)
        [number] = wire.NUMBER.unpack_from(body)
        stream = None if environment is None else environment.streams.get(number)
        if stream is not None:
            stream.piece(body[wire.NUMBER.size :])

    def _taken(self, channel: int, number: int) -> None:
        """Let the handler go on: what was sent so far has been passed on."""
        if channel in self.environments:
            self.connection.send(wire.TAKEN, channel, wire.NUMBER.pack(number))

    def _output(self, channel: int, body: bytes) -> None:
        [number] = wire.NUMBER.unpack_from(body)
        text = body[wire.NUMBER.size :].decode("utf-8", "surrogatepass")
        environment = self.environments.get(channel)
        invocation = None if environment is None else environment.running.get(number)
        owner = self._any_owner() if environment is None else environment.owner
        if owner is not None:
            owner.output(invocation, text)

    def _any_owner(self) -> EnvironmentOwner | None:
        return next(iter(self._owners.values()), None)

    def _initialised(self, channel: int, _body: bytes) -> None:
        if (environment := self.environments.get(channel)) is not None:
            environment.owner.initialised(environment)

    def _waits(self, channel: int, _body: bytes) -> None:
        if (environment := self.environments.get(channel)) is not None:
            environment.owner.waits(environment)

    def _give_up(self, channel: int, _body: bytes) -> None:
        if (environment := self.environments.get(channel)) is not None:
            environment.owner.give_up(environment)

    def _failed(self, channel: int, body: bytes) -> None:
        if (environment := self.environments.get(channel)) is not None:
            [init_s] = wire.SECONDS.unpack_from(body)
            self.forget(environment)
            environment.owner.failed(environment, read_failure(body[wire.SECONDS.size :]), init_s)

    def _died(self, channel: int, _body: bytes) -> None:
        if (environment := self.environments.get(channel)) is not None:
            self.forget(environment)
            environment.owner.died(environment)

    def _unable(self, channel: int, body: bytes) -> None:
        environment = self.environments.get(channel)
        if environment is not None and not environment.is_ready:
            self.forget(environment)
            environment.owner.unable(environment, self, wire.printable(body.decode("utf-8", "replace")))

    def _hold(self, channel: int, _body: bytes) -> None:
        if (owner := self._owners.get(channel)) is not None:
            owner.held(self, holds=True)

    def _resume(self, channel: int, _body: bytes) -> None:
        if (owner := self._owners.get(channel)) is not None:
            owner.held(self, holds=False)

    def _log_stream(self, channel: int, body: bytes) -> None:
        if (environment := self.environments.get(channel)) is not None:
            environment.owner.named(environment, body.decode())

    def _notice(self, channel: int, body: bytes) -> None:
        owner = self._owners.get(channel)
        if owner is not None and (event := read_event(body, self.name)) is not None:
            owner.noticed(event)

    def _say(self, _channel: int, body: bytes) -> None:
        self._events.say(f"{self.name}: {body.decode('utf-8', 'replace')}")

    def _have(self, _channel: int, body: bytes) -> None:
        size = wire.DIGEST_BYTES
        self.codes = frozenset(body[at : at + size].hex() for at in range(0, len(body), size))

    def _need(self, _channel: int, body: bytes) -> None:
        self._events.needs_code(self, body)

    def _leaving(self, _channel: int, _body: bytes) -> None:
        self.is_leaving = True
        self._events.leaves(self)

    def _bye(self, _channel: int, _body: bytes) -> None:
        self._loss = NodeLoss.LEFT
        self.connection.close()


def _address(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername") or ("", 0)
    return joined(peer[0], peer[1])
