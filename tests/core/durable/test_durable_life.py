"""How a durable execution ends, is paused, and what may be asked of it."""

from __future__ import annotations

import pytest

from engine.core.durable.commands import Finish, Invoke
from engine.core.durable.execution import Execution
from engine.core.durable.execution_arn import ExecutionArn, parse_execution_arn
from engine.core.durable.facts import DeleteRequested, PauseRequested, ResumeRequested, StopRequested
from engine.core.durable.names import NameUse, use_of_name
from engine.core.durable.refusals import CallbackClosed, CheckpointRefused, StatusConflict
from engine.core.durable.values import MAX_EXECUTION_S, InvocationEnd
from tests.core.durable.player import (
    BOOM,
    FUNCTION_ARN,
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
INVALID_TOKEN = "Invalid checkpoint token"
MEBIBYTE = 1_048_576
IN_60_S = 60.0


def pause(player, *, pause_timeout=True, client_token=None):
    return player.tell(PauseRequested(player.now_s, "why", pause_timeout, client_token))


def resume(player, client_token=None):
    return player.tell(ResumeRequested(player.now_s, "go", client_token))


class TestAnswers:
    def test_success_keeps_the_result_as_text(self, player):
        assert FINISH == player.succeed('{"total": 10}')
        assert ("SUCCEEDED", '{"total": 10}', None) == self.ending(player.execution)
        assert player.now_s == player.execution.ended_s
        assert player.now_s + 14 * 86_400 == player.execution.expires_s
        assert [] == player.execution.outstanding()

    def test_failure_keeps_the_error(self, player):
        assert FINISH == player.end({"Status": "FAILED", "Error": {**BOOM, "Extra": 1, "ErrorData": None}})
        assert ("FAILED", None, BOOM) == self.ending(player.execution)

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (b"", "Invalid invocation output: Expecting value"),
            (b"\xff", "Invalid invocation output: Invalid UTF-8"),
            ([], "Invalid invocation output: it is not an object"),
            ({}, "Invalid invocation output: None is not a valid InvocationStatus"),
            ({"Status": "RETRY"}, "Invalid invocation output: 'RETRY' is not a valid InvocationStatus"),
            ({"Status": []}, "Invalid invocation output: [] is not a valid InvocationStatus"),
            ({"Status": "SUCCEEDED", "Result": {}}, "Invalid invocation output: Result is not a string"),
            ({"Status": "FAILED", "Error": "no"}, "Invalid invocation output: Error is not an object"),
            ({"Status": "FAILED", "Result": "1"}, "Cannot provide a Result for FAILED status."),
            ({"Status": "SUCCEEDED", "Error": {}}, "Cannot provide an Error for SUCCEEDED status."),
        ],
    )
    def test_one_that_cannot_be_followed_fails_the_execution_at_once(self, player, answer, message):
        assert FINISH == player.end(answer)
        error = {"ErrorMessage": message, "ErrorType": "InvalidParameterValueException"}
        assert ("FAILED", None, error) == self.ending(player.execution)

    def test_a_checkpointed_end_counts_and_the_answer_is_ignored(self, player):
        ends = update("execution-result-1", "EXECUTION", "SUCCEED", Payload="7")
        assert FINISH == player.checkpoint(started("s"), ends)
        assert (None, ["s"]) == (player.execution.checkpoint_answer.token, player.delta())
        player.now_s += 1

        assert [] == player.succeed("")
        assert ("SUCCEEDED", "7", None) == self.ending(player.execution)
        assert ["StepStarted s", "ExecutionSucceeded", "InvocationCompleted"] == player.events()[-3:]

    def test_a_checkpointed_failure_counts_too(self, player):
        player.checkpoint(update("execution-result-1", "EXECUTION", "FAIL", Error=BOOM))

        assert ("FAILED", None, BOOM) == self.ending(player.execution)

    def ending(self, execution: Execution):
        return execution.status, execution.result, execution.error


class TestTokens:
    def test_each_is_good_once_and_for_its_invocation(self, player):
        first = player.token
        player.checkpoint(waiting("w"), called_back("c"))
        last = player.token
        player.suspend()
        for token in (first, last, "", "nonsense"):
            self.is_refused(player, token)
        player.wait()
        self.is_refused(player, last)
        player.begin()
        assert 3 == len({first, last, player.token})
        self.is_refused(player, last)

        player.checkpoint()
        player.succeed()
        self.is_refused(player, player.token)

    def test_one_of_another_execution_is_not_taken(self, player):
        other = Player(execution_id="e2")
        other.begin()

        self.is_refused(player, other.token)

    def test_a_request_whose_answer_was_lost_is_answered_again(self, player):
        token = player.token
        player.checkpoint(started("s"), client_token="ct")
        answer = player.execution.checkpoint_answer
        before = state_of(player.execution)
        player.now_s += 900
        player.token = token

        assert [] == player.checkpoint(started("s"), client_token="ct")
        assert answer == player.execution.checkpoint_answer
        assert before == state_of(player.execution)
        player.token = token
        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.checkpoint(client_token="other")
        player.now_s += 1
        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.checkpoint(client_token="ct")

    def test_without_a_client_token_none_is(self, player):
        token = player.token
        player.checkpoint(started("s"))

        self.is_refused(player, token)

    def test_the_end_of_an_execution_is_answered_again(self, player):
        ends, token = update("x", "EXECUTION", "SUCCEED", Payload="7"), player.token
        player.checkpoint(ends, client_token="ct")
        player.token = token

        assert [] == player.checkpoint(ends, client_token="ct")

    def is_refused(self, player, token):
        """Of checkpoints and of state."""
        player.token = token
        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.checkpoint(started("x"))
        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.execution.state_page(token)
        player.token = player.event["CheckpointToken"]


class TestTimeout:
    def test_an_execution_times_out_whatever_it_waits_for(self):
        player = Player(timeout_s=2)
        player.begin()
        player.checkpoint(waiting("w", 3600))
        player.suspend()

        assert FINISH == player.wait()
        assert START_S + 2 == player.now_s
        assert {"ErrorMessage": "Execution timed out after 2 seconds."} == player.execution.error
        assert ("TIMED_OUT", {"w": "STARTED"}) == (player.execution.status, player.statuses())
        assert (None, None) == (player.execution.next_due_s, player.execution.expected_timeout_s)

    def test_its_running_invocation_is_recorded_when_it_ends(self):
        player = Player(timeout_s=2)
        player.begin()
        player.checkpoint(waiting("w", 1))
        assert START_S + 2 == player.execution.next_due_s
        assert FINISH == player.wait()

        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.checkpoint()
        assert [] == player.crash()
        assert ["WaitStarted w", "ExecutionTimedOut", "InvocationCompleted"] == player.events()[1:]


class TestStop:
    @pytest.mark.parametrize(
        ("error", "shown"), [({}, {"ErrorMessage": "Execution stopped by user request"}), (BOOM, BOOM)]
    )
    def test_it_is_stopped_at_once(self, player, error, shown):
        player.checkpoint(called_back("c"))

        assert FINISH == player.tell(StopRequested(player.now_s, error))
        assert ("STOPPED", shown) == (player.execution.status, player.execution.error)
        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.checkpoint()
        with pytest.raises(CallbackClosed):
            player.call_back("c")

    def test_stopping_what_has_ended_changes_nothing(self, player):
        player.succeed()
        before = state_of(player.execution)
        player.now_s += 1

        assert [] == player.tell(StopRequested(player.now_s, BOOM))
        assert before == state_of(player.execution)

    def test_a_wanted_or_backed_off_invocation_is_void(self, player):
        player.crash()
        player.tell(StopRequested(player.now_s, {}))
        assert player.execution.next_due_s is None

        other = Player()
        other.tell(StopRequested(other.now_s, {}))
        assert [] == other.execution.outstanding()
        assert not other.execution.wants_invocation


class TestPause:
    def test_it_cuts_a_running_invocation_off_at_its_next_checkpoint(self, player):
        player.checkpoint(called_back("c"))
        assert [] == pause(player)
        assert "PAUSING" == player.execution.status
        token = player.token
        player.checkpoint(started("s"), client_token="ct")

        assert (None, []) == player.execution.checkpoint_answer
        assert ("PAUSED", "STARTED") == (player.execution.status, player.statuses()["s"])
        assert ["StepStarted s", "ExecutionPaused"] == player.events()[-2:]
        player.token = token
        with pytest.raises(CheckpointRefused, match=INVALID_TOKEN):
            player.checkpoint(started("s"), client_token="ct")  # not stored: its repetition fails
        assert [] == player.suspend()
        assert INVOKE == resume(player)
        assert ["InvocationCompleted", "ExecutionResumed"] == player.events()[-2:]

    def test_one_that_was_cut_off_with_nothing_open_is_invoked_again(self, player):
        pause(player)
        player.checkpoint(started("s"), succeeded("s"))
        player.suspend()

        assert INVOKE == resume(player)
        player.begin()
        player.checkpoint()
        assert ["s"] == player.delta()

    def test_a_resume_before_the_cut_off_invocation_has_ended_waits_for_it(self, player):
        pause(player)
        player.checkpoint(started("s"))
        assert [] == resume(player)

        assert INVOKE == player.suspend()

    def test_an_invocation_that_ends_without_a_checkpoint_pauses_it(self, player):
        player.checkpoint(waiting("w", 5))
        pause(player)

        assert [] == player.suspend()
        assert "PAUSED" == player.execution.status
        assert ["InvocationCompleted", "ExecutionPaused"] == player.events()[-2:]
        assert [] == resume(player)
        assert INVOKE == player.wait()

    def test_an_end_goes_before_a_pause(self, player):
        pause(player)

        assert FINISH == player.succeed()
        assert ("SUCCEEDED", None) == (player.execution.status, player.execution.pause)

    def test_what_happens_meanwhile_is_recorded_and_owed(self, player):
        player.checkpoint(waiting("w", 5), called_back("c"), waiting("v", 90))
        player.suspend()
        pause(player)
        assert [] == player.call_back("c")
        assert [] == player.wait()
        assert START_S + 5 == player.now_s
        assert {"w": "SUCCEEDED", "c": "SUCCEEDED", "v": "STARTED"} == player.statuses()

        assert INVOKE == resume(player)
        assert ["w", "c"] == player.begin()["UpdatedOperationIds"]

    def test_a_wanted_invocation_is_void_and_owed(self, player):
        player.checkpoint(called_back("c"))
        player.suspend()
        player.call_back("c")
        pause(player)

        assert [] == player.execution.outstanding()
        assert INVOKE == resume(player)

    def test_the_retry_of_a_failed_invocation_is_owed(self, player):
        pause(player)
        player.crash()
        assert "PAUSED" == player.execution.status
        assert [] == player.wait()

        assert INVOKE == resume(player)

    def test_a_resume_cancels_a_pause_that_has_not_come_about(self, player):
        pause(player)
        resume(player)
        player.checkpoint()

        assert "" != player.token
        assert ["ExecutionStarted"] == player.events()

    def test_paused_time_does_not_count_unless_it_is_asked_to(self, player):
        player.checkpoint(called_back("c"))
        player.suspend()
        pause(player)
        assert START_S + MAX_EXECUTION_S == player.execution.expected_timeout_s
        player.now_s += 10_000
        resume(player)
        assert START_S + 13_600 == player.execution.expected_timeout_s
        pause(player, pause_timeout=False)
        assert START_S + 13_600 == player.execution.expected_timeout_s
        player.now_s += 100
        resume(player)

        assert START_S + 13_600 == player.execution.expected_timeout_s
        assert FINISH == player.wait()

    def test_no_pause_makes_it_longer_than_a_year(self, player):
        player.checkpoint(called_back("c"))
        player.suspend()
        pause(player)
        player.now_s += MAX_EXECUTION_S - 60
        resume(player)

        assert START_S + MAX_EXECUTION_S == player.execution.expected_timeout_s

    def test_requests_that_are_repeated_are_taken_once_and_others_refused(self, player):
        player.checkpoint(called_back("c"))
        player.suspend()
        with pytest.raises(StatusConflict):
            resume(player)
        pause(player, client_token="a")
        before = state_of(player.execution)
        assert [] == pause(player, client_token="a")
        assert before == state_of(player.execution)
        for token in ("b", None):
            with pytest.raises(StatusConflict):
                pause(player, client_token=token)
        resume(player, client_token="r")
        assert [] == resume(player, client_token="r")
        with pytest.raises(StatusConflict):
            resume(player, client_token="s")

        player.now_s += 901
        pause(player, client_token="a")
        assert "PAUSED" == player.execution.status

    def test_it_is_shown_while_it_lasts(self, player):
        pause(player)
        assert (player.now_s, True, "why", None) == player.execution.pause
        player.checkpoint()
        assert {
            "PauseRequestTimestamp": START_S,
            "ExecutionTimeoutPaused": True,
            "Reason": {"Payload": "why", "Truncated": False},
        } == player.documents()[-1]["ExecutionPausedDetails"]
        player.suspend()
        resume(player)
        assert player.execution.pause is None
        assert {
            "ResumeRequestTimestamp": START_S,
            "Reason": {"Payload": "go", "Truncated": False},
        } == player.documents()[-1]["ExecutionResumedDetails"]


class TestDelete:
    def test_only_what_has_ended_is_deleted(self, player):
        with pytest.raises(StatusConflict):
            player.tell(DeleteRequested(player.now_s))
        player.succeed()

        assert [] == player.tell(DeleteRequested(player.now_s))
        assert "DELETING" == player.execution.status
        assert player.execution.is_terminal
        with pytest.raises(StatusConflict):
            pause(player)


class TestLimits:
    def test_more_than_3000_operations_fail_it(self):
        player = Player()
        player.begin()
        for batch in range(15):
            player.checkpoint(*(succeeded(f"s{batch}-{place}") for place in range(200)))
        assert (3000, "RUNNING") == (player.execution.operation_count, player.execution.status)

        assert FINISH == player.checkpoint(started("one-more"))
        assert ("FAILED", None) == (player.execution.status, player.execution.checkpoint_answer.token)
        message = "Execution exceeded the limit of 3000 operations."
        assert {"ErrorMessage": message} == player.execution.error

    def test_more_than_100_mb_fail_it(self):
        player = Player()
        player.begin()
        payload = "x" * (50 * MEBIBYTE)
        player.checkpoint(succeeded("a", payload))
        player.checkpoint(called_back("c"))
        player.suspend()

        assert FINISH == player.call_back("c", payload)
        message = "Execution exceeded the limit of 104857600 bytes written."
        assert {"ErrorMessage": message} == player.execution.error

    def test_retries_count_as_operations_and_all_that_is_stored_as_bytes(self):
        player = Player(payload='{"sku": "A1"}')
        player.begin()
        player.checkpoint(started("s"), retried("s", 1))
        player.suspend()
        player.wait()
        player.begin()
        player.checkpoint(started("s"), succeeded("s", "é"), waiting("w"), chained("i", Payload="12345"))
        player.succeed("123")

        assert 4 == player.execution.operation_count
        assert 13 + len("boom" + "ValueError") + 2 + 5 + 3 == player.execution.bytes_written


class TestParents:
    def player(self, timeout_s=2):
        child = Player(parent=("arn:parent", "call"), timeout_s=timeout_s)
        child.begin()
        assert child.execution.ending_for_parent(IN_60_S) is None
        return child

    def test_one_is_told_the_result(self):
        child = self.player()
        child.succeed("21")

        assert (IN_60_S, "call", "SUCCEEDED", "21", None) == child.execution.ending_for_parent(IN_60_S)

    def test_one_is_told_the_error(self):
        failed, stopped, timed_out = self.player(), self.player(), self.player()
        failed.end({"Status": "FAILED", "Error": BOOM})
        stopped.tell(StopRequested(stopped.now_s, BOOM))
        timed_out.wait()
        text = "CHAINED_INVOKE timed out after 2 seconds."
        error = {"ErrorMessage": text, "ErrorType": "ChainedInvoke.Timeout"}

        endings = [each.execution.ending_for_parent(IN_60_S) for each in (failed, stopped, timed_out)]
        assert [("FAILED", BOOM), ("STOPPED", BOOM), ("TIMED_OUT", error)] == [
            (each.status, each.error) for each in endings
        ]

    def test_a_result_too_large_for_one_fails_the_child(self):
        child = self.player()
        child.succeed("x" * (MEBIBYTE + 1))

        text = "Execution output payload size must be less than or equal to 1048576 bytes."
        assert ("FAILED", {"ErrorMessage": text}) == (child.execution.status, child.execution.error)

    def test_who_has_none_has_nobody_to_tell(self, player):
        player.succeed("x" * (MEBIBYTE + 1))

        assert "SUCCEEDED" == player.execution.status
        assert player.execution.ending_for_parent(IN_60_S) is None


class TestRecovery:
    def test_what_was_commanded_is_commanded_again_and_a_lost_invocation_repeated(self, player):
        player.checkpoint(chained("i"), chained("j"))
        player.end_chained("j")
        recovered = player.replayed()
        assert player.execution.outstanding() == recovered.outstanding()
        assert ["i"] == [each.operation_id for each in recovered.outstanding()]

        assert INVOKE == player.end(end=InvocationEnd.LOST, error=BOOM)
        assert ["InvocationCompleted", "ChainedInvokeSucceeded j"] == player.events()[-2:]
        assert [Invoke, type(recovered.outstanding()[0])] == list(map(type, player.replayed().outstanding()))


def test_the_parts_of_its_arn_are_those_of_the_function_and_its_own(player):
    execution = player.execution
    arn = ExecutionArn("aws", "us-east-1", "123456789012", "orders", "7", "order-1", "e1")

    assert (arn, "e1", "order-1") == (execution.parts, execution.execution_id, execution.name)
    assert (execution.arn, FUNCTION_ARN) == (str(arn), arn.function_arn)


@pytest.mark.parametrize(
    "text",
    [
        "",
        FUNCTION_ARN,
        f"{FUNCTION_ARN}/durable-execution/name",
        f"{FUNCTION_ARN}/durable-execution/na me/id",
        f"{FUNCTION_ARN.removesuffix('7')}live/durable-execution/name/id",
        f"{FUNCTION_ARN}/durable-execution/{'n' * 1000}/id",
    ],
)
def test_an_arn_of_something_else_has_no_parts(text):
    assert parse_execution_arn(text) is None


def test_a_name_leads_to_the_execution_of_the_same_payload(player):
    assert NameUse.NEW is use_of_name(None, "{}")
    assert NameUse.EXISTING is use_of_name(player.execution, "{}")
    assert NameUse.CONFLICT is use_of_name(player.execution, "{ }")
    player.succeed()
    assert NameUse.EXISTING is use_of_name(player.execution, "{}")
