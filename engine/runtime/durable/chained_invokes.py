"""What a handler invokes by `context.invoke`: finding it, and how it ended.

Source: AWS's testing package for durable functions, where its comments say what the service does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine.core.durable.checkpoint_rules import OperationUpdate
from engine.core.durable.facts import ChainedInvokeEnded, ChainedTarget
from engine.core.durable.function_target import FunctionTarget, parse_function_target
from engine.core.durable.values import (
    MAX_OPERATION_PAYLOAD,
    ErrorObject,
    OperationAction,
    OperationStatus,
    OperationType,
)
from engine.core.outcome import Outcome, Status
from engine.runtime.driver import Driver
from engine.runtime.durable.outcomes import error_of

_TOO_LARGE: Final = (
    f"CHAINED_INVOKE output payload size must be less than or equal to {MAX_OPERATION_PAYLOAD} bytes."
)
_CHAINED: Final = OperationType.CHAINED_INVOKE
_START: Final = OperationAction.START
_NOT_TEXT: Final = "CHAINED_INVOKE response could not be decoded as UTF-8."


def not_found(function: str) -> ErrorObject:
    """What is told of a function that is not there, or has no such version or alias."""
    return {"ErrorType": "ResourceNotFoundException", "ErrorMessage": f"Function not found: {function}"}


def target_not_found(target: FunctionTarget) -> ErrorObject:
    """The same of what is invoked: by its name alone, whatever named it, and with a full stop."""
    return not_found(f"{target.name}.")


def unqualified(text: str) -> ChainedTarget:
    """A durable function is invoked by a version or an alias. The text is ours: AWS's is not on record."""
    message = f"{text} is a durable function: name a version, an alias or $LATEST."
    error: ErrorObject = {"ErrorType": "InvalidParameterValueException", "ErrorMessage": message}
    return ChainedTarget(error=error)


class ChainedTargets:
    """Finds what chained invokes name."""

    def __init__(
        self,
        resolve: Callable[[str, str | None], Driver | None],
        new_arn: Callable[[str, str, str | None], str],
    ) -> None:
        """`resolve`: the driver of a qualifier of a function; `new_arn`: of function, version and name."""
        self._resolve, self._new_arn = resolve, new_arn

    def resolved(self, updates: Sequence[OperationUpdate]) -> Mapping[str, ChainedTarget]:
        """What the targets of chained invokes lead to that the updates start."""
        resolved = {}
        for update in updates:
            if update.type is _CHAINED and update.action is _START:
                text = (update.options or {}).get("FunctionName")
                if isinstance(text, str) and (target := self._target(text)) is not None:
                    resolved[update.id] = target
        return resolved

    def _target(self, text: str) -> ChainedTarget | None:
        target = parse_function_target(text)
        if target is None:
            return None
        driver = self._resolve(target.name, target.qualifier)
        if driver is None:
            return ChainedTarget(error=target_not_found(target))
        function = driver.function
        if function.durable is None:
            return ChainedTarget(function.version)
        if target.qualifier is None:
            return unqualified(text)
        return ChainedTarget(function.version, self._new_arn(function.name, function.version, None))


def plain_ended(now_s: float, operation_id: str, outcome: Outcome) -> ChainedInvokeEnded:
    """The end of an operation whose target is no durable function."""
    error: ErrorObject
    if outcome.status is Status.SUCCESS:
        if len(outcome.body) > MAX_OPERATION_PAYLOAD:
            error = {"ErrorMessage": _TOO_LARGE}
        else:
            try:
                result = outcome.body.decode()
            except UnicodeDecodeError:
                error = {"ErrorMessage": _NOT_TEXT}
            else:
                return ChainedInvokeEnded(now_s, operation_id, OperationStatus.SUCCEEDED, result)
    elif outcome.status is Status.THROTTLED:
        error = {"ErrorType": "TooManyRequestsException", "ErrorMessage": "Rate Exceeded."}
    else:
        error = error_of(outcome.body)
    return ChainedInvokeEnded(now_s, operation_id, OperationStatus.FAILED, None, error)
