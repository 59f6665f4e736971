"""The seam between durable executions and those who ask for them: the Lambda API, and executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from engine.core.durable.execution import CheckpointAnswer, Execution, StatePage
from engine.core.durable.values import ErrorObject
from engine.core.function import DurableConfig
from engine.core.outcome import Status


class RemoteHandler(Protocol):
    """The handler of a durable function that another program runs."""

    def invoke(self, event: bytes, ended: Callable[[Status, bytes], None], /) -> None:
        """Run it when its turn comes; `ended` is called once, later, with how it ended and its payload."""


class RemoteStart(NamedTuple):
    """What an execution of another program's function is started with.

    Attributes:
        function, version: What they are called in its ARN.
        name: Of the execution, or None.
        config: For this execution.
        input: JSON text of the event.
    """

    function: str
    version: str
    name: str | None
    config: DurableConfig
    input: str


class DurableService(Protocol):
    """The durable executions of one engine. `runtime/durable` implements it, for the API and for executors.

    Requests that AWS refuses raise a `DurableRefusal`; nothing has changed then.
    """

    def find(self, arn: str) -> Execution | None:
        """The execution of that ARN; None if there is none, or its retention is over."""

    def of_function(self, function: str) -> Iterable[Execution]:
        """All executions of a function, oldest first."""

    def start_remote(self, start: RemoteStart, handler: RemoteHandler) -> str:
        """Start an execution that `handler` runs, in memory only; returns its ARN.

        Where there is one of its name, that is found instead, and `handler` runs it from now on.

        Raises:
            ExecutionAlreadyStarted: Another payload was given to the execution of that name.
            NotAccepting: The engine stops.
        """

    def checkpoint(
        self, arn: str, token: str, updates: Iterable[Mapping[str, Any]], client_token: str | None
    ) -> CheckpointAnswer:
        """CheckpointDurableExecution; `updates` as the API has them. Raises CheckpointRefused."""

    def state(self, arn: str, token: str, marker: str | None, max_items: int) -> StatePage:
        """GetDurableExecutionState. Raises CheckpointRefused."""

    def stop(self, execution: Execution, error: ErrorObject) -> float:
        """StopDurableExecution; returns when it ended, seconds since the Unix epoch."""

    def pause(
        self, execution: Execution, reason: str | None, client_token: str | None, *, pause_timeout: bool
    ) -> None:
        """PauseDurableExecution. Raises StatusConflict."""

    def resume(self, execution: Execution, reason: str | None, client_token: str | None) -> None:
        """ResumeDurableExecution. Raises StatusConflict."""

    def delete(self, execution: Execution) -> float:
        """DeleteDurableExecution; returns when that was asked for. Raises StatusConflict."""

    def callback_succeeded(self, callback_id: str, result: str | None) -> None:
        """SendDurableExecutionCallbackSuccess. Raises CallbackUnknown, CallbackClosed."""

    def callback_failed(self, callback_id: str, error: ErrorObject) -> None:
        """SendDurableExecutionCallbackFailure. Raises CallbackUnknown, CallbackClosed."""

    def callback_heartbeat(self, callback_id: str) -> None:
        """SendDurableExecutionCallbackHeartbeat. Raises CallbackUnknown, CallbackClosed."""

    def when_kept(self, done: Callable[[OSError | None], None], /) -> None:
        """Call `done` once all that has happened is kept, with None, or with why it cannot be."""
