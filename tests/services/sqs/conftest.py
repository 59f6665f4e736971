"""What the SQS tests share: a service without sockets on virtual time, and one on a real port."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config

from engine.core.function import Account
from engine.ports import Host
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.message import Request
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.runtime.clock import SystemClock
from engine.runtime.ids import request_ids
from engine.services.sqs.service import SqsService
from engine.testing import VirtualClock, VirtualTimeLoop

ACCOUNT = Account(region="eu-west-1", account_id="123456789012")
HOST = "engine.test:4566"


class Client:
    """Stands in for a connection: keeps the answers, and can go away."""

    peer = "127.0.0.1"

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, bytes]] = []
        self.gone = False

    def answer(self, _request: Request, status: int, head: bytes, body: bytes) -> None:
        self.answers.append((status, head, body))

    def awaits(self, _request: Request) -> bool:
        return not self.gone


class Answer:
    """One answer, taken apart."""

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status, self.body = status, body
        lines = head.decode().removesuffix("\r\n").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}

    @property
    def document(self) -> dict:
        return json.loads(self.body)

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    def xml_text(self, name: str) -> list[str]:
        """The text of every element of that name, in order."""
        return [one.text or "" for one in self.xml.iter() if one.tag.rpartition("}")[2] == name]

    @property
    def code(self) -> str:
        """The legacy code of an error, in either protocol; empty for a success."""
        if self.body.startswith(b"<"):
            return "".join(self.xml_text("Code"))
        header = self.headers.get("x-amzn-query-error", "")
        return header.partition(";")[0]

    @property
    def shape(self) -> str:
        return self.document.get("__type", "").rpartition("#")[2]

    @property
    def message(self) -> str:
        if self.body.startswith(b"<"):
            return "".join(self.xml_text("Message"))
        return self.document.get("message", "")


class Site:
    """The service behind an endpoint, without sockets. Its clock is the test loop's, or its own."""

    def __init__(self, **account: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.clock = VirtualClock()
        else:
            assert isinstance(loop, VirtualTimeLoop)
            self.clock = loop.clock
        ids = itertools.count(1)

        def new_id() -> str:
            return f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}"

        host = Host(account=replace(ACCOUNT, **account), clock=self.clock, new_request_id=new_id, listen={})
        self.service = SqsService(host)
        self.endpoint = AwsRouter({"sqs": self.service.handle}, new_id)

    def url(self, name: str = "q") -> str:
        return f"http://{HOST}/{ACCOUNT.account_id}/{name}"

    def arn(self, name: str = "q") -> str:
        return f"arn:aws:sqs:{ACCOUNT.region}:{ACCOUNT.account_id}:{name}"

    def start(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        client: Client | None = None,
        too_large: int = 0,
    ) -> Client:
        """Send a request; its answer may come later."""
        client = client or Client()
        pairs = [(name.encode(), value.encode()) for name, value in {"Host": HOST, **headers}.items()]
        request = Request.parsed(
            client, method, target.encode(), pairs, body, self.clock.now(), "1.1", too_large
        )
        self.endpoint.handle(request)
        return client

    def start_json(self, operation: str, params: object, client: Client | None = None, **more) -> Client:
        body = params if isinstance(params, bytes) else json.dumps(params).encode()
        headers = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        return self.start("POST", "/", {**headers, **more.pop("headers", {})}, body, client, **more)

    def json(self, operation: str, _body: object = None, **params: object) -> Answer:
        """The answer to a call in the JSON protocol; the queue is `q` unless it is said."""
        [answer] = self.start_json(operation, params if _body is None else _body).answers
        return Answer(*answer)

    def q(self, operation: str, name: str = "q", **params: object) -> Answer:
        """The same, about the queue `name`."""
        return self.json(operation, QueueUrl=self.url(name), **params)

    def query(self, action: str, path: str = "/", **params: str) -> Answer:
        """The answer to a call in the Query protocol; `__` stands for a dot."""
        form = {"Action": action, **{name.replace("__", "."): value for name, value in params.items()}}
        return self.form(urlencode(form).encode(), path)

    def form(self, body: bytes, path: str = "/", **more) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": SIGNED}
        [answer] = self.start("POST", path, headers, body, **more).answers
        return Answer(*answer)

    def create(self, name: str = "q", **attributes: str) -> str:
        if name.endswith(".fifo"):
            attributes = {"FifoQueue": "true", **attributes}
        answer = self.json("CreateQueue", QueueName=name, Attributes=attributes)
        assert 200 == answer.status, answer.body
        return answer.document["QueueUrl"]

    def bodies(self, most: int = 10, name: str = "q", **params: object) -> list[str]:
        """What a receive gives."""
        document = self.q("ReceiveMessage", name, MaxNumberOfMessages=most, **params).document
        return [message["Body"] for message in document.get("Messages", [])]

    def counts(self, name: str = "q") -> tuple[int, int, int]:
        """Visible, in flight, delayed."""
        names = [f"ApproximateNumberOfMessages{end}" for end in ("", "NotVisible", "Delayed")]
        has = self.q("GetQueueAttributes", name, AttributeNames=names).document["Attributes"]
        return tuple(int(has[one]) for one in names)


SIGNED = (
    "AWS4-HMAC-SHA256 Credential=key/20261121/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=00"
)


@pytest.fixture
def make_site() -> type[Site]:
    return Site


@pytest.fixture(scope="module")
def site_class() -> type[Site]:
    return Site


@pytest.fixture
def make_client() -> type[Client]:
    return Client


@pytest.fixture
def make_answer() -> type[Answer]:
    return Answer


@pytest.fixture
def site() -> Site:
    """For tests that need no timers."""
    return Site()


class RealSite:
    """The service on a real port, on a loop in a thread of its own."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        self.endpoint_url = f"http://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        clock, new_id = SystemClock(), request_ids()
        service = SqsService(Host(account=ACCOUNT, clock=clock, new_request_id=new_id, listen={}))
        endpoint = AwsRouter({"sqs": service.handle}, new_id)
        server = HttpServer(endpoint.handle, clock, HttpLimits(max_body_bytes=service.BODY_LIMIT_BYTES))
        _, self.port = await server.start("127.0.0.1", 0)
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopping.wait()
        service.stop()
        await server.drain()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def client(self, **more: object) -> object:
        """boto3's."""
        return boto3.client(
            "sqs",
            endpoint_url=self.endpoint_url,
            region_name=ACCOUNT.region,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}, **more),
        )


@pytest.fixture(scope="module")
def real_site() -> Iterator[RealSite]:
    site = RealSite()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def sqs(real_site) -> Iterator[object]:
    client = real_site.client()
    yield client
    client.close()
