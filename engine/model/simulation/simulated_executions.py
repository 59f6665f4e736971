"""Durable executions in a simulation: each is a `core.durable.Execution`, as live, around a function.

An arrival starts an execution; its invocations go to the function like any others, and wait, start cold or
are refused there. What an invocation does is played by `durable_walk`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import field
from random import Random
from typing import Final, Protocol, assert_never

from engine.core.durable.callback_ids import make_callback_id
from engine.core.durable.checkpoint_rules import OperationUpdate
from engine.core.durable.commands import Command, Finish, Invoke, StartChainedInvoke
from engine.core.durable.execution import Execution
from engine.core.durable.execution_arn import ExecutionArn
from engine.core.durable.facts import (
    CallbackSucceeded,
    ChainedInvokeEnded,
    ChainedTarget,
    Checkpointed,
    ExecutionStarted,
    Fact,
    InvocationEnded,
    InvocationStarted,
    TimerDue,
)
from engine.core.durable.values import (
    DAY_S,
    MAX_EXECUTION_S,
    ErrorObject,
    ExecutionStatus,
    InvocationEnd,
    OperationStatus,
    OperationType,
)
from engine.core.function import DurableConfig, Function
from engine.core.late_dataclass import dataclass
from engine.model.simulation.durable_program import Program
from engine.model.simulation.durable_walk import ProgramRun, Walk
from engine.model.simulation.schedule import Schedule

_TARGET: Final = ChainedTarget(executed_version="$LATEST")
_THROTTLED: Final[ErrorObject] = {"ErrorType": "TooManyRequestsException", "ErrorMessage": "Rate Exceeded."}
_TIMED_OUT: Final[ErrorObject] = {"ErrorType": "Sandbox.Timedout", "ErrorMessage": "timed out"}
_ANSWERS: Final = {
    "SUCCEEDED": b'{"Status":"SUCCEEDED","Result":"null"}',
    "FAILED": b'{"Status":"FAILED","Error":{"ErrorType":"StepError"}}',
    "PENDING": b'{"Status":"PENDING"}',
}


_NO_WALK: Final = Walk([], 0.0, "PENDING")


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableLoad:
    """Executions of one function.

    Attributes:
        at_s: When they are started, ascending seconds.
        program: What each does.
        config: How long they may take.
        seed: Of what is drawn: each execution has its own, whatever the order they run in.
    """

    at_s: Sequence[float]
    program: Program
    config: DurableConfig = field(default=DurableConfig(MAX_EXECUTION_S))
    seed: int = 1


class _InvokedFunction(Protocol):
    function: Function
    on_attempt_end: Callable[[float, int, bool], None] | None
    on_refused: Callable[[float, int], None] | None
    on_run: Callable[[float, int], float] | None

    def add(self, now_s: float, service_s: float, ending: int = 0) -> None: ...


@dataclass(slots=True, eq=False)
class _Simulated:
    """One execution: the rules, and what it does."""

    execution: Execution
    run: ProgramRun
    walk: Walk = _NO_WALK  # of the invocation that runs
    invocations: int = 0
    due_s: float = math.inf  # of its timer


class SimulatedExecutions:
    """The executions of one function during a run.

    Attributes:
        took_s: Seconds from start to end, of each that ended.
        by_status: How many ended how.
        invocations, operations, written_bytes: Of all, as AWS counts them.
        kept_byte_s: Bytes times the seconds for which they are kept: half of the time an execution takes, on
            average, and its retention.
        level: (seconds, executions that are not ended), where that changes.
    """

    def __init__(self, simulated: _InvokedFunction, load: DurableLoad, at: Schedule) -> None:
        self._simulated, self._load, self._at = simulated, load, at
        simulated.on_attempt_end, simulated.on_refused = self._attempt_ended, self._refused
        simulated.on_run = self._began
        self.took_s: list[float] = []
        self.by_status: dict[ExecutionStatus, int] = {}
        self.invocations = self.operations = self.written_bytes = 0
        self.kept_byte_s = 0.0
        self._timeout_s = simulated.function.timeout_s
        self.level: list[tuple[float, int]] = []
        self._open: dict[int, _Simulated] = {}
        self._by_item: list[int] = []
        self._asked: list[OperationUpdate] = []
        self._started = 0

    @property
    def has_work(self) -> bool:
        """Whether an execution is to come, or has not ended."""
        return bool(self._open) or self._started < len(self._load.at_s)

    def open(self, now_s: float) -> None:
        """The first execution is awaited."""
        if len(self._load.at_s):
            self._at(max(now_s, self._load.at_s[0]), self._start)

    # ---------------------------------------------------------------- what happens

    def _start(self, now_s: float, _a: int, _b: int) -> None:
        number, load = self._started, self._load
        self._started += 1
        if self._started < len(load.at_s):
            self._at(load.at_s[self._started], self._start)
        arn = ExecutionArn("aws", "us-east-1", "000000000000", "function", "$LATEST", "e", str(number))
        started = ExecutionStarted(now_s, str(arn), load.config, "x" * load.program.input_bytes)
        run = ProgramRun(load.program, Random(f"{load.seed}/{number}"))  # noqa: S311  # it simulates
        one = self._open[number] = _Simulated(Execution(started), run)
        self.level.append((now_s, len(self._open)))
        self._obey(now_s, number, one, one.execution.outstanding())

    def _submit(self, now_s: float, number: int, one: _Simulated) -> None:
        item = len(self._by_item)
        self._by_item.append(number)
        one.execution.handle(InvocationStarted(now_s, str(item)))
        self._simulated.add(now_s, 0.0)

    def _began(self, now_s: float, item: int) -> float:
        """Say how long an attempt takes that has got its environment: what it does is known from here on."""
        one = self._open.get(self._by_item[item])
        if one is None:
            return 0.0  # its execution has timed out while it waited
        one.invocations += 1
        one.walk = one.run.invoke(now_s, now_s + self._timeout_s)
        for place, checkpoint in enumerate(one.walk.checkpoints):
            self._at(checkpoint.at_s, self._checkpoint, item, place)
        return one.walk.end_s - now_s

    def _checkpoint(self, now_s: float, item: int, place: int) -> None:
        number = self._by_item[item]
        one = self._open.get(number)
        if one is None or one.execution.token is None:
            return
        checkpoint = one.walk.checkpoints[place]
        update = checkpoint.updates[0]
        resolved = {update.id: _TARGET} if update.type is OperationType.CHAINED_INVOKE else {}
        fact = Checkpointed(now_s, one.execution.token, None, checkpoint.updates, resolved)
        commands = one.execution.handle(fact)
        if update.type is OperationType.CALLBACK or update.type is OperationType.CHAINED_INVOKE:
            self._asked.append(update)
            self._at(now_s + checkpoint.answered_s, self._answered, number, len(self._asked) - 1)
        self._obey(now_s, number, one, commands)

    def _answered(self, now_s: float, number: int, place: int) -> None:
        """Somebody outside answers what the execution asked for."""
        one = self._open.get(number)
        if one is None:
            return
        execution, operation_id = one.execution, self._asked[place].id
        fact: Fact
        if self._asked[place].type is OperationType.CALLBACK:
            position = execution.operations[operation_id].position
            callback_id = make_callback_id(execution.execution_id, position)
            fact = CallbackSucceeded(now_s, callback_id, "null")
        else:
            fact = ChainedInvokeEnded(now_s, operation_id, OperationStatus.SUCCEEDED, "null")
        self._obey(now_s, number, one, execution.handle(fact))

    def _attempt_ended(self, now_s: float, item: int, well: bool, /) -> None:  # noqa: FBT001  # as `on_attempt_end` takes it
        if well:
            self._invocation_ended(now_s, item, InvocationEnd.ANSWERED)
        else:
            self._invocation_ended(now_s, item, InvocationEnd.TIMED_OUT, _TIMED_OUT)

    def _refused(self, now_s: float, item: int, /) -> None:
        self._invocation_ended(now_s, item, InvocationEnd.THROTTLED, _THROTTLED)

    def _invocation_ended(
        self, now_s: float, item: int, end: InvocationEnd, error: ErrorObject | None = None
    ) -> None:
        number = self._by_item[item]
        one = self._open.get(number)
        if one is not None:
            answer = _ANSWERS[one.walk.status] if error is None else None
            fact = InvocationEnded(now_s, str(item), end, answer, error)
            self._obey(now_s, number, one, one.execution.handle(fact))

    def _due(self, now_s: float, number: int, _b: int) -> None:
        one = self._open.get(number)
        if one is not None and one.due_s <= now_s:
            one.due_s = math.inf
            self._obey(now_s, number, one, one.execution.handle(TimerDue(now_s)))

    # ---------------------------------------------------------------- obeying the execution

    def _obey(self, now_s: float, number: int, one: _Simulated, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Invoke():
                    self._submit(now_s, number, one)
                case Finish():
                    self._finish(now_s, number, one)
                    return
                case StartChainedInvoke():
                    pass  # it is answered when the program says
                case _:
                    assert_never(command)
        due_s = one.execution.next_due_s
        if due_s is not None and due_s < one.due_s:
            one.due_s = due_s
            self._at(max(due_s, now_s), self._due, number)

    def _finish(self, now_s: float, number: int, one: _Simulated) -> None:
        execution = one.execution
        del self._open[number]
        took_s = now_s - execution.started_s
        self.took_s.append(took_s)
        self.by_status[execution.status] = self.by_status.get(execution.status, 0) + 1
        self.invocations += one.invocations
        self.operations += execution.operation_count
        self.written_bytes += execution.bytes_written
        retention_s = execution.config.retention_days * DAY_S
        self.kept_byte_s += execution.bytes_written * (took_s / 2 + retention_s)
        self.level.append((now_s, len(self._open)))
