"""boto3's way to a mapping: a queue, a function, CreateEventSourceMapping, and messages."""

import asyncio
import json
import threading

import boto3
import pytest
from botocore.config import Config

from engine import Engine, Function
from engine.packages.store import PackageStore
from engine.ports import Host, ServiceRegistry
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.services.lambda_api.control_plane import ControlPlane
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.service import LambdaApi
from engine.services.sqs.service import SqsService
from engine.sources.sqs.source import SqsSource

pytestmark = pytest.mark.real_time

HANDLER = """
import json

async def handler(event, context):
    records = event["Records"]
    failed = [one["messageId"] for one in records if json.loads(one["body"]).get("fails")]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""


class Server:
    """An engine behind an aws listener, on a loop in a thread of its own."""

    def __init__(self, functions):
        self._functions = functions
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self):
        loop = asyncio.get_running_loop()
        self._loop, self._stopping = loop, asyncio.Event()
        async with Engine(self._functions) as engine, asyncio.TaskGroup() as group:
            services = ServiceRegistry()
            host = Host(
                account=engine.config.account,
                clock=engine.platform.clock,
                new_request_id=engine.new_request_id,
                listen={},
                services=services,
            )
            sqs = services.add(SqsService(host))
            source = SqsSource.build([], host)
            registry = FunctionRegistry({one.name: one for one in self._functions}, host)

            def spawn(work, *args):
                return group.create_task(work(*args))

            control_plane = ControlPlane(
                registry,
                PackageStore(None),
                engine.deployments,
                None,
                offload=engine.platform.offload,
                spawn=spawn,
                mappings=source,
                durable=engine.parts.durable,
            )
            api = LambdaApi(registry, control_plane, host, engine.sink, spawn)
            endpoint = AwsRouter({"lambda": api.handle, "sqs": sqs.handle}, engine.new_request_id)
            server = HttpServer(endpoint.handle, engine.platform.clock, HttpLimits(max_body_bytes=2**20))
            group.create_task(source.serve(engine.sink, self._stopping, task_status=Started()))
            _, self.port = await server.start("127.0.0.1", 0)
            self._ready.set()
            await self._stopping.wait()
            sqs.stop()
            await server.drain()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}),
        )


class Started:
    def started(self, _value=None):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "mapped_by_boto3.py").write_text(HANDLER)
    server = Server([Function("work", handler="mapped_by_boto3.handler", code=str(tmp_path), timeout_s=1)])
    yield server
    server.stop()


@pytest.fixture
def sqs(server):
    client = server.client("sqs")
    yield client
    client.close()


@pytest.fixture
def lambda_(server):
    client = server.client("lambda")
    yield client
    client.close()


def arn_of(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def left(sqs, url):
    """Visible and in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def drained(sqs, url):
    """Whether it is soon empty."""
    return any(left(sqs, url) == (0, 0) for _ in range(2_000))


def test_boto3_makes_a_mapping_uses_it_changes_it_and_deletes_it(sqs, lambda_):
    """What fails is received once more and then is a dead letter; all else is gone."""
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": 1})
    url = sqs.create_queue(
        QueueName="orders", Attributes={"VisibilityTimeout": "1", "RedrivePolicy": redrive}
    )["QueueUrl"]
    mapping = lambda_.create_event_source_mapping(
        EventSourceArn=arn_of(sqs, url),
        FunctionName="work",
        BatchSize=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"body": {"kind": ["order"]}})}]},
        ScalingConfig={"MaximumConcurrency": 4},
    )
    uuid = mapping["UUID"]
    assert "Creating" == mapping["State"]
    assert "Enabled" == lambda_.get_event_source_mapping(UUID=uuid)["State"]

    for number in range(40):
        body = {"kind": "order" if number % 2 else "other", "fails": number == 7}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    assert drained(sqs, url)
    [message] = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5)["Messages"]
    assert {"kind": "order", "fails": True} == json.loads(message["Body"])

    lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)
    sqs.send_message(QueueUrl=url, MessageBody='{"kind": "order"}')
    assert (1, 0) == left(sqs, url)
    lambda_.update_event_source_mapping(UUID=uuid, Enabled=True, FilterCriteria={})
    assert drained(sqs, url)

    listed = lambda_.get_paginator("list_event_source_mappings").paginate(FunctionName="work")
    assert [uuid] == [one["UUID"] for page in listed for one in page["EventSourceMappings"]]
    assert "Deleting" == lambda_.delete_event_source_mapping(UUID=uuid)["State"]
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_event_source_mapping(UUID=uuid)


def test_refusals_are_the_exceptions_of_boto3(sqs, lambda_):
    """Those that scripts look for."""
    url = sqs.create_queue(QueueName="twice")["QueueUrl"]
    arn = arn_of(sqs, url)
    lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName="work")

    with pytest.raises(lambda_.exceptions.ResourceConflictException):
        lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName="work")
    with pytest.raises(lambda_.exceptions.InvalidParameterValueException, match="NonExistentQueue"):
        lambda_.create_event_source_mapping(EventSourceArn=f"{arn}-no", FunctionName="work")
