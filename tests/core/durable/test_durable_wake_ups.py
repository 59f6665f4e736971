"""When a durable execution is invoked: by time, from outside, after a failure, once for all there is."""

from __future__ import annotations

import pytest

from engine.core.durable.commands import Finish, Invoke, StartChainedInvoke
from engine.core.durable.facts import ChainedTarget, InvocationEnded, InvocationStarted
from engine.core.durable.refusals import CallbackClosed, CallbackUnknown
from engine.core.durable.values import InvocationEnd, OperationStatus
from engine.errors import IllegalMove
from tests.core.durable.player import (
    BOOM,
    START_S,
    Player,
    called_back,
    chained,
    retried,
    started,
    state_of,
    succeeded,
    update,
    waiting,
)

INVOKE, FINISH = [Invoke()], [Finish()]


def test_a_new_execution_wants_an_invocation():
    player = Player()

    assert player.execution.wants_invocation
    assert INVOKE == player.execution.outstanding()
    assert START_S + 3600 == player.execution.next_due_s


def test_time_wakes_once_for_all_that_is_due(player):
    player.checkpoint(waiting("a", 2), waiting("b", 2), waiting("c", 3), started("s"), retried("s", 2))
    assert [] == player.suspend()

    assert INVOKE == player.wait()
    assert START_S + 2 == player.now_s
    assert {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "STARTED", "s": "READY"} == player.statuses()
    assert ["a", "b", "s"] == player.begin()["UpdatedOperationIds"]


def test_a_timer_that_comes_too_early_or_again_changes_nothing(player):
    player.checkpoint(waiting("a", 2))
    player.suspend()
    before = state_of(player.execution)
    assert [] == player.wait(1)
    assert before == state_of(player.execution)
    assert INVOKE == player.wait(1)

    assert [] == player.wait(0)


def test_what_time_ended_meanwhile_is_told_by_the_next_checkpoint(player):
    player.checkpoint(waiting("a", 2), waiting("b", 1))
    assert [] == player.wait(3)
    assert {"a": "STARTED", "b": "STARTED"} == player.statuses()

    player.checkpoint(succeeded("s"))

    assert ["a", "b", "s"] == player.delta()
    assert ["StepSucceeded s", "WaitSucceeded b", "WaitSucceeded a"] == player.events()[-3:]
    player.checkpoint()
    assert [] == player.delta()


def test_what_time_ended_meanwhile_is_told_by_one_more_invocation(player):
    player.checkpoint(waiting("a", 2), waiting("b", 60))
    player.now_s += 3

    assert INVOKE == player.suspend()
    assert ["InvocationCompleted", "WaitSucceeded a"] == player.events()[-2:]
    assert ["a"] == player.begin()["UpdatedOperationIds"]
    assert [] == player.suspend()
    assert INVOKE == player.wait()
    assert ["b"] == player.begin()["UpdatedOperationIds"]


@pytest.mark.parametrize(
    ("happen", "event"),
    [
        (lambda player: player.call_back("c", "5"), "CallbackSucceeded c"),
        (lambda player: player.fail_callback("c", BOOM), "CallbackFailed c"),
        (lambda player: player.end_chained("i", result="5"), "ChainedInvokeSucceeded i"),
    ],
)
def test_what_ends_outside_meanwhile_stands_behind_the_invocation(player, happen, event):
    player.checkpoint(called_back("c"), chained("i"))

    assert [] == happen(player)
    assert {"c": "STARTED", "i": "STARTED"} == player.statuses()
    assert INVOKE == player.suspend()
    assert ["InvocationCompleted", event] == player.events()[-2:]


def test_what_was_answered_in_time_does_not_time_out_while_it_is_held(player):
    player.checkpoint(called_back("c", timeout_s=5, heartbeat_s=3), waiting("w", 9))
    player.call_back("c")
    player.now_s += 6
    player.checkpoint()

    assert {"c": "SUCCEEDED", "w": "STARTED"} == player.statuses()
    assert "CallbackSucceeded c" == player.events()[-1]
    player.suspend()
    assert START_S + 9 == player.execution.next_due_s


def test_what_a_checkpoint_told_earns_no_invocation(player):
    player.checkpoint(called_back("c"), waiting("w", 9))
    player.call_back("c", "5")
    player.checkpoint()

    assert ["c"] == player.delta()
    assert [] == player.suspend()


def test_pending_is_taken_where_all_that_was_open_has_just_ended(player):
    player.checkpoint(called_back("c"))
    player.call_back("c")

    assert INVOKE == player.suspend()


def test_an_execution_that_ends_leaves_what_was_held_as_it_was(player):
    player.checkpoint(called_back("c"))
    player.call_back("c", "5")

    assert FINISH == player.succeed()
    assert {"c": "STARTED"} == player.statuses()
    assert ["InvocationCompleted", "ExecutionSucceeded"] == player.events()[-2:]
    assert player.execution.next_due_s is None


def test_there_is_one_invocation_at_a_time(player):
    with pytest.raises(IllegalMove):
        player.execution.handle(InvocationStarted(player.now_s, "second"))
    with pytest.raises(IllegalMove):
        player.execution.handle(InvocationEnded(player.now_s, "second", InvocationEnd.LOST))
    player.checkpoint(called_back("c"), called_back("d"))
    player.suspend()

    assert INVOKE == player.call_back("c")
    assert [] == player.call_back("d")
    assert ["c", "d"] == player.begin()["UpdatedOperationIds"]


class TestCallbacks:
    def test_its_result_is_the_text_it_was_ended_with(self, player):
        player.checkpoint(called_back("c"), called_back("d"), called_back("e"))
        player.suspend()
        player.call_back("c", "héllo")
        player.call_back("d")
        player.fail_callback("e", BOOM)

        details = [
            each["CallbackDetails"] for each in player.begin()["InitialExecutionState"]["Operations"][1:]
        ]
        assert {"Result": "héllo"}.items() <= details[0].items()
        assert {"CallbackId"} == details[1].keys()
        assert BOOM == details[2]["Error"]

    def test_it_times_out_by_the_earlier_of_its_timeouts(self, player):
        player.checkpoint(called_back("c", timeout_s=10, heartbeat_s=4), called_back("d", timeout_s=3))
        player.suspend()

        assert INVOKE == player.wait()
        assert INVOKE != player.wait()
        assert START_S + 4 == player.now_s
        errors = [each.error["ErrorType"] for each in player.execution.operations.values()]
        assert ["Callback.Heartbeat", "Callback.Timeout"] == errors

    def test_a_heartbeat_moves_its_heartbeat_timeout_alone(self, player):
        player.checkpoint(called_back("c", timeout_s=10, heartbeat_s=4), called_back("d", heartbeat_s=8))
        player.suspend()
        player.now_s += 3
        player.heartbeat("c")
        assert START_S + 7 == player.execution.next_due_s
        player.now_s += 3.5
        player.heartbeat("c")
        assert START_S + 8 == player.execution.next_due_s
        player.heartbeat("d")

        assert INVOKE == player.wait()
        assert START_S + 10 == player.now_s
        assert "Callback.Timeout" == player.execution.operations["c"].error["ErrorType"]

    def test_it_ends_once(self, player):
        player.checkpoint(called_back("c"), called_back("d", timeout_s=5), called_back("e"))
        player.call_back("c")
        with pytest.raises(CallbackClosed):
            player.call_back("c")  # held, but ended
        player.suspend()
        player.now_s += 5
        for attempt in (player.call_back, player.heartbeat):
            with pytest.raises(CallbackClosed):
                attempt("c")
            with pytest.raises(CallbackClosed):
                attempt("d")  # its time is over, whether the timer has come or not

        player.begin()
        player.succeed()
        with pytest.raises(CallbackClosed):
            player.call_back("e")

    def test_an_id_is_that_of_one_operation_of_one_execution(self, player):
        other = Player(execution_id="e2")
        other.begin()
        for each in (player, other):
            each.checkpoint(called_back("c"), started("s"))
        assert player.callback_id("c") != other.callback_id("c")

        for unknown in (
            other.callback_id("c"),
            "",
            "!",
            "ZTE6",
            "ZTE6eA==",
            "ZTE6MQ==",
            "ZTE6OQ==",
            "ZTEvMA==",
        ):
            with pytest.raises(CallbackUnknown):
                player.tell_callback(unknown)


class TestChainedInvokes:
    def test_one_is_started_when_its_checkpoint_is_accepted(self, player):
        options = {"FunctionName": "child:1", "TenantId": "t", "XAmznTraceId": "Root=1"}
        child_arn = "arn:child"
        commands = player.checkpoint(
            update("i", "CHAINED_INVOKE", "START", ChainedInvokeOptions=options, Payload="[1]"),
            resolved={"i": ChainedTarget("1", child_arn)},
        )

        assert [StartChainedInvoke("i", "child:1", "[1]", "t", "Root=1", child_arn)] == commands
        assert commands == player.execution.outstanding()
        details = player.documents()[-1]["ChainedInvokeStartedDetails"]
        assert {
            "FunctionName": "child:1",
            "TenantId": "t",
            "Input": {"Payload": "[1]", "Truncated": False},
            "ExecutedVersion": "1",
            "DurableExecutionArn": child_arn,
        } == details

    def test_one_without_a_target_fails_at_once_and_stores_no_input(self, player):
        error = {"ErrorType": "ResourceNotFoundException", "ErrorMessage": "Function not found: child:1."}
        written = player.execution.bytes_written
        commands = player.checkpoint(chained("i", Payload="[1]"), resolved={"i": ChainedTarget(error=error)})

        assert [] == commands == player.execution.outstanding()
        assert "FAILED" == player.execution.checkpoint_answer.operations[0]["Status"]
        assert ["ChainedInvokeStarted i", "ChainedInvokeFailed i"] == player.events()[-2:]
        assert {"FunctionName": "child:1"} == player.documents()[-2]["ChainedInvokeStartedDetails"]
        assert written + sum(map(len, error.values())) == player.execution.bytes_written

    @pytest.mark.parametrize(
        ("status", "event"),
        [
            (OperationStatus.SUCCEEDED, "ChainedInvokeSucceeded i"),
            (OperationStatus.FAILED, "ChainedInvokeFailed i"),
            (OperationStatus.TIMED_OUT, "ChainedInvokeTimedOut i"),
            (OperationStatus.STOPPED, "ChainedInvokeStopped i"),
        ],
    )
    def test_its_end_wakes_whatever_it_is(self, player, status, event):
        player.checkpoint(chained("i"))
        player.suspend()

        assert INVOKE == player.end_chained("i", status, error=None if "Succeeded" in event else BOOM)
        assert event == player.events()[-1]
        assert [] == player.end_chained("i", status)
        assert INVOKE == player.execution.outstanding()

    def test_a_result_that_is_too_large_is_a_failure(self, player):
        player.checkpoint(chained("i"))
        player.suspend()
        player.end_chained("i", result="é" * (1_048_576 // 2) + "x")

        text = "CHAINED_INVOKE output payload size must be less than or equal to 1048576 bytes."
        assert {"ErrorMessage": text} == player.execution.operations["i"].error
        assert "FAILED" == player.statuses()["i"]


class TestFailures:
    @pytest.mark.parametrize("end", [InvocationEnd.FUNCTION_ERROR, InvocationEnd.TIMED_OUT])
    def test_the_fifth_in_a_row_fails_the_execution(self, player, end):
        for _ in range(4):
            assert [] == player.end(end=end, error=BOOM)
            before_s = player.now_s
            assert INVOKE == player.wait()
            assert before_s + 5 == player.now_s
            player.begin()

        assert FINISH == player.end(end=end, error=BOOM)
        assert ("FAILED", BOOM) == (player.execution.status, player.execution.error)
        errors = [each["InvocationCompletedDetails"]["Error"] for each in player.documents()[1:-1]]
        assert [{"Payload": BOOM, "Truncated": False}] * 5 == errors

    def test_an_answer_between_them_begins_the_count_anew(self, player):
        player.checkpoint(waiting("w", 100), waiting("v", 200))
        for _ in range(4):
            player.crash()
            player.wait()
            player.begin()
        player.suspend()
        player.wait()
        player.begin()

        assert [] == player.crash()
        assert "RUNNING" == player.execution.status

    def test_the_third_answer_that_waits_for_nothing_fails_the_execution(self, player):
        player.checkpoint(started("s"), succeeded("t"))
        for _ in range(2):
            assert [] == player.suspend()
            assert INVOKE == player.wait()
            player.begin()

        assert FINISH == player.suspend()
        assert {
            "ErrorType": "InvalidParameterValueException",
            "ErrorMessage": "Cannot return PENDING status with no pending operations.",
        } == player.execution.error

    def test_what_happens_while_it_backs_off_is_recorded_and_waits_for_the_next_attempt(self, player):
        player.checkpoint(waiting("w", 2), called_back("c"))
        player.crash()

        assert [] == player.call_back("c")
        assert [] == player.wait()
        assert (START_S + 2, START_S + 5) == (player.now_s, player.execution.next_due_s)
        assert {"w": "SUCCEEDED", "c": "SUCCEEDED"} == player.statuses()
        assert INVOKE == player.wait()
        assert ["w", "c"] == player.begin()["UpdatedOperationIds"]

    def test_throttled_and_lost_invocations_are_not_the_functions_fault(self, player):
        for _ in range(9):
            assert [] == player.end(end=InvocationEnd.THROTTLED)
            assert INVOKE == player.wait()
            player.begin()
            assert INVOKE == player.end(end=InvocationEnd.LOST, error=BOOM)
            player.begin()

        assert ["ExecutionStarted"] + ["InvocationCompleted"] * 9 == player.events()

    def test_a_function_that_is_gone_fails_it_at_once(self, player):
        error = {"ErrorType": "ResourceNotFoundException"}

        assert FINISH == player.end(end=InvocationEnd.FUNCTION_GONE, error=error)
        assert ["ExecutionStarted", "ExecutionFailed"] == player.events()
        assert error == player.execution.error
