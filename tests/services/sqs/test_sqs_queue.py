"""Rules of one queue that a random history would seldom show: order, fairness, redrive, waiting, scale."""

from __future__ import annotations

import pytest

from engine.services.sqs.queue import Queue, ReceiptStatus
from engine.services.sqs.queue_attributes import QueueAttributes, Redrive
from tests.reachable import reachable

T = 1_000.0


def standard(**policy: object) -> Queue:
    return Queue("q", "arn:q", QueueAttributes(**policy))


def fifo(**policy: object) -> Queue:
    return Queue("q.fifo", "arn:q.fifo", QueueAttributes(fifo=True, **policy))


def sent(queue: Queue, *names: str, at_s: float = T) -> None:
    """Messages like `g1-m1`, their groups before the dash."""
    for name in names:
        group = name.partition("-")[0] if "-" in name else None
        queue.send(at_s, name, name, group=group, dedup_id=name if queue.policy.fifo else None)


def got(queue: Queue, most: int = 10, at_s: float = T, visibility_s: float | None = None) -> list[str]:
    return [message.id for message in queue.receive(most, at_s, visibility_s)]


def test_a_receive_empties_one_group_before_the_next():
    """Groups come in the order in which they became available."""
    queue = fifo()
    sent(queue, "g1-m1", "g2-m1", "g1-m2", "g1-m3")

    assert ["g1-m1", "g1-m2", "g1-m3", "g2-m1"] == got(queue)


def test_a_group_in_flight_is_locked_until_it_is_done():
    """Another send does not unlock it; deleting the last one in flight does."""
    queue = fifo()
    sent(queue, "g1-m1", "g1-m2")
    [first] = queue.receive(1, T)
    sent(queue, "g1-m3")

    assert [] == got(queue)

    queue.delete(first.receipt, T)

    assert ["g1-m2", "g1-m3"] == got(queue)


def test_a_group_given_back_goes_behind_those_that_wait():
    """Visibility 0 on its first message gives back that one alone."""
    queue = fifo()
    sent(queue, "g1-m1", "g1-m2", "g1-m3")
    first, _ = queue.receive(2, T)
    sent(queue, "g2-m1")
    queue.change_visibility(first.receipt, 0, T)

    assert ["g2-m1"] == got(queue, 1)
    assert ["g1-m1"] == got(queue)


def test_a_receive_of_no_time_leaves_the_order():
    """Messages return to the head of their group, the group to the back of the line."""
    queue = fifo()
    sent(queue, "g1-m1", "g1-m2", "g2-m1")

    assert ["g1-m1", "g1-m2"] == got(queue, 2, visibility_s=0)
    assert ["g2-m1", "g1-m1"] == got(queue, 2)


@pytest.mark.parametrize(
    ("extended", "expected"), [(0, []), (1, ["g-foo"]), (2, ["g-foo", "g-bar"])], ids=["foo", "bar", "baz"]
)
def test_an_invisible_message_blocks_those_behind_it(extended, expected):
    """But not those before it."""
    queue = fifo()
    sent(queue, "g-foo", "g-bar", "g-baz")
    messages = queue.receive(3, T, 10)
    queue.change_visibility(messages[extended].receipt, 100, T)

    assert expected == got(queue, at_s=T + 11)


@pytest.mark.parametrize("scope", ["queue", "messageGroup"])
def test_the_same_id_is_accepted_once_in_five_minutes(scope):
    """Also after the message is gone; the first id and sequence number are answered."""
    queue = fifo(deduplication_scope=scope)
    first = queue.send(T, "a", "x", group="g", dedup_id="d")
    [message] = queue.receive(1, T)
    queue.delete(message.receipt, T)

    assert first == queue.send(T + 299, "b", "y", group="g", dedup_id="d")

    other = queue.send(T + 299, "c", "y", group="h", dedup_id="d")

    assert (other == first) == (scope == "queue")
    assert "e" == queue.send(T + 300, "e", "z", group="g", dedup_id="d").message_id


def test_content_is_an_id_too():
    """SHA-256 of the body, and an explicit id that equals it is a duplicate."""
    queue = fifo(content_deduplication=True)
    first = queue.send(T, "a", "body", group="g")
    digest = "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"

    assert first == queue.send(T, "b", "body", group="g")
    assert first == queue.send(T, "c", "other", group="g", dedup_id=digest)
    assert digest == queue.receive(1, T)[0].dedup_id


def test_a_receive_attempt_repeated_gives_the_same_receipts():
    """Unless something has become of one of the messages."""
    queue = fifo()
    sent(queue, "g-1", "g-2")
    first = [(one.id, one.receipt) for one in queue.receive(2, T, 30, "try")]

    assert first == [(one.id, one.receipt) for one in queue.receive(2, T + 20, 30, "try")]
    assert (0, 2) == (queue.messages.visible, queue.messages.in_flight)
    queue.messages.tick(T + 49)
    assert 2 == queue.messages.in_flight  # the timeout began anew

    queue.delete(first[0][1], T + 49)

    assert [] == queue.receive(2, T + 49, 30, "try")


def test_sequence_numbers_have_twenty_digits_and_rise():
    """As text they sort as numbers do."""
    queue = fifo()
    numbers = [queue.send(T, f"m{n}", "x", group="g", dedup_id=f"{n}").sequence_number for n in range(12)]

    assert sorted(numbers) == numbers
    assert {20} == {len(number) for number in numbers}


def test_another_delay_of_a_fifo_queue_applies_to_what_it_holds():
    """A standard queue keeps the delays it gave."""
    for queue, expected in ((fifo(delay_s=100), ["g-1"]), (standard(delay_s=100), [])):
        sent(queue, "g-1")
        policy = QueueAttributes(fifo=queue.policy.fifo, delay_s=10)
        queue.configure(policy, T + 20)

        assert expected == got(queue, at_s=T + 20)


def test_a_message_received_too_often_is_buried_at_the_next_receive():
    """Id, time and count go with it; nothing moves before somebody asks."""
    dead = Queue("dead", "arn:dead", QueueAttributes())
    queue = Queue("q", "arn:q", QueueAttributes(redrive=Redrive("arn:dead", 1)), {"arn:dead": dead}.get)
    sent(queue, "poison")
    got(queue, at_s=T)
    queue.messages.tick(T + 31)

    assert (1, 0) == (queue.messages.visible, dead.messages.visible)
    assert [] == got(queue, at_s=T + 31)

    [message] = dead.receive(1, T + 32)

    assert ("poison", T, 2, "arn:q") == (message.id, message.sent_s, message.receives, message.origin.arn)


def test_a_dead_letter_queue_counts_its_own_receives():
    """A chain of them does not pass a message on unread."""
    last = Queue("last", "arn:last", QueueAttributes())
    dead = Queue("dead", "arn:dead", QueueAttributes(redrive=Redrive("arn:last", 2)), {"arn:last": last}.get)
    queue = Queue("q", "arn:q", QueueAttributes(redrive=Redrive("arn:dead", 2)), {"arn:dead": dead}.get)
    sent(queue, "m")
    received = [got(one, at_s=T + 40 * n) for n, one in enumerate([queue] * 3 + [dead] * 3)]

    assert [["m"], ["m"], [], ["m"], ["m"], []] == received
    assert (0, 0, 1) == (queue.messages.visible, dead.messages.visible, last.messages.visible)


def test_without_its_dead_letter_queue_a_message_stays():
    """Better received again than lost."""
    queue = standard(redrive=Redrive("arn:nowhere", 1))
    sent(queue, "m")
    got(queue)

    assert ["m"] == got(queue, at_s=T + 31)


def test_a_late_extension_leaves_the_message_visible():
    """The next consumer gets it; its receipt is good for deleting it until then."""
    queue = standard()
    sent(queue, "m")
    [message] = queue.receive(1, T, 10)

    assert ReceiptStatus.EXPIRED == queue.change_visibility(message.receipt, 50, T + 20)
    assert (1, 0, 0) == (queue.messages.visible, queue.messages.in_flight, queue.messages.delayed)
    assert ReceiptStatus.DONE == queue.delete(message.receipt, T + 60)
    assert (0, 0, 0) == (queue.messages.visible, queue.messages.in_flight, queue.messages.delayed)


def test_messages_in_flight_expire_too():
    """And unlock what waits behind them."""
    queue = fifo(retention_s=60)
    sent(queue, "g-old")
    got(queue, visibility_s=1_000)
    sent(queue, "g-new", at_s=T + 30)

    assert ["g-new"] == got(queue, at_s=T + 60)


def test_no_more_than_the_limit_is_in_flight():
    """What is deleted makes room."""
    queue = Queue("q", "arn:q", QueueAttributes(), max_in_flight=3)
    sent(queue, *"abcde")
    first = queue.receive(10, T)

    assert ["a", "b", "c"] == [message.id for message in first]
    assert not queue.ready()

    queue.delete(first[0].receipt, T)

    assert ["d"] == got(queue)


# --- fair queues


def test_a_tenant_that_holds_much_waits_for_the_others():
    """More than a tenth of what is in flight, and thirty at least."""
    queue = standard()
    sent(queue, *(f"loud-{n}" for n in range(100)))
    got(queue, 29)
    sent(queue, "quiet-1")

    assert ["loud-29"] == got(queue, 1)  # the thirtieth: now it is noisy
    assert ["quiet-1"] == got(queue, 1)
    assert ["loud-30"] == got(queue, 1)  # nobody else waits


def test_a_message_without_a_group_is_a_tenant_of_its_own():
    """However many of them are in flight."""
    queue = standard()
    sent(queue, *(f"m{n}" for n in range(50)), "quiet-1", "m50")
    got(queue, 50)

    assert ["quiet-1", "m50"] == got(queue)


def test_a_tenant_that_has_become_quiet_is_served_in_order_again():
    """Its share is looked at whenever somebody asks."""
    queue = standard()
    sent(queue, *(f"loud-{n}" for n in range(32)))
    held = queue.receive(31, T)
    sent(queue, "other-1", "other-2")

    assert ["other-1"] == got(queue, 1)

    queue.delete_all((message.receipt for message in held), T)

    assert ["loud-31", "other-2"] == got(queue)


def test_fairness_forgets_tenants():
    """A million tenants one after the other leave nothing."""
    queue = standard()
    for n in range(1_000):
        sent(queue, f"t{n}-1")
        [message] = queue.receive(1, T)
        queue.delete(message.receipt, T)

    assert reachable(queue) < reachable(standard()) + 100


# --- waiting


def test_waiters_are_called_in_turn_one_message_each():
    """Who did not take its message leaves it to the next."""
    queue, calls = standard(), []

    def waiter(name: str, most: int):
        def called(now_s: float) -> None:
            calls.append((name, got(queue, most, now_s)))

        return called

    for name, most in (("gone", 0), ("first", 1), ("second", 1), ("third", 1)):
        queue.wait(waiter(name, most))
    sent(queue, "a", "b")
    queue.wake_waiters(T)

    assert [("gone", []), ("first", ["a"]), ("second", ["b"])] == calls
    assert queue.waiting


def test_the_alarm_is_set_for_whoever_waits():
    """At the time when something becomes visible."""
    alarms = []
    queue = Queue(
        "q", "arn:q", QueueAttributes(delay_s=5), set_timer=lambda _queue, due_s: alarms.append(due_s)
    )
    sent(queue, "a")
    queue.wake_waiters(T)

    assert [] == alarms

    queue.wait(lambda now_s: None)
    queue.wake_waiters(T)

    assert [T + 5] == alarms


def test_a_waiter_may_use_the_queue_and_wait_again():
    """Waking is not nested, and ends."""
    queue, seen = standard(), []

    def waiter(now_s: float) -> None:
        seen.extend(got(queue, 1, now_s))
        if len(seen) < 3:
            sent(queue, f"m{len(seen)}", at_s=now_s)
        queue.wait(waiter)
        queue.wake_waiters(now_s)

    queue.wait(waiter)
    sent(queue, "m0")
    for _ in range(5):
        queue.wake_waiters(T)

    assert ["m0", "m1", "m2"] == seen


def test_a_forgotten_waiter_is_not_called():
    """Its place goes to the next."""
    queue, seen = standard(), []
    first, second = (lambda name: lambda now_s: seen.append(name)), None
    second = first("second")
    gone = first("gone")
    queue.wait(gone)
    queue.wait(second)
    queue.forget(gone)
    sent(queue, "m")
    queue.wake_waiters(T)

    assert ["second"] == seen


def test_purge_forgets_everything():
    """In flight, delayed, visible, and the ids of deduplication."""
    queue = fifo()
    sent(queue, "g-1", "g-2", "h-1")
    [held] = queue.receive(1, T)
    queue.purge()

    assert (0, 0, 0) == (queue.messages.visible, queue.messages.in_flight, queue.messages.delayed)
    assert ReceiptStatus.GONE == queue.delete(held.receipt, T)

    sent(queue, "g-1")

    assert ["g-1"] == got(queue)


@pytest.mark.parametrize("kind", ["standard", "fifo"])
def test_indexes_stay_as_small_as_what_they_hold(kind):
    """A message that stays for days does not keep those around it alive."""
    queue = fifo() if kind == "fifo" else standard()
    sent(queue, "stuck-1")
    got(queue, visibility_s=40_000)
    for n in range(3_000):
        sent(queue, f"g{n % 7}-{n}", at_s=T + n)
        [message] = queue.receive(1, T + n, 40_000)
        queue.delete(message.receipt, T + n)

    assert reachable(queue) < 3_000
    assert 1 == queue.messages.statistics().receipts
