"""Any course of a durable execution: no wake-up is lost, nothing is repeated, histories are valid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.durable.commands import Command, Finish, Invoke
from engine.core.durable.execution import Execution, InvocationPhase
from engine.core.durable.facts import (
    ChainedTarget,
    DeleteRequested,
    PauseRequested,
    ResumeRequested,
    StopRequested,
)
from engine.core.durable.operation import NEVER, CallbackOperation, ChainedInvokeOperation, ContextOperation
from engine.core.durable.refusals import DurableRefusal
from engine.core.durable.values import ExecutionStatus, InvocationEnd, OperationStatus
from tests.core.durable.player import (
    BOOM,
    Player,
    called_back,
    chained,
    closed,
    opened,
    retried,
    started,
    state_of,
    succeeded,
    update,
    waiting,
)

SECONDS = (0, 1, 2, 30)
LIFE = {"ExecutionPaused", "ExecutionResumed", "ExecutionStopped", "ExecutionTimedOut"}
ENDS = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionStopped"}
COMPLETED = {"SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT", "STOPPED"}


POOL = [f"{kind}{place}" for kind in "swcix" for place in (1, 2, 3, 4)]
"""Ids of operations, each of one kind: steps, waits, callbacks, chained invokes, contexts."""

WILD = [
    [update("s1", "STEP", "CANCEL")],
    [succeeded("s1"), succeeded("s1")],
    [started("s1", ParentId="nobody")],
    [waiting("w1"), closed("w1")],
    [chained("i1", "no name")],
]
ANSWERS = [*[{"Status": "PENDING"}] * 20, {"Status": "SUCCEEDED"}, {"Status": "FAILED"}, b"?"]
FAILURES = [
    *[InvocationEnd.FUNCTION_ERROR, InvocationEnd.LOST, InvocationEnd.THROTTLED] * 2,
    InvocationEnd.TIMED_OUT,
    InvocationEnd.FUNCTION_GONE,
]


HANDLER = [*["checkpoints"] * 5, *["answers"] * 3, "fails", "breaks_a_rule", "uses_an_old_token"]
WORLD = [
    *["timer_comes", "callback_comes", "chained_invoke_ends"] * 3,
    *["time_passes", "resume"] * 2,
    "pause",
    "engine_restarts",
    "stop",
]
"""What each does, the likely more often."""

CLIENT_TOKENS = (None, "a", "b")


def next_updates(
    key: str, status: str | None, seconds: int, parent: dict[str, str]
) -> list[list[dict[str, Any]]]:
    """What a handler may say of an operation that stands at `status`."""
    result = f'"{key}"'
    match key[0], status:
        case "s", None | "READY":
            new = started(key, **({} if status else parent))
            return [[new], [new, succeeded(key, result)], [new, retried(key, seconds)]]
        case "s", "STARTED":
            fails = update(key, "STEP", "FAIL", Error=BOOM)
            return [[succeeded(key, result)], [retried(key, seconds, Payload="1")], [fails]]
        case "w", None:
            return [[waiting(key, seconds, **parent)]]
        case "w", "STARTED":
            return [[update(key, "WAIT", "CANCEL")]]
        case "c", None:
            return [[called_back(key, seconds, 2)], [called_back(key, **parent)]]
        case "i", None:
            return [[chained(key, **parent)]]
        case "x", None:
            return [[opened(key)], [opened(key), closed(key)]]
        case "x", "STARTED":
            return [[closed(key)], [closed(key, replay=True)]]
    return []


def assert_valid(events: Sequence[dict[str, Any]]) -> None:
    """A history keeps the rules of AWS's order."""
    types = [each["EventType"] for each in events]
    assert list(range(1, len(events) + 1)) == [each["EventId"] for each in events]
    assert "ExecutionStarted" == types[0]
    assert sorted(each["EventTimestamp"] for each in events) == [each["EventTimestamp"] for each in events]
    ends = [place for place, each in enumerate(types) if each in ENDS]
    assert ends in ([], [len(types) - 1], [len(types) - 2])
    assert {"InvocationCompleted"} >= set(types[ends[0] + 1 :] if ends else ())
    lives = [each for each in types if each in ("ExecutionPaused", "ExecutionResumed")]
    assert lives == (["ExecutionPaused", "ExecutionResumed"] * len(lives))[: len(lives)]
    for operation_id in {each["Id"] for each in events if each["EventType"] not in LIFE and "Id" in each}:
        own = [each for each in events if each.get("Id") == operation_id]
        names = [each["EventType"] for each in own]
        if operation_id.startswith("s"):
            attempts = [each[f"{each['EventType']}Details"].get("RetryDetails") for each in own]
            done = [each["CurrentAttempt"] for each in attempts if each]
            assert list(range(1, len(done) + 1)) == done
        elif operation_id[0] in "wci":
            assert names[0].endswith("Started")
            assert len(names) <= 2
        elif operation_id[0] == "x":
            assert len(names) == len(set(names)) <= 2


class Course:
    """A handler that checkpoints anything, a world that interferes, and what both have seen."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.player = Player(timeout_s=random.choice((3600, 3600, 90, 5)))
        self.tokens: list[str] = ["nonsense"]
        self.seen: dict[str, str] = {}
        self.completed: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.finishes = 0

    def step(self) -> None:
        """The handler goes on, if it may, or something happens outside."""
        does = self.random.choice(WORLD)
        if self.execution.wants_invocation and self.random.random() < 0.7:
            self.invocation_begins()
        elif self.is_running and self.random.random() < 0.7:
            getattr(self, self.random.choice(HANDLER))()
        elif not self.execution.is_terminal and (does != "stop" or len(self.events) > 60):
            getattr(self, does)()
        self.no_wake_up_is_lost()
        self.what_has_completed_never_changes()
        if self.random.random() < 0.1:
            self.history_is_valid_and_only_grows()

    @property
    def execution(self) -> Execution:
        return self.player.execution

    def do(self, happen: Callable[[], list[Command]]) -> list[Command]:
        """Let it happen. What is refused must have changed nothing; commands must make sense."""
        before = state_of(self.execution) if self.random.random() < 0.3 else None
        wanted = self.execution.wants_invocation
        try:
            commands = happen()
        except DurableRefusal:
            assert before in (None, state_of(self.execution))
            return []
        if Invoke() in commands:
            assert not wanted
            assert self.execution.wants_invocation
        self.finishes += commands.count(Finish())
        assert self.finishes == self.execution.is_terminal
        return commands

    @property
    def is_running(self) -> bool:
        return self.execution.running_request_id is not None

    # The handler.

    def invocation_begins(self) -> None:
        event = self.player.begin()
        self.tokens.append(self.player.token)
        given = {each["Id"]: each for each in event["InitialExecutionState"]["Operations"][1:]}
        for key, (status, result) in self.completed.items():
            if key in given:
                assert status == given[key]["Status"]
            else:
                assert self.is_inside_a_completed_context(key)
            if status == "SUCCEEDED" and key.startswith("s") and key in given:
                assert result == given[key]["StepDetails"]["Result"]
        assert set(event["UpdatedOperationIds"]) <= self.actual().keys()
        self.seen = self.actual()

    def checkpoints(self) -> None:
        statuses = self.actual()
        contexts = [{"ParentId": key} for key, status in statuses.items() if key[0] == "x"]
        batch: list[dict[str, Any]] = []
        for key in self.random.sample(POOL, self.random.choice((0, 1, 1, 2, 4))):
            parent = self.random.choice([{}, *contexts])
            choices = next_updates(key, statuses.get(key), self.random.choice(SECONDS), parent)
            batch += self.random.choice(choices) if choices else []
        error = self.random.choice([None, None, None, BOOM])
        resolved = {each["Id"]: ChainedTarget("1", error=error) for each in batch}
        before = self.execution.checkpoint_answer
        is_open = self.player.token and self.execution.status is ExecutionStatus.RUNNING
        self.do(lambda: self.player.checkpoint(*batch, resolved=resolved))
        answer = self.execution.checkpoint_answer
        if is_open:
            assert answer is not before
        self.seen |= {each["Id"]: each["Status"] for each in answer.operations}
        if answer.token is not None:
            self.tokens.append(answer.token)
            assert self.actual() == self.seen

    def breaks_a_rule(self) -> None:
        wild = self.random.choice(WILD)
        before = state_of(self.execution)
        assert [] == self.do(lambda: self.player.checkpoint(*wild))
        assert before == state_of(self.execution)

    def uses_an_old_token(self) -> None:
        token = self.random.choice(self.tokens)
        present, self.player.token = self.player.token, token
        events = len(self.execution.history)
        if token != present:
            assert [] == self.do(lambda: self.player.checkpoint(started("s1")))
            assert events == len(self.execution.history)
        self.player.token = present

    def answers(self) -> None:
        answer = self.random.choice(ANSWERS)
        before = len(self.execution.history)
        self.do(lambda: self.player.end(answer))
        assert "InvocationCompleted" == self.player.documents()[before]["EventType"]

    def fails(self) -> None:
        end = self.random.choice(FAILURES)
        before = len(self.execution.history)
        self.do(lambda: self.player.end(end=end, error=BOOM))
        if end not in (InvocationEnd.THROTTLED, InvocationEnd.FUNCTION_GONE):
            assert "InvocationCompleted" == self.player.documents()[before]["EventType"]

    # The world. While the handler runs it adds no events but those of the execution itself.

    def time_passes(self) -> None:
        seconds = self.random.choice([0.0, 0.5, 1.0, 2.0, 5.0])
        self.outside(lambda: self.player.wait(seconds))

    def timer_comes(self) -> None:
        due_s = self.execution.next_due_s
        is_timeout = due_s == self.execution.expected_timeout_s
        if due_s >= self.player.now_s and (not is_timeout or self.random.random() < 0.02):
            self.outside(self.player.wait)

    def callback_comes(self) -> None:
        kind = self.random.choice(["succeed", "fail", "heartbeat"])
        callbacks = [
            each.id for each in self.execution.operations.values() if isinstance(each, CallbackOperation)
        ]
        if callbacks:
            key = self.random.choice(callbacks)
            if kind == "succeed":
                self.outside(lambda: self.player.call_back(key, "5"))
            elif kind == "fail":
                self.outside(lambda: self.player.fail_callback(key, BOOM))
            else:
                self.outside(lambda: self.player.heartbeat(key))

    def chained_invoke_ends(self) -> None:
        status = self.random.choice(["SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"])
        invokes = [
            each.id for each in self.execution.operations.values() if isinstance(each, ChainedInvokeOperation)
        ]
        if invokes:
            key = self.random.choice(invokes)
            self.outside(lambda: self.player.end_chained(key, OperationStatus(status), "7"))

    def pause(self) -> None:
        client_token, pause_timeout = self.random.choice(CLIENT_TOKENS), self.random.random() < 0.5
        fact = PauseRequested(self.player.now_s, None, pause_timeout, client_token)
        self.outside(lambda: self.player.tell(fact))

    def resume(self) -> None:
        client_token = self.random.choice(CLIENT_TOKENS)
        execution = self.execution
        owed = execution.status is ExecutionStatus.PAUSED and self.is_idle and self.seen != self.actual()
        fact = ResumeRequested(self.player.now_s, None, client_token)
        commands = self.outside(lambda: self.player.tell(fact))
        if owed and execution.status is ExecutionStatus.RUNNING:
            assert [Invoke()] == commands

    def engine_restarts(self) -> None:
        """All that is left is the journal; what is made of it goes on."""
        before = state_of(self.execution)
        self.player.execution = self.player.replayed()
        assert before == state_of(self.execution)
        if self.is_running:
            self.do(lambda: self.player.end(end=InvocationEnd.LOST, error=BOOM))

    def stop(self) -> None:
        self.outside(lambda: self.player.tell(StopRequested(self.player.now_s, {})))

    def outside(self, happen: Callable[[], list[Command]]) -> list[Command]:
        before, was_running = len(self.execution.history), self.is_running
        commands = self.do(happen)
        if was_running:
            assert {each["EventType"] for each in self.player.documents()[before:]} <= LIFE
        return commands

    # What always holds.

    def no_wake_up_is_lost(self) -> None:
        """An idle handler has seen everything, and whatever may change is waited for."""
        if self.execution.is_terminal:
            assert self.execution.next_due_s is None
            assert not self.execution.wants_invocation
            return
        assert self.execution.next_due_s is not None
        if self.is_running:
            return
        assert self.execution.next_due_s <= min(
            (each.due_s for each in self.execution.operations.values()), default=NEVER
        )
        if self.is_idle and self.execution.status is ExecutionStatus.RUNNING:
            assert self.seen == self.actual()

    def what_has_completed_never_changes(self) -> None:
        for each in self.execution.operations.values():
            if each.status in COMPLETED:
                assert self.completed.setdefault(each.id, (each.status, each.result)) == (
                    each.status,
                    each.result,
                )

    def history_is_valid_and_only_grows(self) -> None:
        events = self.player.documents()
        assert self.events == events[: len(self.events)]
        self.events = events
        assert_valid(events)

    def teardown(self) -> None:
        """It is deleted once it has ended, and is what its journal makes of it."""
        if self.execution.is_terminal:
            self.player.tell(DeleteRequested(self.player.now_s))
        self.history_is_valid_and_only_grows()
        assert state_of(self.execution) == state_of(self.player.replayed())

    @property
    def is_idle(self) -> bool:
        return self.execution.phase is InvocationPhase.SUSPENDED

    def actual(self) -> dict[str, str]:
        return {each.id: each.status.value for each in self.execution.operations.values()}

    def is_inside_a_completed_context(self, key: str) -> bool:
        parent_id = self.execution.operations[key].parent_id
        while parent_id is not None:
            parent = self.execution.operations[parent_id]
            assert isinstance(parent, ContextOperation)
            if parent.status in COMPLETED and not parent.replay_children:
                return True
            parent_id = parent.parent_id
        return False


@settings(max_examples=50, deadline=None)
@given(random=st.randoms(use_true_random=True), steps=st.integers(20, 150))
def test_any_course_of_an_execution_keeps_its_promises(random, steps):
    course = Course(random)
    for _ in range(steps):
        course.step()
    course.teardown()
