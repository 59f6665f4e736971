"""What an operation costs does not grow with the queue: counted in steps, not in seconds.

`ENGINE_SCALE_MESSAGES=1000000 pytest ...` takes a million messages, which take longer to make.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator

import pytest

from engine.services.sqs.queue import Queue
from engine.services.sqs.queue_attributes import QueueAttributes, Redrive

FEW = 1_000
MANY = int(os.environ.get("ENGINE_SCALE_MESSAGES", "100000"))
ROUNDS = 300
T = 1_000.0
HIDDEN_S = 40_000.0


class Steps:
    """Counts lines of the queue's code that run, each turn of a loop or comprehension as one.

    What it does not see, the inside of the standard library's heap, is O(log n) a call.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame, event: str, arg: object):
        if "/engine/services/sqs/" not in frame.f_code.co_filename:
            return None
        self.count += event == "line"
        return self

    def of(self, act: Callable[[], None]) -> int:
        """Those that `act` takes."""
        before, self.count = sys.gettrace(), 0
        sys.settrace(self)
        try:
            act()
        finally:
            sys.settrace(before)
        return self.count


def made(name: str) -> Queue:
    """A queue without messages, and a dead-letter queue it may be told to use."""
    policy = QueueAttributes(fifo=name.endswith(".fifo"))
    dead = Queue(f"dead-{name}", "arn:dead", policy)
    return Queue(name, "arn:q", policy, {dead.arn: dead}.get)


def standard(size: int) -> Queue:
    """Without groups: a tenth in flight, a tenth delayed."""
    queue = made("q")
    for _ in range(size // 10):
        queue.send(T, "id", "body")
        queue.send(T, "id", "body", delay_s=900)
    for _ in range(8 * size // 10):
        queue.send(T, "id", "body")
    hold(queue, size)
    return queue


def fair(size: int) -> Queue:
    """Tenants: one of them with half of it all, the others with ten messages each."""
    queue = made("q")
    for n in range(size // 2):
        queue.send(T, "id", "body", group=f"tenant {n // 10}")
        queue.send(T, "id", "body", group="loud")
    hold(queue, size)
    return queue


def fifo(size: int) -> Queue:
    """Groups of ten messages, the ids of all still known."""
    queue = made("q.fifo")
    for n in range(size):
        queue.send(T, "id", "body", group=f"group {n // 10}", dedup_id=str(n))
    hold(queue, size)
    return queue


def hold(queue: Queue, size: int) -> None:
    """A tenth is in flight, for long."""
    for _ in range(min(size // 10, 100_000) // 10):
        queue.receive(10, T, HIDDEN_S)


def life(queue: Queue) -> Iterator[None]:
    """Messages come, are received, come back, are given back, move, and are deleted."""
    queue.configure(QueueAttributes(fifo=queue.policy.fifo, redrive=Redrive("arn:dead", 2)), T)
    now_s = T + 1
    for n in range(ROUNDS):
        now_s += 0.1
        for one in range(10):
            queue.send(now_s, "new", "body", group=f"new {n}", dedup_id=f"new {n} {one}", delay_s=one % 2)
        first, second, *rest = queue.receive(10, now_s, 5)
        queue.change_visibility(first.receipt, 0, now_s)
        queue.change_visibility(second.receipt, 30, now_s)
        queue.delete_all([message.receipt for message in rest[:6]], now_s)
        queue.messages.next_due_s()
        queue.ready()
        yield


@pytest.mark.parametrize("build", [standard, fair, fifo])
def test_operations_on_many_messages_take_the_steps_of_those_on_a_thousand(build):
    """Sums over many rounds, so that sweeps count too; less than twice as many."""
    counted = []
    gc.disable()  # or it looks at every message again and again
    try:
        for messages in (FEW, MANY):
            rounds = life(build(messages))
            next(rounds)
            counted.append(Steps().of(lambda rounds=rounds: sum(1 for _ in rounds)))
    finally:
        gc.enable()
    few, many = counted

    assert many < 2 * few
