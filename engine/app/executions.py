"""Durable executions in a test: start them, answer their callbacks, see what happened.

    execution = engine_sync.execute("order", {"id": 1}, answers={"approve": {"approved": True}})
    assert {"shipped": 1} == execution.result

Everything here belongs to the thread of the engine's loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

from engine.app import Engine
from engine.app.callback_answers import Answers, CallbackScript, is_named, result_text
from engine.core.durable.execution import Execution
from engine.core.durable.operation import CallbackOperation
from engine.core.durable.values import ErrorObject, TimeUnit
from engine.core.durable_event import StartEvent
from engine.core.outcome import Outcome
from engine.errors import EngineError, FunctionNotFound
from engine.report.execution_timeline import read_timeline, text_timeline
from engine.runtime.durable.executions import DurableExecutions
from engine.runtime.durable.outcomes import NO_RATE, outcome_of
from engine.services.lambda_api.durable.documents import execution_document


class DurableExecution:
    """One execution. What it was and is can be read at any time, also once it has ended."""

    def __init__(self, execution: Execution, executions: Executions) -> None:
        self._execution = execution
        self._executions = executions
        self._service = executions.service

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self._execution.arn

    @property
    def name(self) -> str:
        """The name that it was given, else one that was made."""
        return self._execution.name

    @property
    def function(self) -> str:
        """The name of its function."""
        return self._execution.parts.function

    @property
    def status(self) -> str:
        """As the API has it: `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `STOPPED`, `PAUSED`, ..."""
        return self._execution.status.value

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._execution.is_terminal

    @property
    def result(self) -> Any:
        """What the handler returned; None unless it succeeded."""
        text = self._execution.result
        return None if text is None else json.loads(text)

    @property
    def error(self) -> ErrorObject | None:
        """Why it ended, with `ErrorType`, `ErrorMessage`, ...; None unless it ended badly."""
        return self._execution.error

    @property
    def outcome(self) -> Outcome:
        """What a caller gets who has waited for its end."""
        return outcome_of(self._execution, self._execution.execution_id, NO_RATE)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The events of GetDurableExecutionHistory, oldest first, with their data."""
        page = self._execution.history_page(max_items=1_000)
        events = page.events
        while page.next_marker is not None:
            page = self._execution.history_page(page.next_marker, 1_000)
            events += page.events
        return events

    @property
    def operations(self) -> list[dict[str, Any]]:
        """Steps, waits, callbacks, ... in the order they started, as GetDurableExecutionState has them."""
        return [one.document(TimeUnit.SECONDS) for one in self._execution.operations.values()]

    @property
    def timeline(self) -> str:
        """The history as text for people."""
        document = execution_document(self._execution, include_data=True)
        now_s = self._executions.engine.platform.clock.wall()
        return text_timeline(read_timeline(self.history, document, now_s))

    def __str__(self) -> str:
        return self.timeline

    # ---------------------------------------------------------------- waiting

    async def ended(self) -> Self:
        """Wait until it has ended. Virtual time passes, as much as it needs."""
        return await self.until(lambda one: one.is_over)

    async def reached(self, event_type: str, name: str | None = None) -> Self:
        """Wait for an event in its history: `CallbackStarted`, `StepFailed`, ..., of what has that name.

        Raises:
            EngineError: It has ended without.
        """

        def is_there(one: DurableExecution) -> bool:
            return any(
                event_type == event["EventType"] and (name is None or is_named(event.get("Name"), name))
                for event in one.history
            )

        await self.until(lambda one: is_there(one) or one.is_over)
        if not is_there(self):
            raise EngineError(f"the execution ended without {event_type} {name or ''}\n{self.timeline}")
        return self

    async def until(self, holds: Callable[[Self], bool]) -> Self:
        """Wait until `holds(self)`, which is asked each time that it has changed."""
        while not holds(self):
            await self._executions.change_of(self._execution)
        return self

    # ---------------------------------------------------------------- from outside

    def succeed(self, callback: str, value: Any = None) -> None:
        """Answer the open callback of that name; `value`: see `CallbackAnswer`. `EngineError` if none is."""
        self._service.callback_succeeded(self.callback_id(callback), result_text(value))

    def fail(self, callback: str, message: str, *, error_type: str = "Error") -> None:
        """Fail the open callback of that name. `EngineError` if none is."""
        error: ErrorObject = {"ErrorMessage": message, "ErrorType": error_type}
        self._service.callback_failed(self.callback_id(callback), error)

    def heartbeat(self, callback: str) -> None:
        """Send a heartbeat for the open callback of that name. `EngineError` if none is."""
        self._service.callback_heartbeat(self.callback_id(callback))

    def callback_id(self, callback: str) -> str:
        """The id of the open callback of that name. `EngineError` if none is."""
        waiting = _open_callbacks(self._execution)
        for operation in waiting:
            if is_named(operation.name, callback):
                return operation.callback_id
        names = ", ".join(str(one.name) for one in waiting) or "none"
        raise EngineError(f"no callback {callback!r} is open; open are: {names}")

    def stop(self, message: str = "stopped by the test") -> None:
        """End it at once."""
        self._service.stop(self._execution, {"ErrorMessage": message})

    def pause(self, reason: str | None = None, *, pause_timeout: bool = True) -> None:
        """Pause it; `pause_timeout`: its own timeout too. Raises DurableRefusal if it cannot be."""
        self._service.pause(self._execution, reason, None, pause_timeout=pause_timeout)

    def resume(self, reason: str | None = None) -> None:
        """Go on. Raises DurableRefusal if it is not paused."""
        self._service.resume(self._execution, reason, None)


class Executions:
    """The durable executions of an open engine.

    Args:
        engine: On virtual time, or on the real clock.
        answers: For callbacks of all its executions; see `Answers`.
    """

    def __init__(self, engine: Engine, answers: Answers | None = None) -> None:
        self.engine = engine
        self.service: DurableExecutions = engine.parts.durable
        self._known: dict[str, DurableExecution] = {}
        self._changes: dict[str, asyncio.Future[None]] = {}
        self._script = CallbackScript(engine, {} if answers is None else answers)
        self._scripts: dict[str, CallbackScript] = {}  # of single executions
        self.service.watch(self._changed)

    def start(
        self,
        function: str,
        payload: Any = None,
        *,
        name: str | None = None,
        answers: Answers | None = None,
    ) -> DurableExecution:
        """Start an execution, as an event does that nobody waits for, and return it at once.

        Args:
            function: A durable one; also `name:alias`.
            payload: Any JSON value.
            name: Of the execution: it is the existing one if that has the same name and payload.
            answers: For its callbacks, before those of all executions.

        Raises:
            EngineError: The function is none, or not durable; another payload has the name.
        """
        function, _, qualifier = function.partition(":")
        known = self.engine.deployments.function(function)
        if known is None:
            raise FunctionNotFound(function)
        if known.durable is None:
            raise EngineError(
                f"{function} is no durable function: Function({function!r}, ..., durable=DurableConfig(...))"
            )
        engine = self.engine
        body = json.dumps(payload, allow_nan=False, separators=(",", ":")).encode()
        event = StartEvent(
            function,
            body,
            engine.new_request_id(),
            engine.platform.clock.now(),
            "event",
            qualifier=qualifier or None,
        )
        event.execution_name, event.waits, event.started, event.arn = name, False, _nothing, ""
        engine.sink.submit(event, _no_reply)
        execution = self.service.find(event.arn)
        assert execution is not None  # it has just been found or started
        if answers is not None:
            self._scripts[execution.execution_id] = CallbackScript(engine, answers)
        return self._of(execution)

    async def run(
        self,
        function: str,
        payload: Any = None,
        *,
        name: str | None = None,
        answers: Answers | None = None,
    ) -> DurableExecution:
        """`start` it, and return it once it has ended, however long that takes."""
        return await self.start(function, payload, name=name, answers=answers).ended()

    def all(self, function: str | None = None) -> list[DurableExecution]:
        """Those that started, of one function or of all, oldest first."""
        durable = [one.name for one in self.engine.config.functions if one.durable is not None]
        functions = durable if function is None else [function]
        found = [self._of(one) for name in functions for one in self.service.of_function(name)]
        return sorted(found, key=lambda one: one._execution.started_s)

    @property
    def timelines(self) -> str:
        """Of all that started, as text."""
        return "\n".join(one.timeline for one in self.all())

    def change_of(self, execution: Execution) -> asyncio.Future[None]:
        """Done once the execution has changed."""
        change = self._changes.get(execution.execution_id)
        if change is None:
            change = self._changes[execution.execution_id] = self.engine.loop.create_future()
        return change

    def _of(self, execution: Execution) -> DurableExecution:
        return self._known.setdefault(execution.execution_id, DurableExecution(execution, self))

    def _changed(self, execution: Execution) -> None:
        change = self._changes.pop(execution.execution_id, None)
        if change is not None and not change.done():
            change.set_result(None)
        scripts = [one for one in (self._scripts.get(execution.execution_id), self._script) if one]
        if scripts:
            for callback in _open_callbacks(execution):
                any(script.answer(callback) for script in scripts)


def timelines(engine: Engine) -> str:
    """The durable executions of an engine as text, oldest first; empty if there are none."""
    if not any(one.durable for one in engine.config.functions):
        return ""
    return Executions(engine).timelines


def _open_callbacks(execution: Execution) -> list[CallbackOperation]:
    if execution.is_terminal:
        return []
    operations = execution.operations.values()
    return [one for one in operations if isinstance(one, CallbackOperation) and one.is_open]


def _nothing(_error: OSError | None) -> None:
    """Nobody waits for the start."""


def _no_reply(_outcome: object) -> None:
    """Nobody waits for the end."""
