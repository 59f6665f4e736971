"""What happens to very many messages at once happens a part at a time: no step is long."""

import asyncio
import gc

from engine.services.sqs.message import GONE, Message
from engine.services.sqs.message_store import MAX_AT_ONCE
from engine.services.sqs.queue import Queue
from engine.services.sqs.queue_attributes import QueueAttributes
from engine.services.sqs.queue_timers import free

COUNT = 3 * MAX_AT_ONCE + 7


def queue(**policy):
    asked = []
    policy = QueueAttributes(**policy)
    return Queue("q", "arn", policy, set_timer=lambda _queue, due_s: asked.append(due_s)), asked


def fill(one, **more):
    for number in range(COUNT):
        one.send(0.0, str(number), "body", **more)


def ticks(one, asked, now_s):
    """How the numbers change until nothing is due any more."""
    seen = []
    while True:
        asked.clear()
        one.messages.tick(now_s)
        numbers = one.messages.statistics()
        seen.append((numbers.visible, numbers.delayed))
        if not asked:
            return seen
        assert [now_s] == asked


def test_delays_that_end_together_end_in_parts_and_ask_for_the_next():
    """None is forgotten, whoever asks."""
    one, asked = queue()
    fill(one, delay_s=1.0)
    steps = [MAX_AT_ONCE, 2 * MAX_AT_ONCE, 3 * MAX_AT_ONCE, COUNT]

    assert [(done, COUNT - done) for done in steps] == ticks(one, asked, 5.0)


def test_retention_that_ends_together_ends_in_parts():
    """At the end the queue is empty."""
    one, asked = queue(retention_s=60)
    fill(one)
    steps = [MAX_AT_ONCE, 2 * MAX_AT_ONCE, 3 * MAX_AT_ONCE, COUNT]

    assert [(COUNT - done, 0) for done in steps] == ticks(one, asked, 61.0)


def test_messages_whose_retention_ends_are_freed_with_the_step_that_removes_them():
    """Not half of the queue in one of the steps."""

    def alive():
        return sum(type(found) is Message for found in gc.get_objects())

    one, asked = queue(retention_s=60)
    fill(one)
    before, freed = alive(), []
    while True:
        asked.clear()
        one.messages.tick(61.0)
        freed.append(before - alive())
        before -= freed[-1]
        if not asked:
            break

    assert [MAX_AT_ONCE, MAX_AT_ONCE, MAX_AT_ONCE, COUNT - 3 * MAX_AT_ONCE] == freed


async def test_a_purged_queue_is_empty_at_once_and_freed_later():
    """What is freed a little at a time cannot be had any more."""
    one, _ = queue()
    fill(one)
    messages = one.messages.all()
    purged = one.purge()
    none = one.receive(1.0, 10)
    one.send(1.0, "new", "body")
    freed = []
    free(purged)
    while messages[-1].state != GONE:
        freed.append(sum(message.state == GONE for message in messages))
        await asyncio.sleep(0)

    assert [] == list(none)
    assert len(freed) > 3
    assert {GONE} == {message.state for message in messages}
    assert 1 == one.messages.statistics().visible
