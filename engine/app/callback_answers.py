"""Answers to callbacks of durable executions that are told beforehand, sent at their time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from engine.app import Engine
from engine.core.durable.operation import CallbackOperation
from engine.core.durable.refusals import DurableRefusal
from engine.core.durable.values import ErrorObject
from engine.core.late_dataclass import dataclass

_SDKS_SUFFIX: Final = " create callback id"
"""What the SDK adds to the name of a `wait_for_callback` for the callback in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAnswer:
    """What is sent for a callback: made by `success`, `failure` or `heartbeat`.

    Attributes:
        after_s: How long after the callback was created, or after the answer before this one.
        result: As text; None for none.
        error: Of a failure.
        is_heartbeat: The callback stays open for the next answer.
    """

    after_s: float = 0.0
    result: str | None = None
    error: ErrorObject | None = None
    is_heartbeat: bool = False

    @classmethod
    def success(cls, value: Any = None, *, after_s: float = 0.0) -> Self:
        """`value`: any JSON value, sent as JSON; bytes as they are; None: sent without a result."""
        return cls(after_s=after_s, result=result_text(value))

    @classmethod
    def failure(cls, message: str, *, error_type: str = "Error", after_s: float = 0.0) -> Self:
        """The error that the handler's SDK raises."""
        return cls(after_s=after_s, error={"ErrorMessage": message, "ErrorType": error_type})

    @classmethod
    def heartbeat(cls, *, after_s: float = 0.0) -> Self:
        """A sign of life."""
        return cls(after_s=after_s, is_heartbeat=True)


Answers = Mapping[str, Any]
"""By the names of callbacks: a `CallbackAnswer`, or a JSON value for a success with that, for each callback
of the name; a tuple of these is used up by one after the other, each taking one after its heartbeats."""


class CallbackScript:
    """Answers callbacks, each once."""

    def __init__(self, engine: Engine, answers: Answers) -> None:
        self._engine = engine
        self._answers = {
            name: list(given) if isinstance(given, tuple) else given for name, given in answers.items()
        }
        self._taken: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._answers)

    def answer(self, callback: CallbackOperation) -> bool:
        """Send what there is for it, in time; False if there is nothing."""
        if callback.callback_id in self._taken:
            return True
        for name in self._answers:
            if is_named(callback.name, name):
                answers = list(self._take(name))
                if answers:
                    self._taken.add(callback.callback_id)
                    self._send_next(callback.callback_id, answers)
                    return True
        return False

    def _take(self, name: str) -> Iterable[CallbackAnswer]:
        """What one callback gets: heartbeats, then one that closes it."""
        given = self._answers[name]
        if not isinstance(given, list):
            yield _as_answer(given)
            return
        while given:
            answer = _as_answer(given.pop(0))
            yield answer
            if not answer.is_heartbeat:
                return

    def _send_next(self, callback_id: str, answers: list[CallbackAnswer]) -> None:
        if answers:
            # Not at once: an invocation may be running, and answers from outside come between two of them.
            self._engine.loop.call_later(answers[0].after_s, self._send, callback_id, answers)

    def _send(self, callback_id: str, answers: list[CallbackAnswer]) -> None:
        answer, *rest = answers
        service = self._engine.parts.durable
        try:
            if answer.is_heartbeat:
                service.callback_heartbeat(callback_id)
            elif answer.error is not None:
                service.callback_failed(callback_id, answer.error)
            else:
                service.callback_succeeded(callback_id, answer.result)
        except DurableRefusal:
            return  # it timed out before, or its execution has ended
        self._send_next(callback_id, rest)


def _as_answer(given: Any) -> CallbackAnswer:
    return given if isinstance(given, CallbackAnswer) else CallbackAnswer.success(given)


def result_text(value: Any) -> str | None:
    """A value as the result of a callback: JSON text; bytes as they are; None for no result."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_named(operation: str | None, name: str) -> bool:
    """Whether a callback operation is the one of that name: the SDK adds a suffix in `wait_for_callback`."""
    return operation is not None and operation.removesuffix(_SDKS_SUFFIX) == name
