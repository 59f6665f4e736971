"""AWS's SDK for durable functions in the engine's own interpreter: its checkpoints go straight to the loop.

The SDK takes a client of its service in the place of the event (`DurableExecutionInvocationInputWithClient`).
Nothing here imports it: a handler that was made by its decorator has it at hand.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import sys
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple, Protocol

from engine.core.durable.plain_updates import is_plain_update
from engine.core.durable.refusals import DurableRefusal
from engine.core.durable.service import DurableService
from engine.executors.handler_loader import Loaded
from engine.protocols.aws import rest_json
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import service_model
from engine.protocols.aws.validation import validation_error, violations

_INPUT: Final = "DurableExecutionInvocationInputWithClient"
_MODEL: Final = "aws_durable_execution_sdk_python.lambda_service"
_CHECKPOINT: Final = "CheckpointDurableExecution"
_TIMES_TO_COME: Final = (
    ("StepDetails", "NextAttemptTimestamp"),
    ("WaitDetails", "ScheduledEndTimestamp"),
)
_ANSWER_LIMIT_S: Final = 50.0
"""How long the SDK waits for an answer of its service."""


class SdkCalls(Protocol):
    """Where the client's questions are answered."""

    service: DurableService

    def ask(self, question: Question) -> Any:
        """What the question's function returns. Raises what it raises, and TimeoutError. Blocks."""


class DurableCalls:
    """Runs what threads ask of durable executions on the engine's loop. One for each function."""

    def __init__(self, service: DurableService, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self._loop = loop
        self._own_context = contextvars.Context()
        self._asked: deque[Question] = deque()
        self._woken = False

    def connected(self, loaded: Loaded) -> Loaded:
        """`loaded`, its checkpoints on this way if the SDK made its handler, and no client was given."""
        sdk = sdk_of(loaded.callable)
        if sdk is None:
            return loaded
        return loaded._replace(callable=partial(run_invocation, loaded.callable, sdk, SdkClient(self, sdk)))

    def ask(self, question: Question) -> Any:
        """What the question's function returns. Blocks.

        Raises what it raises, RuntimeError if the loop is closed, and TimeoutError.
        """
        question.answered.acquire()
        self._asked.append(question)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._answer_all, context=self._own_context)
            except RuntimeError:  # the loop is closed: nobody else is to wait for it
                self._woken = False
                raise
        if not question.answered.acquire(timeout=_ANSWER_LIMIT_S):
            raise TimeoutError("the engine has not answered")
        if question.error is not None:
            raise question.error
        return question.answer

    def _answer_all(self) -> None:
        self._woken = False  # first, so that questions which come from here on wake the loop again
        while self._asked:
            question = self._asked.popleft()
            try:
                question.answer = question.function()
            except Exception as error:  # noqa: BLE001  # it is raised where it was asked
                question.error = error
            self.service.when_kept(question.kept)


class Question:
    """One call of a thread. `answered` is released when there is an answer."""

    __slots__ = ("answer", "answered", "error", "function")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.answered = Lock()
        self.answer: Any = None
        self.error: Exception | None = None

    def kept(self, error: OSError | None) -> None:
        """The answer may be told, or why there is none."""
        self.error = self.error or error
        self.answered.release()


class Sdk(NamedTuple):
    """What is used of the SDK: the names in its modules of decorators and of its client."""

    execution: Mapping[str, Any]
    model: Mapping[str, Any]


class SdkClient:
    """What the SDK calls its service client. `shift_s`: see `shifted`."""

    def __init__(self, calls: SdkCalls, sdk: Sdk, shift_s: int = 0) -> None:
        self._calls = calls
        self._model = sdk.model
        self._shift_s = shift_s

    def checkpoint(
        self, durable_execution_arn: str, checkpoint_token: str, updates: list[Any], client_token: str | None
    ) -> Any:
        """CheckpointDurableExecution. Raises the SDK's CheckpointError."""
        documents = [update.to_dict() for update in updates]
        service = self._calls.service
        if not all(map(is_plain_update, documents)):
            documents = self._checked(documents)
        asked = partial(service.checkpoint, durable_execution_arn, checkpoint_token, documents, client_token)
        try:
            answer = self._calls.ask(Question(asked))
        except Exception as error:  # noqa: BLE001  # the SDK has a kind of its own for all of them
            raise self._model["CheckpointError"].from_exception(_as_clients(error)) from None
        operations = [self._operation(document) for document in answer.operations]
        state = self._model["CheckpointUpdatedExecutionState"](operations=operations, next_marker=None)
        return self._model["CheckpointOutput"](checkpoint_token=answer.token, new_execution_state=state)

    def get_execution_state(
        self, durable_execution_arn: str, checkpoint_token: str, next_marker: str, max_items: int = 1000
    ) -> Any:
        """GetDurableExecutionState. Raises the SDK's GetExecutionStateError."""
        service = self._calls.service
        asked = partial(service.state, durable_execution_arn, checkpoint_token, next_marker, max_items)
        try:
            page = self._calls.ask(Question(asked))
        except Exception as error:  # noqa: BLE001  # as above
            raise self._model["GetExecutionStateError"].from_exception(_as_clients(error)) from None
        operations = [self._operation(document) for document in page.operations]
        return self._model["StateOutput"](operations=operations, next_marker=page.next_marker)

    def _checked(self, documents: list[Any]) -> list[Any]:
        """The updates as the model reads them. Raises the SDK's CheckpointError if they break it."""
        try:
            lambda_model = service_model("lambda")
            text = json.dumps({"Updates": documents}).encode()  # as AWS's client does
            members = rest_json.members(lambda_model, _CHECKPOINT, text)
            shape = lambda_model.shapes["OperationUpdates"]
            found = violations(lambda_model, shape, members["Updates"], "updates")
            if found:
                raise validation_error(*found)
        except ServiceError as error:
            raise self._model["CheckpointError"].from_exception(_as_clients(error)) from None
        checked: list[Any] = members["Updates"]
        return checked

    def _operation(self, document: Mapping[str, Any]) -> Any:
        return self._model["Operation"].from_dict(_with_times(shifted(document, self._shift_s)))


class _ClientError(Exception):  # no error of the engine: what the SDK reads of an exception of AWS's client
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"An error occurred ({code}): {message}")
        self.response = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


def _as_clients(error: Exception) -> Exception:
    """The error as AWS's client has it, by which the SDK decides whether to end the execution."""
    if isinstance(error, DurableRefusal):
        return _ClientError(400, "InvalidParameterValueException", error.message)
    if isinstance(error, ServiceError):
        return _ClientError(error.status, error.code, error.message)
    return error


def is_invocation(event: Any) -> bool:
    """Whether it is what the handler of an execution is invoked with."""
    return isinstance(event, dict) and "CheckpointToken" in event


def run_invocation(handler: Callable[..., Any], sdk: Sdk, client: SdkClient, event: Any, context: Any) -> Any:
    """Call the handler, with the client if the event is an invocation of an execution."""
    if is_invocation(event):
        plain = sdk.execution["DurableExecutionInvocationInput"].from_json_dict(event)
        event = sdk.execution[_INPUT].from_durable_execution_invocation_input(plain, client)
    return handler(event, context)


def sdk_of(handler: Any) -> Sdk | None:
    """The SDK, if the handler is what its decorator makes, and was not given a client of AWS."""
    names = getattr(handler, "__globals__", {})
    model = sys.modules.get(_MODEL)
    if _INPUT not in names or model is None:
        return None
    given = dict(zip(handler.__code__.co_freevars, handler.__closure__ or (), strict=False))
    client = given.get("boto3_client")
    if client is None or client.cell_contents is not None:
        return None
    return Sdk(names, vars(model))


def _with_times(document: Mapping[str, Any]) -> dict[str, Any]:
    """An operation of the API whose times are what AWS's client makes of them."""
    found = {**document}
    for name in ("StartTimestamp", "EndTimestamp"):
        if name in found:
            found[name] = datetime.fromtimestamp(found[name], UTC)
    for details, name in _TIMES_TO_COME:
        if name in found.get(details, ()):
            found[details] = {**found[details], name: datetime.fromtimestamp(found[details][name], UTC)}
    return found


def shifted(document: Mapping[str, Any], by: int) -> Mapping[str, Any]:
    """An operation whose times to come are `by` later, in the unit that they have."""
    for details, name in _TIMES_TO_COME:
        if by and name in document.get(details, ()):
            document = {**document, details: {**document[details], name: document[details][name] + by}}
    return document
