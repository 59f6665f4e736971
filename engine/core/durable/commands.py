"""What an execution asks of its driver."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from engine.core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Invoke:
    """Run the function now: tell `InvocationStarted`, take `invocation_input`, submit it, and tell its end.

    If `Execution.wants_invocation` has become false meanwhile (stopped, paused), drop it.
    """


class StartChainedInvoke(NamedTuple):
    """Invoke `function` for the operation and tell `ChainedInvokeEnded`.

    Attributes:
        operation_id: The CHAINED_INVOKE operation, to be named when it ends.
        function: Name or ARN with optional qualifier, as the handler wrote it.
        payload: JSON text of the event, or None if the handler gave none.
        tenant_id: Tenant to pass on, or None.
        trace: Trace header to pass on: the operation's own, else that of the execution, or None.
        execution_arn: ARN chosen for the child execution; None if the target is not durable.
    """

    operation_id: str
    function: str
    payload: str | None
    tenant_id: str | None
    trace: str | None
    execution_arn: str | None


@dataclass(frozen=True, slots=True)
class Finish:
    """The execution is terminal: answer whoever waits for it, tell its parent, keep it for its retention."""


Command: TypeAlias = Invoke | StartChainedInvoke | Finish
