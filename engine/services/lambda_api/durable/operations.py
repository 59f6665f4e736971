"""The operations on durable executions.

Source: Lambda API reference, the operations of these names; AWS's testing package for durable functions.
"""

from __future__ import annotations

from typing import Any, Final

from engine.core.durable.execution import Execution
from engine.core.durable.refusals import (
    CallbackClosed,
    CallbackUnknown,
    CheckpointRefused,
    DurableRefusal,
    StatusConflict,
)
from engine.core.durable.service import DurableService
from engine.core.durable.values import error_object
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Document, operation
from engine.services.lambda_api.durable.documents import execution_document, listed_document, timestamp
from engine.services.lambda_api.durable.listing import page_of
from engine.services.lambda_api.errors import invalid_parameter, not_found
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.routes import Call

_ERRORS: Final = {
    CheckpointRefused: (400, "InvalidParameterValueException"),
    CallbackUnknown: (404, "ResourceNotFoundException"),
    CallbackClosed: (400, "CallbackTimeoutException"),
    StatusConflict: (409, "ResourceConflictException"),
}


def aws_error(refusal: DurableRefusal) -> ServiceError:
    """What an execution refuses, as the API's error."""
    return ServiceError(*_ERRORS[type(refusal)], refusal.message)


class DurableOperations:
    """What is done with durable executions over the API. None of it blocks or waits.

    Each may raise a `DurableRefusal`, for `aws_error`, besides ServiceError.
    """

    def __init__(self, registry: FunctionRegistry, durable: DurableService) -> None:
        self._registry = registry
        self._durable = durable

    # ---------------------------------------------------------------- for the handler

    @operation("CheckpointDurableExecution", writes=True)
    def checkpoint(self, call: Call) -> Document:
        """CheckpointDurableExecution."""
        members = call.members
        answer = self._durable.checkpoint(
            call.name, members["CheckpointToken"], members.get("Updates", ()), members.get("ClientToken")
        )
        document: Document = {"NewExecutionState": {"Operations": answer.operations}}
        return document if answer.token is None else {"CheckpointToken": answer.token, **document}

    @operation("GetDurableExecutionState")
    def state(self, call: Call) -> Document:
        """GetDurableExecutionState."""
        parameters = call.parameters
        page = self._durable.state(
            call.name,
            parameters["CheckpointToken"],
            parameters.get("Marker"),
            parameters.get("MaxItems", 0),
        )
        return _page({"Operations": page.operations}, page.next_marker)

    # ---------------------------------------------------------------- questions

    @operation("GetDurableExecution")
    def get(self, call: Call) -> Document:
        """GetDurableExecution."""
        include = call.parameters.get("IncludeExecutionData", True)
        return execution_document(self._execution(call), include_data=include)

    @operation("GetDurableExecutionHistory")
    def history(self, call: Call) -> Document:
        """GetDurableExecutionHistory: oldest first unless `ReverseOrder`."""
        parameters = call.parameters
        page = self._execution(call).history_page(
            parameters.get("Marker"),
            parameters.get("MaxItems", 0),
            include_data=parameters.get("IncludeExecutionData", True),
            reverse=parameters.get("ReverseOrder", False),
        )
        return _page({"Events": page.events}, page.next_marker)

    @operation("ListDurableExecutionsByFunction")
    def list_by_function(self, call: Call) -> Document:
        """ListDurableExecutionsByFunction: newest first unless `ReverseOrder`."""
        found = self._registry.lookup(call)
        versions = None
        if (qualifier := self._registry.address(call).qualifier) is not None:
            alias = found.record.aliases.get(qualifier)
            versions = frozenset((qualifier,) if alias is None else (alias.version, *alias.weights))
        page = page_of(self._durable.of_function(found.record.name), call.parameters, versions)
        return _page(
            {"DurableExecutions": [listed_document(one) for one in page.executions]}, page.next_marker
        )

    # ---------------------------------------------------------------- from outside

    @operation("StopDurableExecution", writes=True)
    def stop(self, call: Call) -> Document:
        """StopDurableExecution: one that has ended is told when it did."""
        error = error_object(call.members.get("Error", {}))
        return {"StopTimestamp": timestamp(self._durable.stop(self._execution(call), error))}

    @operation("PauseDurableExecution", writes=True)
    def pause(self, call: Call) -> Document:
        """PauseDurableExecution."""
        members = call.members
        self._durable.pause(
            self._execution(call),
            members.get("Reason"),
            members.get("ClientToken"),
            pause_timeout=members.get("ExecutionTimeoutPaused", True),
        )
        return {}

    @operation("ResumeDurableExecution", writes=True)
    def resume(self, call: Call) -> Document:
        """ResumeDurableExecution."""
        members = call.members
        self._durable.resume(self._execution(call), members.get("Reason"), members.get("ClientToken"))
        return {}

    @operation("DeleteDurableExecution", writes=True)
    def delete(self, call: Call) -> Document:
        """DeleteDurableExecution."""
        return {"DeletionRequestTimestamp": timestamp(self._durable.delete(self._execution(call)))}

    @operation("SendDurableExecutionCallbackSuccess", writes=True)
    def callback_success(self, call: Call) -> Document:
        """SendDurableExecutionCallbackSuccess: the body is the result, as text."""
        result: bytes | None = call.members.get("Result")
        try:
            text = None if result is None else result.decode()
        except UnicodeDecodeError:
            raise invalid_parameter("Result must be text in UTF-8.") from None
        self._durable.callback_succeeded(call.name, text)
        return {}

    @operation("SendDurableExecutionCallbackFailure", writes=True)
    def callback_failure(self, call: Call) -> Document:
        """SendDurableExecutionCallbackFailure: the body is the error itself."""
        self._durable.callback_failed(call.name, error_object(call.members.get("Error", {})))
        return {}

    @operation("SendDurableExecutionCallbackHeartbeat", writes=True)
    def callback_heartbeat(self, call: Call) -> Document:
        """SendDurableExecutionCallbackHeartbeat."""
        self._durable.callback_heartbeat(call.name)
        return {}

    def _execution(self, call: Call) -> Execution:
        execution = self._durable.find(call.name)
        if execution is None:
            raise not_found("Durable Execution does not exist")
        return execution


def _page(document: dict[str, Any], next_marker: str | None) -> Document:
    return document if next_marker is None else {**document, "NextMarker": next_marker}
