"""The operations of an execution, one class for each type, small in memory.

Only `Operations` changes them. Texts that repeat in every execution (ids, names, subtypes) are interned.
"""

from __future__ import annotations

from math import inf
from sys import intern
from typing import Any, ClassVar, Final

from engine.core.durable.callback_ids import make_callback_id
from engine.core.durable.checkpoint_rules import OperationUpdate
from engine.core.durable.values import ErrorObject, OperationStatus, OperationType, TimeUnit, utf8_length

NEVER: Final = inf
"""A `due_s` that does not come."""

_STARTED: Final = OperationStatus.STARTED
_MILLISECONDS: Final = TimeUnit.MILLISECONDS
_TEXTS: Final = {status: status.value for status in OperationStatus}
"""Plain strings: a document holds nothing but built-in types."""


def timestamp(at_s: float, unit: TimeUnit) -> float:
    """Whole milliseconds for the handler; for the API seconds with three decimals."""
    milliseconds = int(at_s * 1000 + 0.5)
    return milliseconds if unit is _MILLISECONDS else milliseconds / 1000


class DurableOperation:
    """What is known of one operation.

    Attributes:
        id, name, sub_type, parent_id: As the handler gave them; None where it gave none.
        position: Place in the order of starts, from 0.
        status: OperationStatus.
        started_s, ended_s: Seconds since the Unix epoch; `ended_s` is None until it is terminal.
        result, error: What it ended with; of a step also what its last attempt left.
        due_s: When time alone changes it next (end of a wait, next attempt, time-out); NEVER if it does not.
    """

    __slots__ = (
        "due_s",
        "ended_s",
        "error",
        "id",
        "name",
        "parent_id",
        "position",
        "result",
        "started_s",
        "status",
        "sub_type",
    )

    type: ClassVar[OperationType]
    type_text: ClassVar[str]
    details_member: ClassVar[str]
    open_status: ClassVar[OperationStatus | None] = None

    def __init__(self, update: OperationUpdate, position: int, now_s: float) -> None:
        self.id = intern(update.id)
        self.name = update.name and intern(update.name)
        self.sub_type = update.sub_type and intern(update.sub_type)
        self.parent_id = update.parent_id and intern(update.parent_id)
        self.position = position
        self.status = _STARTED
        self.started_s = now_s
        self.ended_s: float | None = None
        self.result: str | None = None
        self.error: ErrorObject | None = None
        self.due_s = NEVER

    @property
    def is_open(self) -> bool:
        """Whether something outside the handler will end it, so that the handler may suspend for it."""
        return self.status is self.open_status

    @property
    def payload_bytes(self) -> int:
        """UTF-8 bytes of what a page of state carries for it."""
        return utf8_length(self.result) + error_length(self.error)

    def document(self, unit: TimeUnit) -> dict[str, Any]:
        """The API's Operation: only members that have a value; times in `unit`."""
        document: dict[str, Any] = {"Id": self.id, "Type": self.type_text, "Status": _TEXTS[self.status]}
        if self.parent_id is not None:
            document["ParentId"] = self.parent_id
        if self.name is not None:
            document["Name"] = self.name
        document["StartTimestamp"] = timestamp(self.started_s, unit)
        if self.ended_s is not None:
            document["EndTimestamp"] = timestamp(self.ended_s, unit)
        if self.sub_type is not None:
            document["SubType"] = self.sub_type
        document[self.details_member] = self._details(unit)
        return document

    def _details(self, unit: TimeUnit) -> dict[str, Any]:
        """The members of the details of its type that have a value."""
        details: dict[str, Any] = {}
        if self.result is not None:
            details["Result"] = self.result
        if self.error is not None:
            details["Error"] = self.error
        return details


class ContextOperation(DurableOperation):
    """A child context. `replay_children`: its body runs again on replay and needs its operations."""

    __slots__ = ("replay_children",)
    type = OperationType.CONTEXT
    type_text = "CONTEXT"
    details_member = "ContextDetails"

    def __init__(self, update: OperationUpdate, position: int, now_s: float) -> None:
        super().__init__(update, position, now_s)
        self.replay_children = False

    def _details(self, unit: TimeUnit) -> dict[str, Any]:
        details = super()._details(unit)
        if self.replay_children:
            details["ReplayChildren"] = True
        return details


class StepOperation(DurableOperation):
    """A step, or a condition that is polled. `attempt`: attempts that have ended."""

    __slots__ = ("attempt",)
    type = OperationType.STEP
    type_text = "STEP"
    details_member = "StepDetails"
    open_status = OperationStatus.PENDING

    def __init__(self, update: OperationUpdate, position: int, now_s: float) -> None:
        super().__init__(update, position, now_s)
        self.attempt = 0

    def _details(self, unit: TimeUnit) -> dict[str, Any]:
        details: dict[str, Any] = {"Attempt": self.attempt}
        if self.due_s != NEVER:
            details["NextAttemptTimestamp"] = timestamp(self.due_s, unit)
        return details | super()._details(unit)


class WaitOperation(DurableOperation):
    """A wait of `duration_s` seconds."""

    __slots__ = ("duration_s",)
    type = OperationType.WAIT
    type_text = "WAIT"
    details_member = "WaitDetails"
    open_status = _STARTED

    def __init__(self, update: OperationUpdate, position: int, now_s: float) -> None:
        super().__init__(update, position, now_s)
        self.duration_s: int = update.option("WaitSeconds", 0)
        self.due_s = self.scheduled_end_s

    @property
    def scheduled_end_s(self) -> float:
        """When it ends, or would have ended."""
        return self.started_s + self.duration_s

    def _details(self, unit: TimeUnit) -> dict[str, Any]:
        return {"ScheduledEndTimestamp": timestamp(self.scheduled_end_s, unit)}


class CallbackOperation(DurableOperation):
    """A callback that somebody outside is to end.

    Attributes:
        timeout_s: Seconds from its start; 0 for none.
        heartbeat_timeout_s: Seconds from its start or its last heartbeat; 0 for none.
    """

    __slots__ = ("_execution_id", "heartbeat_timeout_s", "timeout_s")
    type = OperationType.CALLBACK
    type_text = "CALLBACK"
    details_member = "CallbackDetails"
    open_status = _STARTED

    def __init__(self, update: OperationUpdate, position: int, now_s: float, execution_id: str) -> None:
        super().__init__(update, position, now_s)
        self._execution_id = execution_id
        self.timeout_s: int = update.option("TimeoutSeconds", 0)
        self.heartbeat_timeout_s: int = update.option("HeartbeatTimeoutSeconds", 0)
        self.heard(now_s)

    @property
    def callback_id(self) -> str:
        """What it is known by outside. Made when it is asked for: it would be the largest of its texts."""
        return make_callback_id(self._execution_id, self.position)

    def heard(self, now_s: float) -> None:
        """Begin the heartbeat timeout anew."""
        times_out_s = self.started_s + self.timeout_s if self.timeout_s else NEVER
        silent_s = now_s + self.heartbeat_timeout_s if self.heartbeat_timeout_s else NEVER
        self.due_s = min(times_out_s, silent_s)

    def time_out_error(self) -> ErrorObject:
        """What it ends with at `due_s`: which of the two timeouts that is."""
        if self.timeout_s and self.due_s >= self.started_s + self.timeout_s:
            return {"ErrorMessage": "Callback timed out", "ErrorType": "Callback.Timeout"}
        return {"ErrorMessage": "Callback timed out on heartbeat", "ErrorType": "Callback.Heartbeat"}

    def _details(self, unit: TimeUnit) -> dict[str, Any]:
        return {"CallbackId": self.callback_id, **super()._details(unit)}


class ChainedInvokeOperation(DurableOperation):
    """Another function, invoked.

    Attributes:
        function: Name or ARN as the handler wrote it.
        input: JSON text of its event; None if there is none, or if there is no such function.
        tenant_id, trace: As the handler gave them.
        executed_version, execution_arn: What it led to: see `ChainedTarget`.
    """

    __slots__ = ("executed_version", "execution_arn", "function", "input", "tenant_id", "trace")
    type = OperationType.CHAINED_INVOKE
    type_text = "CHAINED_INVOKE"
    details_member = "ChainedInvokeDetails"
    open_status = _STARTED

    def __init__(self, update: OperationUpdate, position: int, now_s: float) -> None:
        super().__init__(update, position, now_s)
        self.function: str = update.option("FunctionName", "")
        self.tenant_id: str | None = update.option("TenantId", None)
        self.trace: str | None = update.option("XAmznTraceId", None)
        self.input: str | None = None
        self.executed_version: str | None = None
        self.execution_arn: str | None = None


def error_length(error: ErrorObject | None) -> int:
    """UTF-8 bytes of its texts; 0 of None."""
    if error is None:
        return 0
    texts = (error.get("ErrorMessage"), error.get("ErrorType"), error.get("ErrorData"))
    return sum(map(utf8_length, texts)) + sum(map(utf8_length, error.get("StackTrace", ())))
