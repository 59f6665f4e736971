"""Deliveries under way: retries on one timer, dead letters, bounds and counters. On virtual time."""

import asyncio
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DeliveryError, DestinationRecord
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import Delivery, port_of
from engine.services.deliveries.retry_law import EVENTBRIDGE_LAW, SNS_HTTP_LAW, SNS_LAW
from engine.testing import VirtualTimeLoop

TARGET = "arn:aws:sqs:us-east-1:000000000000:q"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"


class Site:
    """Deliveries to one target that does as it is told, and a dead-letter queue."""

    def __init__(self, **bounds):
        loop = asyncio.get_running_loop()
        self.clock, self.began_s = loop.clock, loop.clock.now()
        self.counts = DeliveryCounts()
        self.tried_s, self.letters, self.errors = [], [], []
        ports = {"sqs": port_of(self.take), "http": self.take_later}
        self.deliveries = Deliveries(loop, loop.clock, Random(1), ports, self.bury, self.counts, **bounds)
        self.dead_letter_queue_is_there = True

    def take(self, _target, _record):
        self.tried_s.append(round(self.clock.now() - self.began_s, 3))
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    def take_later(self, _delivery, done):
        self.tried_s.append(round(self.clock.now() - self.began_s, 3))
        error = self.errors.pop(0) if self.errors else None
        asyncio.get_running_loop().call_later(0.5, done, error)

    def bury(self, arn, record):
        if not self.dead_letter_queue_is_there:
            raise DeliveryError(arn, "The specified queue does not exist.")
        self.letters.append((arn, record))

    def deliver(self, kind="sqs", law=SNS_LAW, queue=DEAD, service="sns", body=b"1"):
        def letter(given_up):
            self.given_up = given_up
            return DestinationRecord(body=b"dead")

        self.deliveries.deliver(
            Delivery(
                service=service,
                kind=kind,
                target=TARGET,
                record=DestinationRecord(body=body),
                law=law,
                dead_letter_queue=queue,
                dead_letter=letter,
            )
        )


def busy(count):
    return [DeliveryError(TARGET, "busy", "THROTTLING", True) for _ in range(count)]


async def test_what_the_target_takes_is_delivered_at_once():
    """Within the call."""
    site = Site()
    site.deliver()

    assert [0.0] == site.tried_s
    assert {"sns": {"sqs": {"delivered": 1}}} == site.counts.ended
    assert 0 == site.deliveries.waiting


async def test_a_server_error_is_tried_again_by_the_law():
    """The first three attempts at once, then after a second each, less the jitter."""
    site = Site()
    site.errors = busy(4)
    site.deliver()
    waiting = site.deliveries.waiting, site.counts.waiting["sns"]
    await asyncio.sleep(10)

    assert (1, 1) == waiting
    assert [0.0, 0.0, 0.0, 1.0, 2.0] == [pytest.approx(at_s, abs=0.2) for at_s in site.tried_s]
    assert {"retried": 4, "delivered": 1} == site.counts.ended["sns"]["sqs"]
    assert (0, 0, 0) == (site.deliveries.waiting, site.counts.waiting["sns"], site.counts.waiting_bytes)


async def test_a_client_error_goes_to_the_dead_letter_queue_at_once():
    """No attempt is made again for a target that is not there."""
    site = Site()
    site.errors = [DeliveryError(TARGET, "The specified queue does not exist.")]
    site.deliver()
    await asyncio.sleep(100)

    assert [0.0] == site.tried_s
    assert [(DEAD, DestinationRecord(body=b"dead"))] == site.letters
    assert (1, None, "NO_RESOURCE") == (
        site.given_up.attempts,
        site.given_up.exhausted,
        site.given_up.error.code,
    )
    assert {"dead_letter": 1} == site.counts.ended["sns"]["sqs"]


async def test_a_kind_of_target_that_is_not_there_is_a_client_error():
    """The dead-letter queue has it."""
    site = Site()
    site.deliver("events", service="events")

    assert "the engine has no such target" == site.given_up.error.reason
    assert {"events": {"events": {"dead_letter": 1}}} == site.counts.ended


async def test_the_end_of_the_law_is_a_dead_letter_with_what_ended_it():
    """185 retries, or the age that the target allows."""
    site = Site()
    site.errors = busy(1000)
    site.deliver(law=EVENTBRIDGE_LAW, service="events")
    await asyncio.sleep(86_400)
    by_number = site.given_up
    site.deliver(law=EVENTBRIDGE_LAW.limited(None, 60.0), service="events")
    await asyncio.sleep(100)

    assert (186, "MaximumRetryAttempts") == (by_number.attempts, by_number.exhausted)
    assert "MaximumEventAgeInSeconds" == site.given_up.exhausted
    assert 2 == len(site.letters)
    assert 2 == site.counts.ended["events"]["sqs"]["dead_letter"]


async def test_without_a_dead_letter_queue_that_takes_it_a_delivery_is_dropped_and_logged_once(caplog):
    """One line for each target, however many are dropped."""
    site = Site()
    site.errors = [DeliveryError(TARGET, "is gone") for _ in range(3)]
    site.deliver(queue=None)
    site.dead_letter_queue_is_there = False
    site.deliver()
    site.deliver()

    assert {"dropped": 3} == site.counts.ended["sns"]["sqs"]
    assert [f"a delivery of sns to {TARGET} was dropped: is gone"] == caplog.messages


async def test_what_waits_is_bounded_in_number_and_bytes():
    """What finds no room is given up at once."""
    few, small = Site(max_waiting=2), Site(max_waiting_bytes=5000)
    few.errors, small.errors = busy(3), busy(3)
    for _ in range(3):
        few.deliver(law=SNS_HTTP_LAW)
        small.deliver(law=SNS_HTTP_LAW, body=b"x" * 1500)

    assert (2, 1) == (few.deliveries.waiting, len(few.letters))
    assert "too many deliveries wait for another attempt; the last: busy" == few.given_up.error.reason
    assert (1, 2) == (small.deliveries.waiting, len(small.letters))


async def test_an_attempt_may_end_later():
    """As those over HTTP do; the wait begins then."""
    site = Site()
    site.errors = busy(1)
    site.deliver("http", SNS_HTTP_LAW)
    await asyncio.sleep(60)

    assert [0.0, 20.5] == site.tried_s
    assert {"retried": 1, "delivered": 1} == site.counts.ended["sns"]["http"]


async def test_closed_it_gives_up_what_waits_and_what_fails_later():
    """Each goes to its dead-letter queue; no timer is left."""
    site = Site()
    site.errors = busy(2)
    site.deliver(law=SNS_HTTP_LAW)
    site.deliver("http", SNS_HTTP_LAW)
    given_up = site.deliveries.close()
    await asyncio.sleep(1)

    assert 1 == given_up
    assert 2 == len(site.letters)
    assert [] == asyncio.get_running_loop().timers()
    assert 0 == site.counts.waiting["sns"]


async def test_many_that_are_due_at_once_share_the_loop():
    """One timer makes the attempts of all."""
    site = Site()
    site.errors = busy(1000)
    for _ in range(1000):
        site.deliver(law=SNS_HTTP_LAW)
    timers = len(asyncio.get_running_loop().timers())
    await asyncio.sleep(21)

    assert 1 == timers
    assert {"retried": 1000, "delivered": 1000} == site.counts.ended["sns"]["sqs"]


@given(
    st.lists(st.sampled_from(["sqs", "http", "events"]), max_size=12),
    st.lists(st.sampled_from([None, True, False]), max_size=40),
    st.integers(0, 5),
    st.floats(0, 3000),
    st.booleans(),
)
def test_each_delivery_ends_exactly_once(kinds, errors, room, closed_after_s, is_letter_taken):
    """Whatever its targets answer, how little room there is, and whenever the engine stops."""

    async def scenario():
        site = Site(max_waiting=room)
        site.errors = [
            None if temporary is None else DeliveryError(TARGET, "busy", "THROTTLING", temporary)
            for temporary in errors
        ]
        site.dead_letter_queue_is_there = is_letter_taken
        for kind in kinds:
            site.deliver(kind, EVENTBRIDGE_LAW.limited(8, None))
            await asyncio.sleep(1)
        waited = site.deliveries.waiting
        await asyncio.sleep(closed_after_s)
        site.deliveries.close()
        await asyncio.sleep(1)
        return site, waited

    loop = VirtualTimeLoop()
    try:
        site, waited = loop.run_until_complete(scenario())
        timers = loop.timers()
    finally:
        loop.close()
    ended = Counter()
    for by_outcome in site.counts.ended.get("sns", {}).values():
        ended.update(by_outcome)

    assert len(kinds) == ended["delivered"] + ended["dead_letter"] + ended["dropped"]
    assert len(site.letters) == ended["dead_letter"]
    assert waited <= room
    assert (0, 0, []) == (site.counts.waiting.get("sns", 0), site.counts.waiting_bytes, timers)
