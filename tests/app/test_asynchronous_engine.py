"""Asynchronous invocation of a whole engine, in virtual time: `engine.submit`, terms, destinations, stop."""

import asyncio
import json

import pytest

from engine import Engine, Function, PayloadError, Status
from engine.core.destinations import DeliveryError
from engine.core.event import Event
from engine.core.invocation import Result
from engine.core.retry import AsyncInvokeConfig
from engine.testing import Act, scripted_executor, virtual_platform

ERROR = Result(Status.ERROR, b'{"errorMessage": "no", "errorType": "Error"}')
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:"


class Bench:
    """An engine, when its functions were run, and what was handed to queues."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.began_s = self.loop.time()
        self.result = ERROR
        self.runs = []
        self.records = []

    def engine(self, *functions, **settings):
        return Engine(
            functions or [self.function()],
            platform=virtual_platform(),
            executor=scripted_executor(self._act),
            **settings,
        )

    def function(self, name="f", **keys):
        return Function(name, handler="handlers.hello.handler", **keys)

    def _act(self, invocation):
        self.runs.append((round(self.loop.time() - self.began_s), invocation.event.function))
        return Act(takes_s=1.0, result=self.result)

    def carry(self, arn, record):
        if arn.endswith("nowhere"):
            raise DeliveryError(arn, "there is no such queue")
        self.records.append((arn.removeprefix(QUEUE_ARN), json.loads(record.body)))

    @property
    def conditions(self):
        return [(to, record["requestContext"]["condition"]) for to, record in self.records]


@pytest.fixture
async def bench():
    return Bench()


async def test_what_is_submitted_is_tried_again(bench):
    """After a minute and two; an invocation that somebody waits for is not."""
    async with bench.engine() as engine:
        assert not (await engine.invoke("f", 1)).ok
        await engine.submit("f", 2)
        await asyncio.sleep(600)

    assert [(0, "f"), (1, "f"), (62, "f"), (183, "f")] == bench.runs


async def test_a_function_says_where_its_events_go(bench):
    """Names become ARNs of the engine's region and account."""
    function = bench.function(maximum_retry_attempts=0, on_success="done", on_failure="failed")
    async with bench.engine(function) as engine:
        engine.parts.senders["sqs"] = bench.carry
        await engine.submit("f", 1)
        await asyncio.sleep(5)
        bench.result = Result(Status.SUCCESS, b"2")
        await engine.submit("f", 1)
        await asyncio.sleep(5)

    assert [("failed", "RetriesExhausted"), ("done", "Success")] == bench.conditions


async def test_a_function_is_a_destination_without_any_service(bench):
    """Its event is the record."""
    bench.result = Result(Status.SUCCESS, b"2")
    functions = bench.function(on_success="lambda:g"), bench.function("g", on_success="nowhere")
    async with bench.engine(*functions) as engine:
        await engine.submit("f", 1)
        await asyncio.sleep(5)

    assert [(0, "f"), (1, "g")] == bench.runs


async def test_the_terms_follow_the_config_and_the_concurrency_of_the_moment(bench):
    """Of the API, by function and qualifier; they are made once for each state of things."""
    configs = {("f", None): {"MaximumRetryAttempts": 1}}
    async with bench.engine(bench.function(maximum_event_age_s=100)) as engine:
        engine.parts.async_configs.read_from(lambda name, qualifier: configs.get((name, qualifier), {}))

        def terms(name="f", qualifier=None):
            return engine.parts.async_configs.config_of(Event(name, b"1", "id", 0.0, qualifier=qualifier))

        first, again = terms(), terms()
        of_alias = terms(qualifier="live")
        engine.deployments.reserve("f", 0)
        closed = terms()
        gone = terms("g")

    assert first is again
    assert AsyncInvokeConfig(maximum_event_age_s=100, maximum_retry_attempts=1) == first
    assert AsyncInvokeConfig(maximum_event_age_s=100) == of_alias
    assert closed.disabled
    assert AsyncInvokeConfig() == gone


async def test_a_stop_gives_up_what_waits_and_lets_end_what_runs(bench):
    """The failure destination has the one; the other ends well."""
    lost = bench.function("lost", on_failure="failed")
    async with bench.engine(lost, bench.function()) as engine:
        engine.parts.senders["sqs"] = bench.carry
        await engine.submit("lost", 1)
        await asyncio.sleep(10)
        bench.result = Result(Status.SUCCESS, b"2")
        await engine.submit("f", 1)
        waited = engine.asynchronous.waiting
        drained = await engine.drain()

    assert (1, True) == (waited, drained)
    assert [("failed", "EventAgeExceeded")] == bench.conditions
    assert 0 == engine.asynchronous.unfinished
    assert (1, 1) == (engine.stats.async_counts("lost").abandoned, engine.stats.async_counts("f").delivered)


async def test_the_payload_of_an_asynchronous_event_is_a_mebibyte_at_most(bench):
    """A synchronous one may be six."""
    bench.result = Result(Status.SUCCESS, b"2")
    async with bench.engine() as engine:
        await engine.submit("f", "x" * (1_048_576 - 2))
        with pytest.raises(PayloadError, match=r"1048577 byte payload is too large \(limit 1048576 bytes\)"):
            await engine.submit("f", "x" * (1_048_576 - 1))

        assert (await engine.invoke("f", "x" * 1_048_576)).ok
