"""Fakes that keep the promises of `engine.ports`: they pass the same contract tests as the real ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

import anyio
import orjson
from anyio.abc import TaskStatus
from pydantic import BaseModel, ConfigDict

from engine.core.engine_events import EngineEvent
from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Invocation, Result
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.core.response_stream import DEFAULT_TYPE
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Binding, EventSource, Facts, Host, Sink, Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a scripted environment does with one invocation: take `takes_s`, then report `result`.

    Attributes:
        takes_s: Seconds before the result, or before the first piece.
        result: What it ends with.
        pieces: What it streams before, one piece after the other; None: it does not stream. A handler that
            is held back writes its next piece when it may.
        piece_s: Seconds between two pieces, and after the last one.
        content_type: Of what it streams.
    """

    takes_s: float = 0.0
    result: Result = field(default_factory=lambda: Result(Status.SUCCESS, b"null"))
    pieces: Sequence[bytes] | None = None
    piece_s: float = 0.0
    content_type: str = DEFAULT_TYPE


@dataclass(slots=True, kw_only=True)
class ScriptedExecutor:
    """An executor whose environments do as they are told, on the loop's time.

    Attributes:
        act: What to do with an invocation; default: succeed at once with null.
        init: Seconds the init of the nth environment (from 1) takes, or its failure.
        commands: Every command it was given, in order, as text.
    """

    facts: Facts
    loop: asyncio.AbstractEventLoop
    act: Callable[[Invocation], Act] = lambda _: Act()
    init: Callable[[int], float | InitFailure] = lambda _: 0.0
    commands: list[str] = field(default_factory=list)
    _alive: dict[int, dict[Invocation | None, asyncio.TimerHandle]] = field(default_factory=dict)

    def start(self, env_id: int, /) -> None:
        """Initialise, or fail to."""
        self.commands.append(f"start {env_id}")
        init = self.init(env_id)
        if isinstance(init, InitFailure):
            self._alive[env_id] = {None: self.loop.call_later(0, self._fail, env_id, init)}
        else:
            self._alive[env_id] = {None: self.loop.call_later(init, self._ready, env_id, init)}

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Perform the act for `invocation`."""
        self.commands.append(f"run {env_id} {invocation.event.request_id}")
        act = self.act(invocation)
        if act.pieces is not None:
            timer = self.loop.call_later(act.takes_s, self._begin, env_id, invocation, act)
        else:
            timer = self.loop.call_later(act.takes_s, self._end, env_id, invocation, act.result)
        self._alive[env_id][invocation] = timer

    def stop(self, env_id: int, /) -> None:
        """End the environment, whatever it does."""
        self.commands.append(f"stop {env_id}")
        self._let_go(env_id)

    def renew(self) -> None:
        """Do nothing: scripted environments have no code."""
        self.commands.append("renew")

    def _ready(self, env_id: int, init_s: float) -> None:
        del self._alive[env_id][None]
        self.facts.ready(env_id, init_s)

    def _fail(self, env_id: int, failure: InitFailure) -> None:
        del self._alive[env_id]
        self.facts.failed(env_id, failure, 0.0)

    def _begin(self, env_id: int, invocation: Invocation, act: Act) -> None:
        pieces = iter(act.pieces or ())
        write = partial(self._write, env_id, invocation, act, pieces)
        self.facts.began(invocation, act.content_type, write)
        write()

    def _write(self, env_id: int, invocation: Invocation, act: Act, pieces: Iterator[bytes]) -> None:
        """Write the next piece; after the last one end."""
        running = self._alive[env_id]
        piece = next(pieces, None)
        if piece is None:
            result = act.result._replace(body=b"") if act.result.status is Status.SUCCESS else act.result
            self._end(env_id, invocation, result)
        elif self.facts.piece(invocation, piece):
            write = partial(self._write, env_id, invocation, act, pieces)
            running[invocation] = self.loop.call_later(act.piece_s, write)

    def _end(self, env_id: int, invocation: Invocation, result: Result) -> None:
        del self._alive[env_id][invocation]
        if result.ends_environment:
            self._let_go(env_id)
        self.facts.ended(invocation, result)

    def _let_go(self, env_id: int) -> None:
        for timer in self._alive.pop(env_id, {}).values():
            timer.cancel()


@dataclass(slots=True)
class RecordingObserver:
    """Remembers what it saw, as text and values."""

    outcomes: list[Outcome] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notices: list[EngineEvent] = field(default_factory=list)
    begun: int = 0

    def began(self, _invocation: Invocation, /) -> None:
        """Count the beginning."""
        self.begun += 1

    def ended(self, _invocation: Invocation, outcome: Outcome, _error_type: str | None, /) -> None:
        """Keep the outcome."""
        self.outcomes.append(outcome)

    def refused(self, _event: Event, _outcome: Outcome, reason: str, /) -> None:
        """Keep the reason."""
        self.refusals.append(reason)

    def noticed(self, notice: EngineEvent, /) -> None:
        """Keep the engine event."""
        self.notices.append(notice)


class ScriptedEvent(BaseModel):
    """Settings of a `ScriptedSource`: seconds after the start at which to deliver, and what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_s: tuple[float, ...] = ()
    payload: Any = None


@dataclass(slots=True, kw_only=True)
class ScriptedSource:
    """A source that delivers at given times, and keeps the outcomes."""

    Settings: ClassVar[type[BaseModel]] = ScriptedEvent

    bindings: Sequence[Binding]
    host: Host
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Return one source that plays all scripts."""
        return cls(bindings=bindings, host=host)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Play every script until done or stopping, and wait for what was delivered."""
        began_s = self.host.clock.now()
        async with anyio.create_task_group() as accepted:
            task_status.started(None)
            for at_s, function, payload in self._script():
                if stopping.is_set():
                    return
                with contextlib.suppress(TimeoutError):
                    with anyio.fail_after(max(0.0, began_s + at_s - self.host.clock.now())):
                        await stopping.wait()
                    return
                accepted.start_soon(self._deliver, sink, function, payload)

    def _script(self) -> list[tuple[float, Function, bytes]]:
        script = [
            (at_s, binding.function, orjson.dumps(binding.settings.payload))
            for binding in self.bindings
            if isinstance(binding.settings, ScriptedEvent)
            for at_s in binding.settings.at_s
        ]
        return sorted(script, key=lambda entry: entry[0])

    async def _deliver(self, sink: Sink, function: Function, payload: bytes) -> None:
        event = Event(function.name, payload, self.host.new_request_id(), self.host.clock.now(), "other")
        with contextlib.suppress(FunctionNotFound, NotAccepting):
            self.outcomes.append(await sink.invoke(event))


def scripted_executor(
    act: Callable[[Invocation], Act] = lambda _: Act(),
    init: Callable[[int], float | InitFailure] = lambda _: 0.0,
) -> Callable[[Function, Facts, Workshop], ScriptedExecutor]:
    """A factory to give an `Engine`: all functions behave as the script says."""
    return lambda _function, facts, workshop: ScriptedExecutor(
        facts=facts, loop=workshop.loop, act=act, init=init
    )
