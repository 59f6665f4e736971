"""One invocation of a program: the checkpoints it makes, and when it suspends or ends.

Branches run at a time, as the SDK's threads do. An invocation lasts while any branch runs a step; a timer
that passes meanwhile, and an answer that comes, let their branch go on within it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import field
from itertools import count
from random import Random
from typing import Final, NamedTuple

from engine.core.durable.checkpoint_rules import OperationUpdate
from engine.core.durable.values import ErrorObject, OperationAction, OperationType
from engine.core.late_dataclass import dataclass
from engine.model.distributions import Distribution
from engine.model.simulation.durable_program import (
    Callback,
    ChainedInvoke,
    Item,
    Parallel,
    Program,
    Step,
    Wait,
)

MAX_ATTEMPTS: Final = 6
_FIRST_DELAY_S, _LONGEST_DELAY_S, _BACKOFF = 5.0, 60.0, 2.0
"""How the SDK tries a step again by default: full jitter, one second at least (SDK 3.0.0)."""

_FAILED: Final[ErrorObject] = {"ErrorType": "Exception", "ErrorMessage": "the step failed"}
_TARGET: Final = {"FunctionName": "target:$LATEST"}
_START, _SUCCEED = OperationAction.START, OperationAction.SUCCEED


class SimulatedCheckpoint(NamedTuple):
    """Updates that are sent together.

    Attributes:
        at_s: When, seconds of the run.
        updates: As the SDK sends them.
        answered_s: For the callback or chained invoke that they start: seconds until it is answered.
    """

    at_s: float
    updates: tuple[OperationUpdate, ...]
    answered_s: float = 0.0


class Walk(NamedTuple):
    """What one invocation does.

    Attributes:
        checkpoints: By time.
        end_s: When it ends; infinite if a step would outlast the invocation's deadline.
        status: `SUCCEEDED`, `FAILED` or `PENDING`.
    """

    checkpoints: list[SimulatedCheckpoint]
    end_s: float
    status: str


@dataclass(slots=True, eq=False)
class _Branch:
    """Where one line of the program is.

    Attributes:
        prefix: Of its operations' ids.
        context: Operation it is in, or None.
        at: Number of its item.
        attempt: Of the step it is at.
        blocked_s: When its timer passes, or its answer comes; 0 if it waits for nothing.
        children: Branches of the parallel it is at that have not ended.
        above: Whose child it is.
    """

    items: tuple[Item, ...]
    prefix: str
    context: str | None
    above: _Branch | None = None
    at: int = 0
    attempt: int = 1
    blocked_s: float = 0.0
    children: list[_Branch] = field(default_factory=list)

    @property
    def operation(self) -> str:
        return f"{self.prefix}{self.at + 1}"

    @property
    def is_done(self) -> bool:
        return self.at == len(self.items)

    def leaves(self) -> Iterator[_Branch]:
        """The branches that go on by themselves."""
        if self.children:
            for child in self.children:
                yield from child.leaves()
        else:
            yield self


class ProgramRun:
    """One execution of a program, invocation by invocation.

    Args:
        program: What it does.
        rng: Its own, so that nothing depends on what else is simulated.
    """

    def __init__(self, program: Program, rng: Random) -> None:
        self._program, self._rng = program, rng
        self._root = _Branch(program.items, "", None)
        self._failed = False

    def invoke(self, now_s: float, deadline_s: float) -> Walk:
        """Play one invocation that begins now. What would end after the deadline is not done."""
        made: list[SimulatedCheckpoint] = []
        runs_until_s = now_s + self._program.replay.draw_s(self._rng)
        order = count()
        agenda: list[tuple[float, int, _Branch]] = []

        def go_on(at_s: float, branch: _Branch) -> None:
            heapq.heappush(agenda, (at_s, next(order), branch))

        for branch in self._root.leaves():
            go_on(max(branch.blocked_s, runs_until_s), branch)
        while agenda and agenda[0][0] <= runs_until_s:
            at_s, _, branch = heapq.heappop(agenda)
            if branch.blocked_s and not isinstance(branch.items[branch.at], Step):
                branch.at += 1
            branch.blocked_s = 0.0
            if branch.is_done:
                above = self._joined(branch, at_s, made)
                if above is not None:
                    go_on(at_s, above)
                continue
            ends_s = self._play(branch, at_s, deadline_s, made, go_on)
            if ends_s == math.inf:
                return Walk(_by_time(made), math.inf, "PENDING")
            if self._failed:
                return Walk(_by_time(made), ends_s, "FAILED")
            runs_until_s = max(runs_until_s, ends_s)
        return Walk(_by_time(made), runs_until_s, "SUCCEEDED" if self._root.is_done else "PENDING")

    def _play(
        self,
        branch: _Branch,
        at_s: float,
        deadline_s: float,
        made: list[SimulatedCheckpoint],
        go_on: Callable[[float, _Branch], None],
    ) -> float:
        """Do what is next on a branch; return until when that runs, infinity if beyond the deadline."""
        item = branch.items[branch.at]
        match item:
            case Step():
                ends_s = at_s + item.takes.draw_s(self._rng)
                if ends_s > deadline_s:
                    return math.inf
                self._end_step(branch, item, ends_s, made)
                if not self._failed:
                    go_on(max(ends_s, branch.blocked_s), branch)
                return ends_s
            case Wait(seconds):
                options = {"WaitSeconds": seconds}
                made.append(SimulatedCheckpoint(at_s, (_update(branch, OperationType.WAIT, options),)))
                branch.blocked_s = at_s + seconds
                go_on(branch.blocked_s, branch)
            case Callback(after):
                update = _update(branch, OperationType.CALLBACK)
                self._ask(branch, update, at_s, after, made)
                go_on(branch.blocked_s, branch)
            case ChainedInvoke(takes):
                update = _update(branch, OperationType.CHAINED_INVOKE, _TARGET)
                self._ask(branch, update, at_s, takes, made)
                go_on(branch.blocked_s, branch)
            case Parallel(branches, body):
                made.append(SimulatedCheckpoint(at_s, tuple(_fan_out(branch, branches, body))))
                for child in branch.children:
                    go_on(at_s, child)
        return at_s

    def _ask(
        self,
        branch: _Branch,
        update: OperationUpdate,
        at_s: float,
        after: Distribution,
        made: list[SimulatedCheckpoint],
    ) -> None:
        """Have something answered from outside."""
        answered_s = after.draw_s(self._rng)
        made.append(SimulatedCheckpoint(at_s, (update,), answered_s))
        branch.blocked_s = at_s + answered_s

    def _end_step(self, branch: _Branch, step: Step, at_s: float, made: list[SimulatedCheckpoint]) -> None:
        start = _update(branch, OperationType.STEP)
        if not step.fail_share or self._rng.random() >= step.fail_share:
            end = start._replace(action=_SUCCEED, payload="x" * step.written_bytes)
            branch.at, branch.attempt = branch.at + 1, 1
        elif branch.attempt == MAX_ATTEMPTS:
            end = start._replace(action=OperationAction.FAIL, error=_FAILED)
            self._failed = True
        else:
            most_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * _BACKOFF ** (branch.attempt - 1))
            delay_s = max(1, round(most_s * self._rng.random()))
            options = {"NextAttemptDelaySeconds": delay_s}
            end = start._replace(action=OperationAction.RETRY, error=_FAILED, options=options)
            branch.blocked_s, branch.attempt = at_s + delay_s, branch.attempt + 1
        made.append(SimulatedCheckpoint(at_s, (start, end)))

    @staticmethod
    def _joined(branch: _Branch, at_s: float, made: list[SimulatedCheckpoint]) -> _Branch | None:
        """End the context of a branch that is done; return who goes on if it was the last one."""
        above = branch.above
        if above is None:
            return None
        ended = [_closed(branch.context or "", above.operation)]
        above.children.remove(branch)
        if not above.children:
            ended.append(_closed(above.operation, above.context))
            above.at += 1
        made.append(SimulatedCheckpoint(at_s, tuple(ended)))
        return None if above.children else above


def _fan_out(branch: _Branch, branches: int, body: tuple[Item, ...]) -> Iterator[OperationUpdate]:
    above = branch.operation
    yield _update(branch, OperationType.CONTEXT)._replace(sub_type="Parallel")
    for number in range(branches):
        context = f"{above}-{number}"
        branch.children.append(_Branch(body, f"{context}-", context, branch))
        yield OperationUpdate(
            context, OperationType.CONTEXT, _START, parent_id=above, sub_type="ParallelBranch"
        )


def _update(
    branch: _Branch, kind: OperationType, options: dict[str, int] | dict[str, str] | None = None
) -> OperationUpdate:
    return OperationUpdate(branch.operation, kind, _START, parent_id=branch.context, options=options)


def _closed(context: str, above: str | None) -> OperationUpdate:
    return OperationUpdate(context, OperationType.CONTEXT, _SUCCEED, parent_id=above, payload="null")


def _by_time(made: list[SimulatedCheckpoint]) -> list[SimulatedCheckpoint]:
    """In order of time: a branch may have been played ahead of another one."""
    return sorted(made, key=lambda checkpoint: checkpoint.at_s)
