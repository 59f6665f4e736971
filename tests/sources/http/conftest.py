"""What the HTTP source's tests share: a fixed clock, requests without a connection, formats, outcomes."""

import asyncio
import json
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
import pytest

from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.ports import Binding, Host
from engine.protocols.http.server import Request
from engine.sources.http.payload import GatewayIdentity
from engine.sources.http.payload_alb import PayloadAlb
from engine.sources.http.payload_v1 import PayloadV1
from engine.sources.http.payload_v1_http_api import PayloadV1HttpApi
from engine.sources.http.payload_v2 import PayloadV2
from engine.sources.http.settings import HttpEvent
from engine.sources.http.source import HttpSource
from engine.sources.http.target import split_target
from engine.sources.http.timestamps import Timestamps

REQUEST_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
FORMATS = {"2.0": PayloadV2, "1.0": PayloadV1, "alb": PayloadAlb}


class FixedClock:
    """12 March 2020, 19:03:58.390 UTC, until told otherwise."""

    def __init__(self):
        self.wall_s = 1584039838.390
        self.readings = 0

    def now(self):
        return 100.0

    def wall(self):
        self.readings += 1
        return self.wall_s


class Client:
    """Stands in for the connection: keeps the answers."""

    def __init__(self):
        self.answers = []

    def answer(self, request, status, head, body):
        self.answers.append((status, head, body))


class Exchange:
    """One payload format with one route: requests in, events and answers out."""

    def __init__(self, **settings):
        self.settings = HttpEvent(**settings)
        self.clock = FixedClock()
        binding = Binding(function=Function("hello", handler="m.f"), settings=self.settings)
        self.said = []
        account = Account(region="eu-west-1", account_id="123456789012")
        gateway = GatewayIdentity(account, 3000, self.said.append)
        form = PayloadV1HttpApi if self.settings.api == "http" else FORMATS[self.settings.payload_format]
        self.format = form(binding, self.settings, gateway)

    def event(self, request, parameters=None):
        target = self.format.target(*split_target(request.target), parameters or {})
        timestamp = Timestamps(self.clock).now()
        return self.format.event(request, target, REQUEST_ID, timestamp, "Root=1-5e6a88de-aa")

    def answer(self, body, request=None, **outcome):
        return self.format.answer(an_outcome(body, **outcome), request or a_request())


def a_request(method="GET", target=b"/", headers=(), body=b"", *, client=None, too_large=0):
    return Request(client, method, target, b"", list(headers), body, "1.1", "192.0.2.7", 1.5, too_large)


def an_outcome(body, *, status=Status.SUCCESS, raw=False):
    rate = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))
    return Outcome(status, body, REQUEST_ID, rate, raw=raw)


def header_lines(head):
    """The pairs of a header block, names in lower case, without the request id."""
    assert head.endswith(b"\r\n")
    pairs = [line.decode("latin-1").partition(": ") for line in head[:-2].split(b"\r\n")]
    assert ("x-amzn-requestid", ": ", REQUEST_ID) in pairs
    return [(name.lower(), value) for name, _, value in pairs if name != "x-amzn-requestid"]


@pytest.fixture(scope="session")
def exchange():
    """`exchange(**settings)` makes an Exchange; a session's fixture, so that hypothesis may use it."""
    return Exchange


@pytest.fixture(scope="session")
def request_of():
    return a_request


@pytest.fixture(scope="session")
def outcome_of():
    return an_outcome


@pytest.fixture(scope="session")
def lines_of():
    return header_lines


@pytest.fixture
def wall_clock():
    return FixedClock()


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def host(wall_clock):
    return Host(
        account=Account(region="eu-west-1", account_id="123456789012"),
        clock=wall_clock,
        new_request_id=lambda: REQUEST_ID,
        listen={"http": ("127.0.0.1", 0)},
    )


class AnsweringSink:
    """Keeps each event's function and document, and answers with `result`, or raises it."""

    def __init__(self, outcome_of, result):
        self.events = []
        self.outcome_of = outcome_of
        self.result = result
        self.source = None

    def submit(self, event, reply, /):
        if isinstance(self.result, Exception):
            raise self.result
        self.events.append((event.function, event.document))
        reply(self.outcome_of(json.dumps(self.result).encode()))

    @property
    def document(self):
        [(_, document)] = self.events
        return document


class Wire:
    """One connection: bytes as they are sent, answers as they come."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, line, headers=(), body=b"", host="localhost"):
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = "".join(f"{name}: {value}\r\n" for name, value in (("Host", host), *headers))
        self.writer.write(line + b" HTTP/1.1\r\n" + f"{head}{length}\r\n".encode() + body)
        return await self.answer()

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for one in head[1:-2]:
            name, _, value = one.partition(": ")
            headers[name.lower()] = value
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body


@pytest.fixture
def serving(host, outcome_of):
    """`serving({function: settings}, result)` gives a connection and the sink, which has the source."""

    @asynccontextmanager
    async def serve(routes, result=None):
        bindings = [
            Binding(function=Function(name, handler="m.f"), settings=HttpEvent(**settings))
            for name, settings in routes.items()
        ]
        sink = AnsweringSink(outcome_of, result or {"statusCode": 200, "body": "ok"})
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            sink.source = HttpSource.build(bindings, host)
            address = await group.start(sink.source.serve, sink, stopping)
            reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
            yield Wire(reader, writer), sink
            writer.close()
            stopping.set()

    return serve
