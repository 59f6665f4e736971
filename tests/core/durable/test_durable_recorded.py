"""Executions as AWS's SDK 3.0.0 and local runner 1.4.0 were recorded to play them, played again.

`recorded.txt` has a document per line: `E>` the event for the handler, `C>` a checkpoint and `C<` its
answer, `E<` the answer of the handler, `X>` a call from outside, `H=` the history. Where the runner is known
to differ from the service (details of InvocationCompleted, RetryDetails, timeouts of callbacks, executed
versions, ids of updated callbacks, nulls) the service's form is written. Of times the unit is compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engine.core.durable.checkpoint_rules import read_update
from engine.core.durable.commands import Finish, Invoke, StartChainedInvoke
from engine.core.durable.execution import Execution
from engine.core.durable.facts import (
    CallbackSucceeded,
    ChainedTarget,
    Checkpointed,
    ExecutionStarted,
    InvocationEnded,
    InvocationStarted,
    TimerDue,
)
from engine.core.durable.operation import CallbackOperation
from engine.core.durable.values import InvocationEnd
from engine.core.function import DurableConfig

RECORDED = (Path(__file__).parent / "recorded.txt").read_text(encoding="utf-8")
START_S = 1764547200.0


def sections() -> Iterator[Any]:
    """Each recording with its name."""
    for section in RECORDED.removeprefix("# ").split("\n# "):
        name, _, lines = section.partition("\n")
        yield pytest.param([(line[:2], json.loads(line[3:])) for line in lines.splitlines()], id=name)


class Recording:
    """Plays what the handler and the world did, and has what the service did."""

    def __init__(self, lines: list[tuple[str, Any]]) -> None:
        history = lines[-1][1]
        self.now_s = START_S
        self.executions: dict[str, Execution] = {}
        self.shown: dict[str, str] = {}
        self.tokens, self.requests = count(), Counter[str]()
        self.timeout_s = history[0]["ExecutionStartedDetails"]["ExecutionTimeout"]
        first = lines[0][1]["InitialExecutionState"]["Operations"][0]
        self.start("ARN1", first["Name"], first["ExecutionDetails"]["InputPayload"], None)
        self.current = self.executions["ARN1"]

    def start(self, symbol: str, name: str, payload: str, parent: tuple[str, str] | None) -> None:
        execution_id = symbol.replace("ARN", "EXEC")
        function = "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST"
        arn = f"{function}/durable-execution/{name}/{execution_id}"
        config = DurableConfig(self.timeout_s)
        started = ExecutionStarted(self.now_s, arn, config, payload, parent=parent)
        self.executions[symbol] = Execution(started)
        self.shown[arn] = symbol

    def tell(self, execution: Execution, fact: Any) -> None:
        """Handle a fact and do what is commanded; the clock goes on by a few milliseconds."""
        for command in execution.handle(fact):
            match command:
                case StartChainedInvoke(operation_id=operation_id, payload=payload):
                    self.start("ARN2", "GENERATED", payload, (execution.arn, operation_id))
                case Finish() if execution.parent:
                    self.tell(self.executions["ARN1"], execution.ending_for_parent(self.now_s))
                case Invoke():
                    assert execution.wants_invocation
        self.now_s += 0.004

    def wait(self, execution: Execution) -> None:
        """Let the time come for which an execution waits."""
        assert execution.next_due_s is not None
        self.now_s = execution.next_due_s
        self.tell(execution, TimerDue(self.now_s))

    def event(self, expected: Any) -> Any:
        """The event for the handler of the execution that `expected` is for."""
        self.current = self.executions[expected["DurableExecutionArn"]]
        if not self.current.wants_invocation:
            self.wait(self.current)
        self.requests[self.current.arn] += 1
        request_id = f"REQUEST{self.requests[self.current.arn]}"
        self.tell(self.current, InvocationStarted(self.now_s, request_id))
        event = self.current.invocation_input()
        self.show(event["CheckpointToken"], f"TOKEN{next(self.tokens)}")
        return event

    def checkpoint(self, request: Any) -> Any:
        """The answer to a checkpoint of the invocation that runs."""
        hidden = {symbol: text for text, symbol in self.shown.items()}
        updates = tuple(map(read_update, request["Updates"]))
        targets = {
            "child:$LATEST": ChainedTarget("$LATEST", "ARN2"),
            "nobody": ChainedTarget(
                error={
                    "ErrorMessage": "Function not found: nobody.",
                    "ErrorType": "ResourceNotFoundException",
                }
            ),
        }
        resolved = {
            update.id: targets[update.options["FunctionName"]]
            for update in updates
            if update.type == "CHAINED_INVOKE" and update.options
        }
        token = hidden[request["CheckpointToken"]]
        self.tell(self.current, Checkpointed(self.now_s, token, None, updates, resolved))
        for operation in self.current.operations.values():
            if isinstance(operation, CallbackOperation):
                self.show(operation.callback_id, "CALLBACKID1")
        next_token, operations = self.current.checkpoint_answer
        self.show(str(next_token), f"TOKEN{next(self.tokens)}")
        return {"CheckpointToken": next_token, "NewExecutionState": {"Operations": operations}}

    def answer(self, answer: Any) -> None:
        """The invocation that runs ends."""
        request_id = str(self.current.running_request_id)
        body = json.dumps(answer).encode()
        ended = InvocationEnded(self.now_s, request_id, InvocationEnd.ANSWERED, body)
        self.tell(self.current, ended)

    def succeed(self, result: Any) -> None:
        """Somebody answers the callback."""
        callback_id = next(text for text, symbol in self.shown.items() if symbol == "CALLBACKID1")
        self.tell(self.current, CallbackSucceeded(self.now_s, callback_id, json.dumps(result)))

    def show(self, text: str, symbol: str) -> None:
        self.shown.setdefault(text, symbol)

    def as_recorded(self, document: Any) -> Any:
        """A document with the symbols of the recording in the place of what is made up."""
        text = json.dumps(document)
        for hidden, symbol in self.shown.items():
            text = text.replace(json.dumps(hidden), json.dumps(symbol))
        return json.loads(text)


def without_times(document: Any, unit: float) -> Any:
    """The document with each time as `near the start`, if it is that in `unit` of a second."""
    if isinstance(document, list):
        return [without_times(item, unit) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        member: (0 <= value * unit - START_S < 4000)
        if member.endswith("Timestamp")
        else without_times(value, unit)
        for member, value in document.items()
    }


@pytest.mark.parametrize("lines", list(sections()))
def test_an_execution_goes_as_aws_recorded_it(lines):
    recording = Recording(lines)
    answer = None
    for tag, document in lines:
        match tag:
            case "E>":
                actual = recording.as_recorded(recording.event(document))
                assert without_times(document, 0.001) == without_times(actual, 0.001)
            case "C>":
                answer = recording.as_recorded(recording.checkpoint(document))
            case "C<":
                assert without_times(document, 1) == without_times(answer, 1)
            case "E<":
                recording.answer(document)
            case "X>":
                recording.succeed(document["succeed"])
            case "H=":
                execution = recording.executions["ARN1"]
                if not execution.is_terminal:
                    recording.wait(execution)
                actual = recording.as_recorded(execution.history_page().events)
                assert without_times(document, 1) == without_times(actual, 1)
