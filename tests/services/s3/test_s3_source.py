"""The source `s3` and the service behind it: from a request to an event, and what goes elsewhere."""

import asyncio
import contextlib
import itertools
import json
import logging

import anyio
import pytest
from pydantic import ValidationError

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.errors import ConfigError, FunctionNotFound
from engine.ports import Binding, Host, ServiceRegistry
from engine.protocols.aws.router import AwsRouter
from engine.runtime.clock import SystemClock
from engine.runtime.platform import offload_to_thread
from engine.services.s3.errors import S3Error
from engine.services.s3.service import S3Service
from engine.services.s3.settings import BucketSettings, S3Event, S3Settings
from engine.sources.s3.source import S3Source

RATE = Rate(request_usd=0, millisecond_usd=0)
ARN = "arn:aws:lambda:us-east-2:123456789012:function:"
QUEUE = "arn:aws:sqs:us-east-2:123456789012:q"


class Bench:
    """A service, its source, and a sink whose invocations end when they are told to."""

    def __init__(self, ask, events=({"bucket": "photos"},), *, clock=None, **options):
        ids = itertools.count(1)
        self.ask_of = ask
        self.rejected, self.events, self.replies, self.carried = [], [], [], []
        self.tasks = set()
        services = ServiceRegistry()
        self.host = Host(
            account=Account(region="us-east-2", account_id="123456789012"),
            clock=clock or asyncio.get_running_loop().clock,
            new_request_id=lambda: f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}",
            listen={},
            reject=self.rejected.append,
            services=services,
        )
        options = {
            "offload": offload_to_thread,
            "senders": {"sqs": self._carry, "events": self._carry},
            **options,
        }
        self.service = services.add(S3Service(self.host, spawn=self._spawn, **options))
        bindings = [
            Binding(function=Function("f", handler="a.b"), settings=S3Event.model_validate(table))
            for table in events
        ]
        self.source = S3Source.build(bindings, self.host)
        self.endpoint = AwsRouter({"s3": self.service.api.handle}, self.host.new_request_id)

    def _spawn(self, work, *arguments):
        task = asyncio.get_running_loop().create_task(work(*arguments))
        self.tasks.add(task)

    def _carry(self, arn, record):
        if arn.endswith(":full"):
            raise DeliveryError(arn, "full")
        self.carried.append((arn, json.loads(record.body)))

    def submit(self, event, reply):
        if event.function == "gone":
            raise FunctionNotFound("gone")
        self.events.append(event)
        self.replies.append(reply)

    def end(self):
        for event, reply in zip(self.events, self.replies, strict=True):
            reply(Outcome(Status.SUCCESS, b"null", event.request_id, RATE))

    def ask(self, method, target, body=b"", **options):
        return self.ask_of(self.endpoint, method, target, body, **options)

    @contextlib.asynccontextmanager
    async def serving(self):
        """Gives the event that stops it; then all that runs is ended."""
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            assert await group.start(self.source.serve, self, stopping) is None
            yield stopping
            stopping.set()
            self.end()


async def test_a_notification_becomes_an_event(ask_endpoint):
    bench = Bench(ask_endpoint)
    async with bench.serving():
        answer = bench.ask("PUT", "/photos/a", b"hello")
        [event] = bench.events

        assert 200 == answer.status
        assert ("f", None, "s3", bench.host.clock.now()) == (
            event.function,
            event.qualifier,
            event.trigger,
            event.received_s,
        )
        [record] = json.loads(event.payload)["Records"]
        assert ("f-1", "photos", "a") == (
            record["s3"]["configurationId"],
            record["s3"]["bucket"]["name"],
            record["s3"]["object"]["key"],
        )


async def test_the_trace_of_whoever_changes_an_object_goes_to_the_event(ask_endpoint):
    """With one more call of the function; without one a trace begins."""
    bench = Bench(ask_endpoint)
    async with bench.serving():
        bench.ask("PUT", "/photos/a", b"hello")
        bench.ask("PUT", "/photos/b", b"hello", headers=(("x-amzn-trace-id", bench.events[0].trace_id),))
        bench.ask("PUT", "/photos/c", b"hello", headers=(("x-amzn-trace-id", bench.events[1].trace_id),))
        began, *after = [event.trace_id for event in bench.events]

        assert began.startswith("Root=1-6955b900-")
        assert [f"{began};Lineage=1:76d32be0:{calls}" for calls in (1, 2)] == after


async def test_each_event_of_the_configuration_is_a_rule(ask_endpoint):
    tables = [
        {"bucket": "photos", "prefix": "in/", "id": "in"},
        {"bucket": "photos", "events": ["s3:ObjectRemoved:*"]},
        {"bucket": "others"},
    ]
    bench = Bench(ask_endpoint, tables)
    async with bench.serving():
        for method, target in (("PUT", "/photos/in/a"), ("DELETE", "/photos/in/a"), ("PUT", "/others/b")):
            bench.ask(method, target)
    told = [event.document["Records"][0] for event in bench.events]

    assert [("in", "ObjectCreated:Put"), ("f-2", "ObjectRemoved:Delete"), ("f-3", "ObjectCreated:Put")] == [
        (record["s3"]["configurationId"], record["eventName"]) for record in told
    ]


async def test_a_bucket_of_an_event_is_made_and_one_that_is_there_is_kept(ask_endpoint):
    bench = Bench(
        ask_endpoint,
        [{"bucket": "photos"}, {"bucket": "others"}],
        buckets={"photos": BucketSettings(versioning=True, tags={"a": "b"})},
    )

    assert {"photos": "Enabled", "others": ""} == {
        name: bucket.versioning.value for name, bucket in bench.service.store.buckets.items()
    }


async def test_a_function_may_be_told_as_eventbridge_does(ask_endpoint):
    bench = Bench(ask_endpoint, [{"bucket": "photos", "form": "eventbridge"}])
    async with bench.serving():
        bench.ask("PUT", "/photos/a%20b", b"hello")
    [event] = bench.events

    assert ("Object Created", "a b", 5) == (
        event.document["detail-type"],
        event.document["detail"]["object"]["key"],
        event.document["detail"]["object"]["size"],
    )


async def test_functions_configured_by_clients_are_told_too(ask_endpoint):
    bench = Bench(ask_endpoint, [])
    bench.ask("PUT", "/new-bucket")
    configured = bench.ask("PUT", "/new-bucket?notification", configuration(f"{ARN}g:live"))
    async with bench.serving():
        bench.ask("PUT", "/new-bucket/a")
    [event] = bench.events

    assert (200, "g", "live") == (configured.status, event.function, event.qualifier)


async def test_before_and_after_it_serves_clients_are_told_to_try_again(ask_endpoint):
    bench = Bench(ask_endpoint)
    before = bench.ask("PUT", "/photos/a")
    async with bench.serving():
        pass
    after = bench.ask("PUT", "/photos/a")

    assert [(503, "ServiceUnavailable")] * 2 == [(one.status, one.code) for one in (before, after)]
    assert [] == bench.events


async def test_it_ends_when_what_it_passed_on_has_ended(ask_endpoint):
    bench = Bench(ask_endpoint)
    stopping, ended = anyio.Event(), anyio.Event()

    async def serve(task_status):
        await bench.source.serve(bench, stopping, task_status=task_status)
        ended.set()

    async with anyio.create_task_group() as group:
        await group.start(lambda task_status: serve(task_status))
        bench.ask("PUT", "/photos/a")
        stopping.set()
        await asyncio.sleep(100)
        was_ended = ended.is_set()
        bench.end()
        await ended.wait()

    assert not was_ended


async def test_cancelled_it_leaves_at_once_and_tells_nobody_more(ask_endpoint):
    bench = Bench(ask_endpoint)
    async with anyio.create_task_group() as group:
        await group.start(bench.source.serve, bench, anyio.Event())
        bench.ask("PUT", "/photos/a")
        group.cancel_scope.cancel()

    assert 503 == bench.ask("PUT", "/photos/b").status


async def test_a_function_that_is_gone_costs_the_notification_not_the_object(ask_endpoint, caplog):
    bench = Bench(ask_endpoint, [])
    bench.ask("PUT", "/new-bucket")
    bench.ask("PUT", "/new-bucket?notification", configuration(f"{ARN}gone"))
    with caplog.at_level(logging.WARNING):
        async with bench.serving():
            answer = bench.ask("PUT", "/new-bucket/a")

    assert (200, ["unknown_function"]) == (answer.status, bench.rejected)
    assert ["a notification of S3 was dropped: function 'gone' is not configured"] == caplog.messages


async def test_without_a_store_there_are_no_events(ask_endpoint):
    host = Bench(ask_endpoint).host
    lonely = Host(account=host.account, clock=host.clock, new_request_id=host.new_request_id, listen={})
    with pytest.raises(ConfigError, match="need the buckets"):
        S3Source.build([], lonely)


async def test_queues_and_the_bus_are_told_by_couriers(ask_endpoint):
    notifications = ({"queue": "q", "events": ["s3:ObjectCreated:Put"], "suffix": ".jpg"},)
    settings = BucketSettings.model_validate({"notifications": notifications, "eventbridge": True})
    bench = Bench(ask_endpoint, [], buckets={"photos": settings})
    bench.ask("PUT", "/photos/a.jpg")
    bench.ask("PUT", "/photos/b.png")
    (queue, record), (bus, event), (_, other) = bench.carried

    assert [QUEUE, "arn:aws:events:us-east-2:123456789012:event-bus/default"] == [queue, bus]
    assert "a.jpg" == record["Records"][0]["s3"]["object"]["key"] == event["detail"]["object"]["key"]
    assert "b.png" == other["detail"]["object"]["key"]


async def test_a_queue_that_takes_nothing_costs_the_notification_not_the_object(ask_endpoint, caplog):
    settings = BucketSettings.model_validate({"notifications": [{"queue": "full"}]})
    bench = Bench(ask_endpoint, [], buckets={"photos": settings})
    with caplog.at_level(logging.WARNING):
        answer = bench.ask("PUT", "/photos/a")

    assert (200, 1) == (answer.status, len(caplog.messages))


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        (f"{ARN}missing", f"Not authorized to invoke function [{ARN}missing]"),
        ("arn:aws:sqs:us-east-2:123456789012:missing", "The destination queue does not exist"),
        ("arn:aws:sns:us-east-2:123456789012:t", "The destination topic does not exist"),
    ],
)
async def test_a_target_that_does_not_exist_is_refused(ask_endpoint, arn, reason):
    bench = Bench(ask_endpoint, exists=lambda arn: not arn.endswith("missing"))
    answer = bench.ask("PUT", "/photos?notification", configuration(arn))

    assert ("InvalidArgument", [reason]) == (answer.code, answer.text("ArgumentValue1"))


def configuration(arn):
    """A document that tells `arn` of everything that is made."""
    tags = {"lambda": ("CloudFunction",) * 2, "sqs": ("Queue",) * 2, "sns": ("Topic",) * 2}
    outer, inner = tags[arn.split(":")[2]]
    return (
        f"<NotificationConfiguration><{outer}Configuration><{inner}>{arn}</{inner}>"
        f"<Event>s3:ObjectCreated:*</Event></{outer}Configuration></NotificationConfiguration>"
    ).encode()


# --- for the process


async def test_records_of_other_parts_can_be_put_and_read(ask_endpoint):
    """What an asynchronous invocation's failure destination needs, and code that lies in S3."""
    bench = Bench(ask_endpoint)
    async with bench.serving():
        bench.service.put_record("arn:aws:s3:::photos", DestinationRecord(body=b'{"a":1}', key="lost/1"))
        [event] = bench.events

        assert b'{"a":1}' == await bench.service.read("photos", "lost/1")
        assert "lost/1" == event.document["Records"][0]["s3"]["object"]["key"]
        with pytest.raises(DeliveryError):
            bench.service.put_record("arn:aws:s3:::nowhere", DestinationRecord(body=b"", key="k"))
        with pytest.raises(S3Error, match="NoSuchKey"):
            await bench.service.read("photos", "lost/2")


@pytest.mark.real_time
async def test_records_put_in_a_folder_are_there_after_a_restart(ask_endpoint, tmp_path):
    options = {"folder": tmp_path, "clock": SystemClock()}
    bench = Bench(ask_endpoint, [], buckets={"photos": BucketSettings()}, **options)
    bench.service.put_record("arn:aws:s3:::photos", DestinationRecord(body=b'{"a":1}', key="lost/1"))
    await asyncio.gather(*bench.tasks)
    bench.service.close()
    again = Bench(ask_endpoint, [], **options)

    assert b'{"a":1}' == await again.service.read("photos", "lost/1")
    again.service.close()


# --- settings


@pytest.mark.parametrize(
    ("model", "table", "part"),
    [
        (S3Event, {"bucket": "No_Such"}, "bucket name 'No_Such' must be of"),
        (S3Event, {"bucket": "photos", "events": ["s3:ObjectCreated"]}, "did you mean"),
        (S3Event, {"bucket": "photos", "events": ["nonsense"]}, "write for example"),
        (S3Event, {"bucket": "photos", "events": []}, "names no event type"),
        (S3Event, {"bucket": "photos", "prefix": "in/*"}, "holds '*'"),
        (S3Event, {"bucket": "photos", "colour": "red"}, "Extra inputs"),
        (BucketSettings, {"notifications": [{"queue": "a b"}]}, "should match pattern"),
        (S3Settings, {"max_put_mb": 1}, "greater than or equal to 5"),
        (S3Settings, {"intake_confirm_hosts": ["http://x"]}, "is not the name of a host"),
    ],
)
def test_settings_that_cannot_be_are_refused(model, table, part):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(table)

    assert part in str(caught.value)
