"""The states of a message: each row of the table in `message.py` happens, and nothing else does."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.sqs import message as module
from engine.services.sqs.message import DELAYED, GONE, IN_FLIGHT, VISIBLE, MessageState
from engine.services.sqs.queue import Queue
from engine.services.sqs.queue_attributes import QueueAttributes, Redrive

RETENTION_S = 1_000.0
TIMEOUT_S = 30.0
DEAD = Queue("dead", "arn:dead", QueueAttributes())
STATES = {"(new)": None, **MessageState.__members__}
ROWS = re.findall(r"^\| (\S+) +\| ([A-Z_]+) +\|", module.__doc__, re.MULTILINE)
TRANSITIONS = {(STATES[before], STATES[after]) for before, after in ROWS}
"""The rows of the table in `message.py`."""


def queue_of(state: MessageState | None) -> tuple[Queue, int]:
    """A queue with one message in that state at the time 0 and the receipt of the message, 0 for none."""
    policy = QueueAttributes(retention_s=RETENTION_S, visibility_s=TIMEOUT_S, redrive=Redrive("arn:dead", 1))
    queue, receipt = Queue("q", "arn:q", policy, {"arn:dead": DEAD}.get), 0
    if state is not None:
        queue.send(0.0, "m", "m", delay_s=10 if state is DELAYED else None)
    if state is IN_FLIGHT:
        [message] = queue.receive(1, 0.0)
        receipt = message.receipt
    return queue, receipt


def received_before() -> tuple[Queue, int]:
    """A queue whose one message is visible again after a receive, and the receipt."""
    queue, receipt = queue_of(IN_FLIGHT)
    queue.change_visibility(receipt, 0, 0.0)
    return queue, receipt


def state_of(queue: Queue) -> MessageState | None:
    """State of the one message; None if the queue is empty."""
    counts = {
        VISIBLE: queue.messages.visible,
        IN_FLIGHT: queue.messages.in_flight,
        DELAYED: queue.messages.delayed,
    }
    [*states] = [state for state, count in counts.items() if count]
    assert sum(counts.values()) <= 1
    return states[0] if states else None


Step = Callable[[Queue, int], object]
STEPS: list[tuple[str, MessageState | None, MessageState, Step]] = [
    ("sent", None, VISIBLE, lambda queue, _: queue.send(0.0, "m", "m")),
    ("sent with a delay", None, DELAYED, lambda queue, _: queue.send(0.0, "m", "m", delay_s=10)),
    ("the delay is over", DELAYED, VISIBLE, lambda queue, _: queue.messages.tick(10.0)),
    ("retention, delayed", DELAYED, GONE, lambda queue, _: queue.messages.tick(RETENTION_S)),
    ("purged, delayed", DELAYED, GONE, lambda queue, _: queue.purge()),
    ("received", VISIBLE, IN_FLIGHT, lambda queue, _: queue.receive(1, 0.0)),
    ("taken by a move task", VISIBLE, GONE, lambda queue, _: queue.take_visible(1, 0.0)),
    ("retention, visible", VISIBLE, GONE, lambda queue, _: queue.messages.tick(RETENTION_S)),
    ("purged, visible", VISIBLE, GONE, lambda queue, _: queue.purge()),
    ("the timeout is over", IN_FLIGHT, VISIBLE, lambda queue, _: queue.messages.tick(TIMEOUT_S)),
    ("given back", IN_FLIGHT, VISIBLE, lambda queue, receipt: queue.change_visibility(receipt, 0, 0.0)),
    ("deleted", IN_FLIGHT, GONE, lambda queue, receipt: queue.delete(receipt, 0.0)),
    ("retention, in flight", IN_FLIGHT, GONE, lambda queue, _: queue.messages.tick(RETENTION_S)),
    ("purged, in flight", IN_FLIGHT, GONE, lambda queue, _: queue.purge()),
]


@pytest.mark.parametrize(
    ("before", "after", "step"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_a_message_goes_from_state_to_state_as_the_table_says(before, after, step):
    """Read from the counts of the queue; a message that is GONE is in none of them."""
    queue, receipt = queue_of(before)
    assert before == state_of(queue)
    step(queue, receipt)

    assert (None if after is GONE else after) == state_of(queue)


def test_an_old_receipt_deletes_a_visible_message_and_does_not_hide_it():
    """On standard queues."""
    hidden, receipt = received_before()
    hidden.change_visibility(receipt, 5, 0.0)
    deleted, other = received_before()
    deleted.delete(other, 0.0)

    assert (VISIBLE, None) == (state_of(hidden), state_of(deleted))


def test_a_message_received_too_often_goes_to_the_dead_letter_queue():
    """By the receive that would have been one too many."""
    queue, _ = received_before()
    DEAD.purge()

    assert [] == queue.receive(1, 0.0)
    assert (None, VISIBLE) == (state_of(queue), state_of(DEAD))


def test_the_steps_above_are_all_rows_of_the_table():
    """And the other way round."""
    assert TRANSITIONS == {(before, after) for _, before, after, _ in STEPS}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tick", "receive", "delete", "hide", "give back"]), st.floats(0, RETENTION_S / 4)
        )
    ),
    st.sampled_from([VISIBLE, DELAYED, IN_FLIGHT]),
)
def test_no_history_of_a_message_takes_a_step_that_is_not_in_the_table(history, first):
    """Whatever is done with it, with any receipt it ever had."""
    queue, receipt = queue_of(first)
    queue.configure(QueueAttributes(retention_s=RETENTION_S, visibility_s=TIMEOUT_S), 0.0)
    now_s = 0.0
    for step, wait_s in history:
        now_s += wait_s
        for act in ("tick", step):  # what is due first, on its own
            before = state_of(queue) or GONE
            if act == "tick":
                queue.messages.tick(now_s)
            elif act == "receive":
                receipt = next((message.receipt for message in queue.receive(1, now_s)), receipt)
            elif act == "delete":
                queue.delete(receipt, now_s)
            else:
                queue.change_visibility(receipt, 5 if act == "hide" else 0, now_s)
            after = state_of(queue) or GONE

            assert before is after or (before, after) in TRANSITIONS
