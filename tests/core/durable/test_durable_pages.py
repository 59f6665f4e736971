"""Pages of the state and the history of a durable execution."""

from __future__ import annotations

from itertools import chain

import pytest

from engine.core.durable.history import EventType
from engine.core.durable.refusals import CheckpointRefused
from tests.core.durable.player import (
    BOOM,
    Player,
    called_back,
    closed,
    opened,
    retried,
    started,
    succeeded,
    update,
    waiting,
)

MEBIBYTE = 1_048_576


def ids(documents):
    return [each["Id"] for each in documents]


def state(player, max_items=0):
    """All pages of the state, as their ids."""
    pages, marker = [], None
    while True:
        page = player.execution.state_page(player.token, marker, max_items)
        pages.append(ids(page.operations))
        marker = page.next_marker
        if marker is None:
            return pages


def test_state_has_pages_of_as_many_as_are_asked_for():
    player = Player()
    player.begin()
    names = [f"s{place}" for place in range(1200)]
    player.checkpoint(*map(succeeded, names))
    everything = ["e1", *names]

    assert [everything[:7], everything[7:14]] == state(player, 7)[:2]
    for max_items, length in ((0, 100), (300, 300), (1000, 1000), (9999, 1000)):
        pages = state(player, max_items)
        assert everything == list(chain(*pages))
        assert {length} == set(map(len, pages[:-1]))


def test_a_page_of_state_ends_before_5_mib_but_has_one_operation():
    player = Player(payload='"' + "x" * (6 * MEBIBYTE - 2) + '"')
    player.begin()
    player.checkpoint(*(succeeded(each, "x" * MEBIBYTE) for each in "abcdefg"))
    player.suspend()
    player.wait()
    event = player.begin()["InitialExecutionState"]

    assert ["e1"] == ids(event["Operations"])
    page = player.execution.state_page(player.token, event["NextMarker"], 1000)
    assert list("abcde") == ids(page.operations)
    page = player.execution.state_page(player.token, page.next_marker, 1000)
    assert (["f", "g"], None) == (ids(page.operations), page.next_marker)


def test_an_event_that_has_everything_has_no_marker(player):
    assert "" == player.event["InitialExecutionState"]["NextMarker"]


def test_times_are_milliseconds_for_the_handler_and_seconds_for_the_api():
    player = Player()
    player.begin()
    player.now_s += 0.1234
    player.checkpoint(waiting("w", 2), started("s"), retried("s", 3))
    player.suspend()
    player.now_s += 2
    player.wait(0)
    wait, step = player.begin()["InitialExecutionState"]["Operations"][1:]

    assert (1764547200123, 1764547202123) == (wait["StartTimestamp"], wait["EndTimestamp"])
    assert {"ScheduledEndTimestamp": 1764547202123} == wait["WaitDetails"]
    assert 1764547203123 == step["StepDetails"]["NextAttemptTimestamp"]
    _, wait, step = player.execution.state_page(player.token).operations
    assert (1764547200.123, 1764547202.123) == (wait["StartTimestamp"], wait["EndTimestamp"])
    assert 1764547203.123 == step["StepDetails"]["NextAttemptTimestamp"]


def test_what_is_inside_a_completed_context_is_left_out_unless_it_is_replayed(player):
    player.checkpoint(
        opened("done"),
        opened("done-inner", ParentId="done"),
        succeeded("done-step", ParentId="done-inner"),
        opened("big"),
        opened("big-inner", ParentId="big"),
        succeeded("big-step", ParentId="big-inner"),
        opened("failed"),
        succeeded("failed-step", ParentId="failed"),
        opened("running"),
        succeeded("running-step", ParentId="running"),
    )
    player.checkpoint(
        closed("done"),
        closed("big", "", replay=True),
        closed("big-inner"),
        update("failed", "CONTEXT", "FAIL", Error=BOOM),
    )

    assert [["e1", "done", "big", "big-inner", "failed", "running", "running-step"]] == state(player)
    big = player.execution.state_page(player.token).operations[2]
    assert {"Result": "", "ReplayChildren": True} == big["ContextDetails"]


def test_a_poll_keeps_its_state_while_it_runs_again(player):
    player.checkpoint(started("s"), retried("s", 1, Payload="1"))
    player.suspend()
    player.wait()
    player.begin()
    player.checkpoint(started("s"))
    player.crash()
    player.wait()
    step = player.begin()["InitialExecutionState"]["Operations"][1]

    assert ("STARTED", {"Attempt": 1, "Result": "1"}) == (step["Status"], step["StepDetails"])


def test_markers_are_for_one_kind_of_page_of_one_execution(player):
    other = Player(execution_id="e2")
    other.begin()
    for each in (player, other):
        each.checkpoint(*map(succeeded, "abc"))
    markers = {
        "state": player.execution.state_page(player.token, None, 1).next_marker,
        "history": player.execution.history_page(None, 1).next_marker,
        "reversed": player.execution.history_page(None, 1, reverse=True).next_marker,
        "state of another": other.execution.state_page(other.token, None, 1).next_marker,
        "history of another": other.execution.history_page(None, 1).next_marker,
        "nonsense": "nonsense",
    }
    pages = {
        "state": lambda marker: player.execution.state_page(player.token, marker),
        "history": lambda marker: player.execution.history_page(marker),
        "reversed": lambda marker: player.execution.history_page(marker, reverse=True),
    }

    for kind, page in pages.items():
        page(markers[kind])
        for marker in (markers[other_kind] for other_kind in markers if other_kind != kind):
            with pytest.raises(CheckpointRefused, match="Invalid marker"):
                page(marker)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_pages_of_the_history_are_all_of_it_in_either_direction(player, reverse):
    for place in range(130):
        player.checkpoint(succeeded(f"s{place}"))
    everything = [each["EventId"] for each in player.documents()]
    assert list(range(1, 132)) == everything

    for max_items, length in ((0, 100), (50, 50)):
        marker, pages = None, []
        while marker is not None or not pages:
            page = player.execution.history_page(marker, max_items, reverse=reverse)
            pages.append([each["EventId"] for each in page.events])
            marker = page.next_marker
            if reverse:
                player.checkpoint(started(f"{max_items}-{len(pages)}"))  # which moves nothing
        assert {length} == set(map(len, pages[:-1]))
        assert (everything[::-1] if reverse else everything) == list(chain(*pages))[-131:]


def test_a_history_without_data_says_so(player):
    player.checkpoint(called_back("c", timeout_s=60), succeeded("s", '"secret"'))
    player.crash()
    events = player.execution.history_page(include_data=False).events

    assert {"Input": {"Truncated": True}, "ExecutionTimeout": 3600} == events[0]["ExecutionStartedDetails"]
    assert 60 == events[1]["CallbackStartedDetails"]["Timeout"]
    assert {
        "Result": {"Truncated": True},
        "RetryDetails": {"CurrentAttempt": 1},
    } == events[2]["StepSucceededDetails"]
    assert {"Truncated": True} == events[3]["InvocationCompletedDetails"]["Error"]


def test_every_type_of_event_has_details_named_after_it():
    assert 26 == len(EventType)
    player = Player()
    player.begin()
    player.checkpoint(
        opened("x"), closed("x"), waiting("w"), update("s", "STEP", "FAIL", Error=BOOM), called_back("c")
    )
    player.checkpoint(update("w", "WAIT", "CANCEL", Error=BOOM))
    player.succeed(None)

    for event in player.documents():
        assert f"{event['EventType']}Details" in event
    assert {"Error": {"Payload": BOOM, "Truncated": False}} == player.documents()[-3]["WaitCancelledDetails"]
    assert {"Result": {"Truncated": False}} == player.documents()[-1]["ExecutionSucceededDetails"]
