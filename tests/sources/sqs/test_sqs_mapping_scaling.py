"""How many batches run at a time, on a real queue and in virtual time: AWS's ramp, and its bounds."""

import asyncio
from decimal import Decimal

import anyio
import pytest

from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.core.scaling.pollers import Reason
from engine.ports import Binding, Host, ServiceRegistry
from engine.services.sqs.service import SqsService
from engine.sources.sqs.settings import SqsEvent
from engine.sources.sqs.source import SqsSource
from engine.testing import Act

FREE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))


class Steady:
    """A sink without an engine: every event succeeds `takes_s` later. Keeps the highest concurrency."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.running = self.peak = self.ended = 0
        self.status = Status.SUCCESS

    def submit(self, event, reply):
        self.running += 1
        self.peak = max(self.peak, self.running)
        asyncio.get_running_loop().call_later(self.takes_s, self._end, event, reply)

    def _end(self, event, reply):
        self.running -= 1
        self.ended += 1
        reply(Outcome(self.status, b"null", event.request_id, FREE))


class Ramp:
    """A queue full of messages, and a mapping that drains it."""

    def __init__(self, messages, takes_s=1.0, **event):
        self.clock = asyncio.get_running_loop().clock
        services = ServiceRegistry()
        host = Host(account=Account(), clock=self.clock, new_request_id=str, listen={}, services=services)
        service = services.add(SqsService(host))
        self.queue = service.queues.create("q", {}, {}, self.clock.now())
        for _ in range(messages):
            self.queue.send(self.clock.now(), "id", "x")
        settings = SqsEvent(queue="q", batch_size=1, **event)
        function = Function("work", handler="a.b")
        self.source = SqsSource.build([Binding(function=function, settings=settings)], host)
        self.sink, self.stopping = Steady(takes_s), anyio.Event()

    async def sample(self, seconds):
        """Batches that run, a moment after each second from the start."""
        running = []
        async with anyio.create_task_group() as group:
            await group.start(self.source.serve, self.sink, self.stopping)
            began_s = self.clock.now()
            for second in range(seconds):
                await anyio.sleep(began_s + second + 0.05 - self.clock.now())
                running.append(self.sink.running)
            self.stopping.set()
        return running


async def test_a_backlog_is_met_with_five_then_three_hundred_a_minute_up_to_the_ceiling():
    """Within one poller of the closed form, second by second; then the ceiling holds."""
    running = await Ramp(25_000, takes_s=10.0).sample(255)

    expected = [min(1250, 5 + 5 * second) for second in range(255)]
    assert 1 >= max(abs(a - b) for a, b in zip(running, expected, strict=True))
    assert 1250 == running[-1]


async def test_provisioned_pollers_begin_at_twenty_and_add_a_thousand_a_minute():
    """Two pollers of ten; 16 or 17 more each second."""
    running = await Ramp(3_000, provisioned_pollers={"minimum": 2, "maximum": 20}).sample(14)

    expected = [min(200, 20 + 1000 / 60 * second) for second in range(14)]
    assert 1.7 >= max(abs(a - b) for a, b in zip(running, expected, strict=True))


async def test_maximum_concurrency_holds_from_the_first_batch_on():
    """The ramp ends there."""
    running = await Ramp(500, maximum_concurrency=12).sample(6)

    assert [5, 10, 12, 12, 12, 12] == pytest.approx(running, abs=1)
    assert 12 == max(running)


async def test_while_invocations_fail_concurrency_does_not_grow():
    """AWS slows down too; its numbers are not published."""
    ramp = Ramp(3_000)
    ramp.sink.status = Status.ERROR
    running = await ramp.sample(25)

    assert 5 <= min(running)
    assert 5 == max(running[15:])


async def test_reporting_functions_are_not_slowed_down_by_failures():
    """As AWS says of partial batch responses."""
    ramp = Ramp(3_000, report_batch_item_failures=True)
    ramp.sink.status = Status.ERROR
    running = await ramp.sample(20)

    assert [5 + 5 * second for second in range(20)] == pytest.approx(running, abs=1)


async def test_an_idle_mapping_goes_down_to_two(make_site):
    """After a minute without messages, as fast as it came up."""
    async with make_site({"batch_size": 1}, act=lambda _: Act(takes_s=1)) as site:
        site.send(*["x"] * 200)
        await anyio.sleep(30)
        [(_, busy)] = site.source.statistics()
        await anyio.sleep(200)
        [(_, idle)] = site.source.statistics()

        assert busy.wanted > 30
        assert (2, Reason.FLOOR, 0) == (idle.wanted, idle.reason, idle.running)


@pytest.mark.parametrize(
    "scaling", ["deadline", "knative", "target", {"policy": "deadline", "deadline_s": 30, "ceiling": 40}]
)
async def test_other_policies_drain_a_queue_too(make_site, scaling):
    """They count batches as they count environments."""
    async with make_site({"batch_size": 1, "scaling": scaling}, act=lambda _: Act(takes_s=1)) as site:
        site.send(*["x"] * 50)
        await anyio.sleep(120)

        assert (0, 0) == site.left()
