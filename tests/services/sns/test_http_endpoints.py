"""HTTP endpoints of subscribers: what an answer means, and how many are asked at a time."""

import asyncio
import contextlib

import pytest

from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DeliveryError, DestinationRecord
from engine.services.deliveries.retry_law import SNS_HTTP_LAW
from engine.services.sns.http_endpoints import MAX_WAITING_OF_ENDPOINT, HttpPort
from engine.services.sns.publisher import HttpDelivery

X = "http://x.example/"


def delivery(body=b"m", target=X):
    record = DestinationRecord(body=body)
    return HttpDelivery(
        service="sns",
        kind="http",
        target=target,
        record=record,
        law=SNS_HTTP_LAW,
        dead_letter_queue=None,
        dead_letter=lambda _: record,
        headers={"a": "b"},
    )


class Worker:
    """Runs what blocks after a second, and counts how much of it there is."""

    def __init__(self):
        self.tasks, self.begun, self.running, self.most = set(), [], 0, 0
        self.counts = DeliveryCounts()

    def port(self, post=lambda _url, _headers, _body: 200):
        return HttpPort(self.spawn, self.offload, self.counts, post)

    def spawn(self, function, *arguments):
        task = asyncio.ensure_future(function(*arguments))
        self.tasks.add(task)

    async def offload(self, work):
        self.begun.append(work.args[0])
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(1)
        self.running -= 1
        return work()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, None), (204, None), (404, False), (302, False), (429, True), (500, True), (503, True)],
)
async def test_a_status_is_taken_refused_or_worth_another_attempt(status, expected):
    """Redirects are not followed."""
    worker, said = Worker(), []
    worker.port(lambda _url, _headers, _body: status)(delivery(), said.append)
    await asyncio.gather(*worker.tasks)
    [error] = said

    assert expected == (None if error is None else error.is_temporary)


@pytest.mark.parametrize(("error", "expected"), [(OSError("refused"), True), (ValueError("port"), False)])
async def test_what_cannot_be_reached_is_tried_again_unless_it_is_no_address(error, expected):
    def fails(_url, _headers, _body):
        raise error

    worker, said = Worker(), []
    worker.port(fails)(delivery(), said.append)
    await asyncio.gather(*worker.tasks)

    assert [expected] == [one.is_temporary for one in said]


async def test_a_burst_waits_for_its_turn_and_none_of_it_has_failed():
    """Sixteen are asked at a time; what waits is counted until it goes out."""
    worker, said = Worker(), []
    port = worker.port()
    for _ in range(3_000):
        port(delivery(), said.append)
    waiting = worker.counts.waiting["sns"]
    await asyncio.gather(*worker.tasks)

    assert 3_000 - 16 == waiting
    assert (16, [None] * 3_000) == (worker.most, said)
    assert (0, 0) == (worker.counts.waiting["sns"], worker.counts.waiting_bytes)


async def test_what_finds_a_queue_full_is_given_up_and_other_endpoints_have_their_own():
    """As many as may wait for one endpoint; another attempt would not help."""
    worker, said = Worker(), []
    port = worker.port()
    for _ in range(16 + MAX_WAITING_OF_ENDPOINT):
        port(delivery(), said.append)
    with pytest.raises(DeliveryError) as caught:
        port(delivery(), said.append)
    for _ in range(17):
        port(delivery(target="http://y.example/"), said.append)

    assert not caught.value.is_temporary
    assert MAX_WAITING_OF_ENDPOINT + 1 == worker.counts.waiting["sns"]
    port.close()


async def test_one_endpoint_leaves_as_many_bytes_to_the_others_as_it_takes():
    """Of 128 MiB the first has 64, the next half of the rest."""
    worker, took = Worker(), []
    port = worker.port()
    body = bytes(1 << 20)
    for target in (X, "http://y.example/"):
        with contextlib.suppress(DeliveryError):
            for _ in range(129):
                port(delivery(body, target), took.append)
        took.append(worker.counts.waiting["sns"])
    port.close()

    assert [64, 64 + 32] == took[:2]


async def test_an_endpoint_that_hangs_keeps_only_its_own_messages():
    """However many wait for it."""
    loop, ends_s, hang = asyncio.get_running_loop(), {}, {"http://hangs.example/": 15.0}

    async def offload(work):
        url = work.args[0]
        await asyncio.sleep(hang.get(url, 0.5))
        ends_s.setdefault(url, loop.time() - began_s)
        return work()

    worker = Worker()
    port = HttpPort(worker.spawn, offload, worker.counts, lambda _url, _headers, _body: 200)
    began_s = loop.time()
    for _ in range(40):
        port(delivery(target="http://hangs.example/"), lambda _: None)
    port(delivery(), lambda _: None)
    await asyncio.gather(*worker.tasks)

    assert pytest.approx(0.5) == ends_s[X]


async def test_places_that_are_few_go_to_the_endpoints_in_turn():
    """256 requests to all: one more endpoint has the next place, not the endpoint that gave it back."""
    worker = Worker()
    port = worker.port()
    for number in range(16):
        for _ in range(32):
            port(delivery(target=f"http://{number}.example/"), lambda _: None)
    for _ in range(3):
        port(delivery(), lambda _: None)
    await asyncio.gather(*worker.tasks)

    assert 256 == worker.most
    assert 16 * 32 + 3 == len(worker.begun)
    assert 256 <= worker.begun.index(X) < 256 + 16


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_closed_it_fails_what_waits_and_begins_nothing(is_cancelled):
    """A request that is cancelled has failed too: none is lost without a word."""
    worker, said = Worker(), []
    port = worker.port()
    for _ in range(18):
        port(delivery(), said.append)
    await asyncio.sleep(0.5)
    port.close()
    waited = list(said)
    if is_cancelled:
        for task in worker.tasks:
            task.cancel()
    await asyncio.gather(*worker.tasks, return_exceptions=True)
    with pytest.raises(DeliveryError, match="the engine stops"):
        port(delivery(), said.append)

    assert ["the engine stops"] * 2 == [error.reason for error in waited]
    assert ([None] * 16 if not is_cancelled else [False] * 16) == [
        error and error.is_temporary for error in said[2:]
    ]
    assert (0, 0) == (worker.counts.waiting["sns"], worker.counts.waiting_bytes)
