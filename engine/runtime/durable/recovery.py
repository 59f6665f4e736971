"""Executions as an earlier engine left them, from the journal of their facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from engine.core.durable.execution import Execution
from engine.core.durable.facts import ExecutionStarted, InvocationEnded, fact_of
from engine.core.durable.values import ErrorObject, InvocationEnd
from engine.core.fast_json import loads
from engine.errors import EngineError
from engine.runtime.durable.journal import JournalRecord

_LOST: Final[ErrorObject] = {
    "ErrorMessage": "The engine stopped while the function ran.",
    "ErrorType": "Runtime.ExitError",
}


class Recovered(NamedTuple):
    """What a journal holds.

    Attributes:
        executions: In the order of their starts.
        problems: Why executions of it could not be had again, a sentence each.
    """

    executions: list[Execution]
    problems: list[str]


def recovered(records: Iterable[JournalRecord]) -> Recovered:
    """Handle the facts of each execution again, in order: equal executions. Blocks while it reads.

    One whose facts do not follow from each other is left out, and stays in the journal.
    """
    found: dict[str, Execution] = {}
    problems: dict[str, str] = {}
    for record in records:
        if record.execution in problems:
            continue
        try:
            fact = fact_of(loads(record.fact))
            if isinstance(fact, ExecutionStarted):
                found[record.execution] = Execution(fact)
            else:
                found[record.execution].handle(fact)
        except (EngineError, ValueError, KeyError, TypeError) as error:
            found.pop(record.execution, None)
            problems[record.execution] = f"{record.execution} is left out: {error!r}"
    return Recovered(list(found.values()), list(problems.values()))


def lost_invocation(execution: Execution, now_s: float) -> InvocationEnded | None:
    """The end of the invocation that ran when the engine went down; None if none did."""
    request_id = execution.running_request_id
    return None if request_id is None else InvocationEnded(now_s, request_id, InvocationEnd.LOST, None, _LOST)
