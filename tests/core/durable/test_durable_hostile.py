"""What nobody sane sends changes nothing, or ends one execution, and takes no more than its share."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from itertools import chain

import pytest

from engine.core.durable.facts import fact_document, fact_of
from engine.core.durable.history import EventType, History
from engine.core.durable.refusals import CallbackUnknown, CheckpointRefused
from engine.core.durable.values import InvocationEnd
from engine.core.fast_json import dumps, loads
from engine.runtime.durable.outcomes import error_of
from tests.core.durable.player import Player, succeeded, update

MEBIBYTE = 1_048_576


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"ErrorMessage": {"a": 1}}, "ErrorMessage is not a string"),
        ({"ErrorType": ["x"]}, "ErrorType is not a string"),
        ({"StackTrace": "line"}, "StackTrace is not a list of strings"),
        ({"StackTrace": [1]}, "StackTrace is not a list of strings"),
    ],
)
def test_an_answer_whose_error_is_no_error_object_fails_the_execution(player, error, reason):
    player.end({"Status": "FAILED", "Error": error})

    expected = {
        "ErrorMessage": f"Invalid invocation output: {reason}",
        "ErrorType": "InvalidParameterValueException",
    }
    assert ("FAILED", expected) == (player.execution.status, player.execution.error)


def test_lone_surrogates_of_answers_and_errors_are_kept_as_escapes_that_everything_can_write():
    failed, crashed, done = Player(), Player(), Player()
    for each in (failed, crashed, done):
        each.begin()
    failed.end({"Status": "FAILED", "Error": {"ErrorMessage": "no \ud800", "StackTrace": ["\udfff"]}})
    error = error_of(json.dumps({"errorMessage": "no \ud800", "stackTrace": ["\udfff"]}).encode())
    crashed.end(end=InvocationEnd.FUNCTION_ERROR, error=error)
    done.succeed('"\ud800"')

    assert {"ErrorMessage": "no \\ud800", "StackTrace": ["\\udfff"]} == failed.execution.error == error
    assert '"\\ud800"' == done.execution.result
    for each in (failed, crashed, done):
        assert dumps(each.documents())
        for fact in each.journal:
            assert fact == fact_of(loads(dumps(fact_document(fact))))


def test_more_updates_than_any_execution_could_take_are_refused(player):
    token = player.token
    many = [update(f"s{number}", "STEP", "START") for number in range(6002)]
    with pytest.raises(CheckpointRefused, match="Cannot checkpoint more than 6001 updates"):
        player.checkpoint(*many)

    assert ({}, 1) == (player.execution.operations, len(player.execution.history))
    assert token == player.execution.token


def test_a_long_history_is_added_to_without_being_copied():
    history = History()
    for _ in range(3000):
        history.add(EventType.STEP_STARTED, 0.0, None)
    taken = []
    tracemalloc.start()
    for _ in range(10):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        history.add(EventType.STEP_STARTED, 0.0, None)
        taken.append(tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()

    assert min(taken) < 1000, taken
    assert 3010 == len(history) == history[3009].id


@pytest.mark.parametrize("reverse", [False, True])
def test_a_page_of_the_history_ends_before_5_mib_of_texts_but_has_one_event(player, reverse):
    for each in "abcdefg":
        player.checkpoint(succeeded(each, "x" * 2 * MEBIBYTE))
    marker, pages = None, []
    while marker is not None or not pages:
        page = player.execution.history_page(marker, 1000, reverse=reverse)
        pages.append([event["EventId"] for event in page.events])
        marker = page.next_marker

    ids = [*range(1, 9)]
    assert (ids[::-1] if reverse else ids) == list(chain(*pages))
    assert 4 <= len(pages)
    assert 8 == len(player.execution.history_page(None, 1000, include_data=False).events)


@pytest.mark.parametrize("position", ["00", "1", "-1", "0 ", "", "0:0"])
def test_a_callback_has_one_id(player, position):
    player.checkpoint(update("c", "CALLBACK", "START"))
    forged = b64encode(f"{player.execution.execution_id}:{position}".encode()).decode()
    with pytest.raises(CallbackUnknown):
        player.tell_callback(forged)
    player.call_back("c")
