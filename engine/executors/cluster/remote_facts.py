"""What the process executor of one function on a node tells: sent to the engine as frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, cast

from engine.core.engine_events import EngineEvent
from engine.core.error_bodies import InitFailure, response_too_large_body
from engine.core.event import Event
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.core.payload_limits import MAX_RESPONSE_BYTES
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.connection import AgentConnection
from engine.executors.cluster.messages import write_event, write_failure
from engine.executors.process.admission import Need
from engine.executors.process.protocol import unpack_request

_CODES: Final = {status: number for number, status in enumerate(Status)}
_NOT_A_NUMBER: Final = math.nan
_BACKLOG_BYTES: Final = 32 << 20
"""What may wait to be sent before output is dropped."""

_CHARACTERS: Final = wire.PIECE_BYTES // 4 - wire.NUMBER.size
"""Of output, in one frame: a character has four bytes at most."""


class RelayedInvocation:
    """An invocation that the engine has sent; what it is about is read only if somebody asks.

    Stands for an `Invocation`, and cannot derive from it: that one is compiled in a compiled wheel.

    Attributes:
        channel: The environment that it is for.
        number: The engine's for it.
        request: The request frame.
    """

    __slots__ = ("channel", "number", "request")

    def __init__(self, channel: int, number: int, request: bytes) -> None:  # the rest is the engine's
        self.channel = channel
        self.number = number
        self.request = request

    @property
    def event(self) -> Event:
        """Its payload and its ids; the function is not named."""
        frame = unpack_request(self.request)
        event = Event("", frame.payload, frame.request_id, 0.0)
        event.qualifier, event.trace_id, event.client_context = frame[3:6]
        return event


class RemoteFacts:
    """The `Facts` of one function on a node. An environment's number is that of its channel."""

    def __init__(
        self,
        connection: AgentConnection,
        channel: int,
        gone: Callable[[int], object],
        starting: dict[int, float],
    ) -> None:
        """Tell of the function of that channel.

        `gone` is called with the number of an environment that is gone; `starting` has those that initialise.
        """
        self._connection = connection
        self._starting = starting
        self._dropped = 0  # characters of output
        self._send = connection.send
        self._channel = channel
        self._gone = gone
        self.provisioned: set[int] = set()
        """Environments that are not given up: provisioned concurrency keeps them."""
        self._resumes: dict[tuple[int, int], Callable[[], None]] = {}
        self.need = Need("", 0)
        """What an environment takes, as the executor measures it."""

    def placed(self, env_id: int, node: str) -> None:
        """Not told here: the engine knows."""

    def ready(self, env_id: int, init_s: float | None) -> None:
        """See `Facts`."""
        if init_s is not None:
            self._starting.pop(env_id, None)
        need_kb = self.need.kb(0) if self.need.init_kb else 0
        self._send(wire.READY, env_id, wire.INIT.pack(_NOT_A_NUMBER if init_s is None else init_s, need_kb))

    def initialised(self, env_id: int) -> None:
        """See `Facts`."""
        self._starting.pop(env_id, None)
        self._send(wire.INITIALISED, env_id)

    def waits(self, env_id: int) -> None:
        """See `Facts`."""
        self._send(wire.WAITS, env_id)

    def hold(self) -> None:
        """See `Facts`."""
        self._send(wire.HOLD, self._channel)

    def resume(self) -> None:
        """See `Facts`."""
        self._send(wire.RESUME, self._channel)

    def give_up(self, env_id: int) -> bool:
        """Ask the engine to end it; see `Facts`."""
        if env_id in self.provisioned:
            return False
        self._send(wire.GIVE_UP, env_id)
        return True

    def failed(self, env_id: int, failure: InitFailure, init_s: float) -> None:
        """See `Facts`."""
        self._send(wire.FAILED, env_id, wire.SECONDS.pack(init_s), write_failure(failure))
        self._gone(env_id)

    def succeeded(self, invocation: Invocation, body: bytes, raw: bool = False, /) -> None:  # noqa: FBT001, FBT002
        """See `Facts`."""
        self.ended(invocation, Result(Status.SUCCESS, body, raw))

    def began(self, invocation: Invocation, content_type: str, resume: Callable[[], None], /) -> None:
        """See `Facts`."""
        relayed = cast("RelayedInvocation", invocation)
        self._resumes[relayed.channel, relayed.number] = resume
        self._send(wire.RESPONSE, relayed.channel, wire.NUMBER.pack(relayed.number), content_type.encode())

    def piece(self, invocation: Invocation, data: bytes, /) -> bool:
        """See `Facts`. The engine tells when there is room for more: see `taken`."""
        relayed = cast("RelayedInvocation", invocation)
        self._send(wire.PIECE, relayed.channel, wire.NUMBER.pack(relayed.number), data)
        return False

    def taken(self, channel: int, number: int) -> None:
        """What was sent of a streamed response has been passed on."""
        resume = self._resumes.get((channel, number))
        if resume is not None:
            resume()

    def forget(self, channel: int) -> None:
        """Drop what is known of an environment that is gone."""
        for known in [known for known in self._resumes if known[0] == channel]:
            del self._resumes[known]

    def ended(self, invocation: Invocation, result: Result) -> None:
        """See `Facts`. A result that nobody would be given is not sent."""
        relayed = cast("RelayedInvocation", invocation)
        if self._resumes:
            self._resumes.pop((relayed.channel, relayed.number), None)
        status, body, raw, memory_mb, error_type = result
        if len(body) > MAX_RESPONSE_BYTES:
            status, body, raw = Status.ERROR, response_too_large_body(), False
        name = b"" if error_type is None else error_type.encode()[:255]
        memory = 0 if memory_mb is None else memory_mb + 1
        head = wire.RESULT.pack(relayed.number, _CODES[status], raw, memory, len(name))
        self._send(wire.ENDED, relayed.channel, head + name, body)
        if result.ends_environment:
            self._gone(relayed.channel)

    def died(self, env_id: int) -> None:
        """See `Facts`."""
        self._send(wire.DIED, env_id)
        self._gone(env_id)

    # ---------------------------------------------------------------- what a `Workshop` takes

    def output(self, invocation: Invocation | None, text: str) -> None:
        """Send what a handler wrote, before whatever is told afterwards.

        It is dropped while too much waits to be sent: the engine, or the way to it, is too slow.
        """
        if self._connection.backlog > _BACKLOG_BYTES:
            self._dropped += len(text)
            return
        if self._dropped:
            text = f"[{self._dropped} characters of output were dropped on the way to the engine]\n{text}"
            self._dropped = 0
        channel, number = 0, 0
        relayed: object = invocation
        if isinstance(relayed, RelayedInvocation):
            channel, number = relayed.channel, relayed.number
        head = wire.NUMBER.pack(number)
        for at in range(0, len(text), _CHARACTERS):
            part = text[at : at + _CHARACTERS].encode("utf-8", "surrogatepass")
            self._send(wire.OUTPUT, channel, head + part)

    def name_log_stream(self, _function: str, _version: str, env_id: int, name: str) -> None:
        """Send what an environment tells its handler to be its log stream."""
        self._send(wire.LOG_STREAM, env_id, name.encode())

    def notify(self, event: EngineEvent) -> None:
        """Send an engine event."""
        body = write_event(event)
        if body is not None:
            self._send(wire.NOTICE, self._channel, body)

    def log(self, invocation: Invocation, text: str) -> None:
        """Send what the runtime itself writes to an invocation's log."""
        self.output(invocation, text)
