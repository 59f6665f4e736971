"""HTTP endpoints of subscribers: what an answer means, and how many are asked at a time."""

import asyncio

import pytest

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.services.deliveries.retry_law import SNS_HTTP_LAW
from engine.services.sns.http_endpoints import HttpPort
from engine.services.sns.publisher import HttpDelivery


def delivery(body=b"m"):
    record = DestinationRecord(body=body)
    return HttpDelivery(
        service="sns",
        kind="http",
        target="http://x.example/",
        record=record,
        law=SNS_HTTP_LAW,
        dead_letter_queue=None,
        dead_letter=lambda _: record,
        headers={"a": "b"},
    )


class Worker:
    """Runs what blocks after a second, and counts how much of it there is."""

    def __init__(self):
        self.tasks, self.running, self.most = set(), 0, 0

    def spawn(self, function, *arguments):
        task = asyncio.ensure_future(function(*arguments))
        self.tasks.add(task)

    async def offload(self, work):
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
    HttpPort(worker.spawn, worker.offload, lambda _url, _headers, _body: status)(delivery(), said.append)
    await asyncio.gather(*worker.tasks)
    [error] = said

    assert expected == (None if error is None else error.is_temporary)


@pytest.mark.parametrize(("error", "expected"), [(OSError("refused"), True), (ValueError("port"), False)])
async def test_what_cannot_be_reached_is_tried_again_unless_it_is_no_address(error, expected):
    def fails(_url, _headers, _body):
        raise error

    worker, said = Worker(), []
    HttpPort(worker.spawn, worker.offload, fails)(delivery(), said.append)
    await asyncio.gather(*worker.tasks)

    assert [expected] == [one.is_temporary for one in said]


async def test_sixteen_are_asked_at_a_time_and_a_thousand_wait():
    """One more is to try again later."""
    worker, said = Worker(), []
    port = HttpPort(worker.spawn, worker.offload, lambda _url, _headers, _body: 200)
    for _ in range(1_000):
        port(delivery(), said.append)
    with pytest.raises(DeliveryError) as caught:
        port(delivery(), said.append)
    await asyncio.gather(*worker.tasks)

    assert caught.value.is_temporary
    assert (16, 1_000) == (worker.most, said.count(None))
