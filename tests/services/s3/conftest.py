"""An S3 of its own behind the AWS endpoint: without a socket for most tests, on one for real clients."""

import asyncio
import contextlib
import io
import itertools
import re

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config

from engine.core.function import Account
from engine.ports import Host
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.message import Request
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.runtime.clock import SystemClock
from engine.runtime.platform import offload_to_thread
from engine.services.s3.api import S3Api
from engine.services.s3.notification_records import NotificationRecords
from engine.services.s3.notifier import Notifier
from engine.services.s3.store import Store
from engine.sources.s3.webhooks import Webhooks

ACCOUNT = Account(region="us-east-1", account_id="123456789012")
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


class SetClock:
    """13 March 2020, 07:06:40 UTC, until it is told otherwise."""

    def __init__(self):
        self.wall_s = 1584083200.5

    def now(self):
        return self.wall_s

    def wall(self):
        return self.wall_s


class Deliveries:
    """Keeps what was delivered; refuses targets that are named."""

    def __init__(self):
        self.delivered = []
        self.refused = {}

    def refusal(self, target):
        return self.refused.get(target.arn)

    def deliver(self, target, document, _trace=None):
        self.delivered.append((target, document))

    @property
    def records(self):
        """The records alone, without test events."""
        return [document["Records"][0] for _, document in self.delivered if "Records" in document]

    @property
    def told(self):
        """Event names and keys."""
        return [(record["eventName"], record["s3"]["object"]["key"]) for record in self.records]


class Answer:
    """One answer, its header lines taken apart."""

    def __init__(self, status, head, body):
        self.status, self.body = status, body
        assert not head or head.endswith(b"\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-1]
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def code(self):
        """The error code; None of a success."""
        found = re.search(rb"<Code>([A-Za-z0-9]+)</Code>", self.body)
        return found[1].decode() if found else None

    @property
    def error(self):
        """Status, code and message."""
        found = re.search(rb"<Message>([^<]*)</Message>", self.body)
        return self.status, self.code, found[1].decode() if found else None

    def text(self, name):
        """Content of all elements of that name."""
        return [text.decode() for text in re.findall(rf"<{name}>([^<]*)</{name}>".encode(), self.body)]


class Client:
    """Stands in for the connection: keeps the answers."""

    peer = "127.0.0.1"

    def __init__(self):
        self.answers = []

    def awaits(self, _request):
        return True

    def answer(self, _request, status, head, body):
        self.answers.append(Answer(status, head, body))


def ask(endpoint, method, target, body=b"", headers=(), too_large=0, *, later=False):
    """The one answer of an endpoint to a request, or (`later`) the list it will be in."""
    pairs = {"host": "localhost:4566", "content-length": str(len(body)), **dict(headers)}
    raw = [(name.encode(), value.encode()) for name, value in pairs.items() if value is not None]
    client = Client()
    target = target.encode() if isinstance(target, str) else target
    endpoint.handle(Request.parsed(client, method, target, raw, body, 7.0, "1.1", too_large))
    if later:
        return client.answers
    [answer] = client.answers
    return answer


class Shop:
    """One S3, and what it tells."""

    def __init__(self, *, blob_store=None, clock=None, spawn=None, limits=None, fixed=None, intake=()):
        ids = itertools.count(1)
        self.clock = clock or SetClock()
        self.host = Host(
            account=ACCOUNT,
            clock=self.clock,
            new_request_id=lambda: f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}",
            listen={},
        )
        self.deliveries = Deliveries()
        self.store = Store(blob_store, lambda: self.host.new_request_id().replace("-", ""), self.clock.wall)
        self.records = NotificationRecords(ACCOUNT, self.clock, self.host.new_request_id)
        self.notifier = Notifier(self.records, self.deliveries, fixed)
        spawn = spawn or self._no_spawn
        options = {"spawn": spawn, "fetch": None, **dict(intake)}
        self.api = S3Api(
            self.store,
            self.notifier,
            self.host,
            spawn=spawn,
            offload=offload_to_thread,
            limits=limits,
        )
        self.intake = Webhooks(self.notifier, self.records, self.host, self.api.handle, **options)
        self.endpoint = AwsRouter({"s3": self.intake.handle}, self.host.new_request_id)

    def _no_spawn(self, *_):
        raise AssertionError("nothing large here")

    def ask(self, method, target, body=b"", headers=(), too_large=0):
        """The one answer of S3 to a request; Host and Content-Length are added."""
        answer = self.exchange(method, target, body, headers, too_large)
        assert answer.headers["x-amz-request-id"]
        return answer

    def exchange(self, method, target, body=b"", headers=(), too_large=0):
        """The same, whoever answers."""
        return ask(self.endpoint, method, target, body, headers, too_large)


@pytest.fixture
def shop():
    """A store in memory with the bucket `b`."""
    shop = Shop()
    shop.ask("PUT", "/b-1")
    return shop


class WithoutSocket:
    """The endpoint of a client of boto3: hands what the client sends to a shop, and its answer back."""

    def __init__(self, shop):
        self._shop = shop

    def __call__(self, request, **_):
        """What botocore calls in place of sending `request`."""
        _, _, host, path = request.url.split("/", 3)
        sent = {name.lower(): value for name, value in request.headers.items()}
        headers = {name: value if isinstance(value, str) else value.decode() for name, value in sent.items()}
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        answer = self._shop.ask(request.method, f"/{path}", body, {**headers, "host": host})
        raw = _Raw(b"" if request.method == "HEAD" else answer.body)
        return AWSResponse(request.url, answer.status, HeadersDict(answer.headers), raw)


class _Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_):
        """All of it, in one piece."""
        yield self.read()


@pytest.fixture(scope="session")
def boto3_of():
    """Makes a client of boto3 whose endpoint is a shop, without a socket; it validates nothing."""
    config = Config(parameter_validation=False, retries={"max_attempts": 1})
    session = boto3.session.Session(**KEYS, region_name="us-east-1")

    def make(shop, service="s3", **more):
        client = session.client(service, endpoint_url="http://localhost:4566", config=config, **more)
        client.meta.events.register("before-send", WithoutSocket(shop))
        return client

    return make


@pytest.fixture(scope="session")
def make_shop():
    return Shop


@pytest.fixture(scope="session")
def ask_endpoint():
    return ask


@contextlib.asynccontextmanager
async def served(make_keeper=None, limits=None):
    """A shop behind a server on a real port: gives both it and its URL."""
    tasks = set()

    def spawn(work, *arguments):
        tasks.add(asyncio.get_running_loop().create_task(work(*arguments)))

    blob_store = make_keeper() if make_keeper else None
    shop = Shop(clock=SystemClock(), blob_store=blob_store, spawn=spawn, limits=limits)
    if blob_store is not None:
        shop.store.restore(*blob_store.load())
    server = HttpServer(
        shop.endpoint.handle, SystemClock(), HttpLimits(max_body_bytes=shop.api.body_limit_bytes)
    )
    host, port = await server.start("127.0.0.1", 0)
    try:
        yield shop, f"http://{host}:{port}"
    finally:
        server.close()
        await asyncio.gather(*tasks)
        shop.store.blob_store.close()


@pytest.fixture
def serve():
    return served


def s3_client(url, **config):
    """boto3, told to try once."""
    retries = {"total_max_attempts": 1}
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", config=Config(retries=retries, **config), **KEYS
    )


@pytest.fixture
def new_client():
    return s3_client


@pytest.fixture
def s3(shop, boto3_of):
    """A client of the store `shop`."""
    return boto3_of(shop)
