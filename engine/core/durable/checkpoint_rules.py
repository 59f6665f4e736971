"""Updates of operations as the SDK sends them, and what the service refuses about them.

The order of the rules and their texts are those of AWS's testing package 1.4.0, the limit of an error's size
is the model's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from engine.core.durable.function_target import parse_function_target
from engine.core.durable.refusals import CheckpointRefused
from engine.core.durable.values import (
    MAX_ERROR_BYTES,
    MAX_OPERATION_PAYLOAD,
    MAX_UPDATES,
    ErrorObject,
    OperationAction,
    OperationStatus,
    OperationType,
    error_object,
    utf8_length,
)

TOO_MANY_UPDATES: Final = f"Cannot checkpoint more than {MAX_UPDATES} updates."
"""Ours: AWS names no limit, but an execution could not take more than these."""

INVALID_TOKEN: Final = "Invalid checkpoint token"  # noqa: S105 - a text of AWS's
CHILD_OUTPUT_TOO_LARGE: Final = (
    f"Execution output payload size must be less than or equal to {MAX_OPERATION_PAYLOAD} bytes."
)
CHAINED_INPUT_TOO_LARGE: Final = (
    f"CHAINED_INVOKE input payload size must be less than or equal to {MAX_OPERATION_PAYLOAD} bytes."
)
CHAINED_OUTPUT_TOO_LARGE: Final = (
    f"CHAINED_INVOKE output payload size must be less than or equal to {MAX_OPERATION_PAYLOAD} bytes."
)
CHAINED_OUTPUT_NOT_UTF8: Final = "CHAINED_INVOKE response could not be decoded as UTF-8."

_TENANT_ID: Final = re.compile(r"[a-zA-Z0-9._:/=+\-@ ]{1,256}", re.ASCII)

_new_tuple: Final = tuple.__new__

_TYPES: Final[Mapping[str, OperationType]] = {member.value: member for member in OperationType}
_ACTIONS: Final[Mapping[str, OperationAction]] = {member.value: member for member in OperationAction}

_EXECUTION: Final = OperationType.EXECUTION
_CONTEXT: Final = OperationType.CONTEXT
_STEP: Final = OperationType.STEP
_WAIT: Final = OperationType.WAIT
_CALLBACK: Final = OperationType.CALLBACK
_CHAINED_INVOKE: Final = OperationType.CHAINED_INVOKE

_START: Final = OperationAction.START
_SUCCEED: Final = OperationAction.SUCCEED
_FAIL: Final = OperationAction.FAIL
_RETRY: Final = OperationAction.RETRY
_CANCEL: Final = OperationAction.CANCEL

_OPTIONS: Final[Mapping[str, str]] = {
    _CONTEXT: "ContextOptions",
    _STEP: "StepOptions",
    _WAIT: "WaitOptions",
    _CALLBACK: "CallbackOptions",
    _CHAINED_INVOKE: "ChainedInvokeOptions",
}
_SECONDS: Final = ("NextAttemptDelaySeconds", "WaitSeconds", "TimeoutSeconds", "HeartbeatTimeoutSeconds")

_NEW: Final = frozenset({None})
_OPEN: Final = frozenset({None, OperationStatus.STARTED})
_STEP_TO_START: Final = frozenset({None, OperationStatus.READY})
_OPEN_STEP: Final = frozenset({None, OperationStatus.STARTED, OperationStatus.READY})
_STARTED: Final = frozenset({OperationStatus.STARTED})


class _Transition(NamedTuple):
    """The statuses before the batch in which an action may be, None for no operation; else the text."""

    allowed: frozenset[OperationStatus | None]
    message: str


_CLOSE_CONTEXT: Final = _Transition(_OPEN, "Invalid current CONTEXT state to close.")
_CLOSE_STEP: Final = _Transition(_OPEN_STEP, "Invalid current STEP state to close.")
_TRANSITIONS: Final[Mapping[str, Mapping[str, _Transition | None]]] = {
    _EXECUTION: {_SUCCEED: None, _FAIL: None},
    _CONTEXT: {
        _START: _Transition(_NEW, "Cannot start a CONTEXT that already exist."),
        _SUCCEED: _CLOSE_CONTEXT,
        _FAIL: _CLOSE_CONTEXT,
    },
    _STEP: {
        _START: _Transition(_STEP_TO_START, "Invalid current STEP state to start."),
        _SUCCEED: _CLOSE_STEP,
        _FAIL: _CLOSE_STEP,
        _RETRY: _Transition(_OPEN_STEP, "Invalid current STEP state to re-attempt."),
    },
    _WAIT: {
        _START: _Transition(_NEW, "Cannot start a WAIT that already exist."),
        _CANCEL: _Transition(_STARTED, "Cannot cancel a WAIT that does not exist or has already completed."),
    },
    _CALLBACK: {_START: _Transition(_NEW, "Cannot start a CALLBACK that already exist.")},
    _CHAINED_INVOKE: {
        _START: _Transition(_NEW, "Cannot start a CHAINED_INVOKE operation that already exists."),
    },
}
"""By type, the actions it has; EXECUTION has no operation to compare with."""


class OperationUpdate(NamedTuple):
    """One OperationUpdate of a checkpoint.

    Attributes:
        type, action: Members of the enums; the plain text where it is not one of them.
        options: The one options member that belongs to `type`, as it was sent, or None.
    """

    id: str
    type: OperationType | str
    action: OperationAction | str
    parent_id: str | None = None
    name: str | None = None
    sub_type: str | None = None
    payload: str | None = None
    error: ErrorObject | None = None
    options: Mapping[str, Any] | None = None

    def option(self, member: str, default: Any) -> Any:
        """The member of its options, or `default` where there is none or it is null."""
        found = self.options.get(member) if self.options else None
        return default if found is None else found


def read_update(document: Mapping[str, Any]) -> OperationUpdate:
    """The update that a document of the API says."""
    get = document.get
    type_, action = document["Type"], document["Action"]
    options = _OPTIONS.get(type_)
    error = get("Error")
    return _new_tuple(
        OperationUpdate,
        (
            document["Id"],
            _TYPES.get(type_, type_),
            _ACTIONS.get(action, action),
            get("ParentId"),
            get("Name"),
            get("SubType"),
            get("Payload"),
            None if error is None else error_object(error),
            get(options) if options else None,
        ),
    )


def update_document(update: OperationUpdate) -> dict[str, Any]:
    """The document of the API that says the update; `read_update` of it is the update again."""
    document = {
        "Id": update.id,
        "Type": str(update.type),
        "Action": str(update.action),
        "ParentId": update.parent_id,
        "Name": update.name,
        "SubType": update.sub_type,
        "Payload": update.payload,
        "Error": update.error,
        _OPTIONS.get(update.type, "Options"): update.options,
    }
    return {member: value for member, value in document.items() if value is not None}


class NamedOperation(Protocol):
    """What the rules look at of an operation: one that exists, or the update that starts it."""

    @property
    def type(self) -> OperationType | str:
        """As of the update that made it; so are the others."""

    @property
    def name(self) -> str | None:
        """Its name."""

    @property
    def sub_type(self) -> str | None:
        """Its SubType."""

    @property
    def parent_id(self) -> str | None:
        """Id of the context it is in."""


class ExistingOperation(NamedOperation, Protocol):
    """The same with the status of one that exists."""

    status: OperationStatus


def check_updates(
    updates: Sequence[OperationUpdate],
    operations: Mapping[str, ExistingOperation],
    function_arn: str,
    *,
    is_child: bool,
) -> None:
    """Refuse the whole batch by the first rule that one of its updates breaks.

    Each update is compared with `operations` as they are before the batch. `function_arn` is that of the
    function itself; `is_child` says that another execution waits for its result.

    Raises:
        CheckpointRefused: With AWS's text.
    """
    first = _check_batch(updates, operations)
    for update in updates:
        current = operations.get(update.id)
        known: NamedOperation = first[update.id] if current is None else current
        if known is not update:
            _check_same(update, known)
        if update.error is not None or update.payload is not None:
            _check_sizes(update, is_child=is_child)
        _check_transition(update, current)
        if update.action is not _START or update.options is not None:
            _check_members(update)
        if update.type is _CHAINED_INVOKE:
            _check_target(update, function_arn)


def _check_batch(
    updates: Sequence[OperationUpdate], operations: Mapping[str, NamedOperation]
) -> Mapping[str, OperationUpdate]:
    """The rules of the batch as such. Returns the first update for each id."""
    if len(updates) > MAX_UPDATES:
        _refuse(TOO_MANY_UPDATES)
    kinds = [update.type for update in updates]
    if _EXECUTION in kinds:
        if kinds.count(_EXECUTION) > 1:
            _refuse("Cannot checkpoint multiple EXECUTION updates.")
        if kinds[-1] is not _EXECUTION:
            _refuse("EXECUTION checkpoint must be the last update.")
    first: dict[str, OperationUpdate] = {}
    last: dict[str, OperationUpdate] = {}
    contexts: dict[str, bool] = {}
    for update in updates:
        before = last.get(update.id)
        if before is not None and not _may_follow(update, before):
            _refuse("Cannot checkpoint multiple operations with the same ID.")
        parent_id = update.parent_id
        if parent_id is not None and not contexts.get(parent_id, False):
            parent = operations.get(parent_id)
            if parent_id in contexts or parent is None or parent.type is not _CONTEXT:
                _refuse("Invalid parent operation id.")
        if update.action is _START:
            contexts[update.id] = update.type is _CONTEXT
        first.setdefault(update.id, update)
        last[update.id] = update
    return first


def _may_follow(update: OperationUpdate, before: OperationUpdate) -> bool:
    """Whether both may stand in a batch for one id: a step or context may start and go on."""
    return (
        (before.type is _STEP or before.type is _CONTEXT)
        and before.action is _START
        and update.action is not _START
    )


def _check_same(update: OperationUpdate, known: NamedOperation) -> None:
    """What an operation once was it remains."""
    if update.type != known.type:
        _refuse("Inconsistent operation type.")
    if update.sub_type is not None and update.sub_type != known.sub_type:
        _refuse("Inconsistent operation subtype.")
    if update.name is not None and update.name != known.name:
        _refuse("Inconsistent operation name.")
    if update.parent_id is not None and update.parent_id != known.parent_id:
        _refuse("Inconsistent parent operation id.")


def _check_sizes(update: OperationUpdate, *, is_child: bool) -> None:
    if update.error is not None and len(json.dumps(update.error)) > MAX_ERROR_BYTES:
        _refuse(f"Error object size must be less than {MAX_ERROR_BYTES} bytes.")
    if update.payload is None:
        return
    if update.type is _CHAINED_INVOKE and utf8_length(update.payload) > MAX_OPERATION_PAYLOAD:
        _refuse(CHAINED_INPUT_TOO_LARGE)
    if is_child and update.type is _EXECUTION and utf8_length(update.payload) > MAX_OPERATION_PAYLOAD:
        _refuse(CHILD_OUTPUT_TOO_LARGE)


def _check_transition(update: OperationUpdate, current: ExistingOperation | None) -> None:
    actions = _TRANSITIONS.get(update.type)
    if actions is None:
        _refuse("Unknown operation type.")
    if update.action not in actions:
        _refuse("Invalid action for the given operation type.")
    transition = actions[update.action]
    before = None if current is None else current.status
    if transition is not None and before not in transition.allowed:
        _refuse(transition.message)


def _check_members(update: OperationUpdate) -> None:
    """Which members an action may and must have."""
    action = update.action
    if action is _FAIL and update.payload is not None:
        _refuse("Cannot provide a Payload for FAIL action.")
    if action is _SUCCEED and update.error is not None:
        _refuse("Cannot provide an Error for SUCCEED action.")
    if action is _RETRY:
        if update.options is None:
            _refuse("Invalid StepOptions for the given action.")
        if update.error is not None and update.payload is not None:
            _refuse("Cannot provide both error and payload to RETRY a STEP.")
    if update.options:
        for member in _SECONDS:
            seconds = update.options.get(member, 0)
            if type(seconds) is not int or seconds < 0:  # the text is ours: the model lets nobody get here
                _refuse(f"Invalid {_OPTIONS[update.type]} for the given action.")


def _check_target(update: OperationUpdate, function_arn: str) -> None:
    """What a chained invoke names: a function of the same account and region."""
    if update.options is None:
        _refuse("Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.")
    name = update.options.get("FunctionName")
    target = parse_function_target(name) if isinstance(name, str) else None
    if target is None:
        _refuse(f"Invalid function ARN '{name}'")
    _, _, _, own_region, own_account_id, *_ = function_arn.split(":")
    if target.account_id not in (None, own_account_id):
        _refuse("Cannot start a CHAINED_INVOKE on a function in another account.")
    if target.region not in (None, own_region):
        _refuse("Cannot start a CHAINED_INVOKE on a function in another region.")
    tenant_id = update.options.get("TenantId")
    if tenant_id is not None and not (isinstance(tenant_id, str) and _TENANT_ID.fullmatch(tenant_id)):
        _refuse("TenantId must be 1 to 256 characters matching [a-zA-Z0-9._:/=+-@ ].")


def _refuse(message: str) -> NoReturn:
    raise CheckpointRefused(message)
