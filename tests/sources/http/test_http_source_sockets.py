"""HttpSource on a real listener, with a scripted sink behind it."""

import asyncio
import json

import anyio
import anyio.lowlevel
import pytest

from engine.core.function import Function
from engine.ports import Binding
from engine.sources.http.settings import HttpEvent
from engine.sources.http.source import HttpSource

pytestmark = pytest.mark.real_time


class ScriptedSink:
    """Answers by the event's path: an echo at once, or when `release` is called."""

    def __init__(self, outcome_of):
        self.outcome_of = outcome_of
        self.waiting = []
        self.arrived = anyio.Event()

    def submit(self, event, reply, /):
        document = event.document
        if document.get("rawPath") == "/slow":
            self.waiting.append(reply)
            self.arrived.set()
            return
        if document.get("rawPath") == "/break":
            reply(self.outcome_of(b'{"statusCode": 200, "headers": {"a": "b\\r\\nc: d"}}'))
            return
        echo = {
            "statusCode": 201,
            "headers": {"x-from": "handler"},
            "cookies": ["a=1"],
            "body": json.dumps(document),
        }
        reply(self.outcome_of(json.dumps(echo).encode()))

    def release(self):
        for reply in self.waiting:
            reply(self.outcome_of(b'"late"'))
        self.waiting.clear()


class Serving:
    """A source that serves while the block runs."""

    def __init__(self, host, sink, **settings):
        binding = Binding(function=Function("hello", handler="m.f"), settings=HttpEvent(**settings))
        self.source = HttpSource.build([binding], host)
        self.sink = sink
        self.stopping = anyio.Event()
        self.group = anyio.create_task_group()
        self.ended = anyio.Event()

    async def __aenter__(self):
        await self.group.__aenter__()
        self.address = await self.group.start(self._serve)
        self.port = int(self.address.rpartition(":")[2])
        return self

    async def _serve(self, *, task_status):
        try:
            await self.source.serve(self.sink, self.stopping, task_status=task_status)
        finally:
            self.ended.set()

    async def __aexit__(self, *failure):
        self.stopping.set()
        return await self.group.__aexit__(*failure)

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)


async def ask(streams, head, body=b""):
    reader, writer = streams
    writer.write(head + b"\r\n" + body)
    return await read_answer(reader)


async def read_answer(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = [
        (name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:] if line)
    ]
    return (
        int(lines[0].split()[1]),
        headers,
        await reader.readexactly(int(dict(headers).get("content-length", 0))),
    )


async def hang_up(streams):
    streams[1].close()
    await streams[1].wait_closed()


async def test_requests_are_answered_over_a_kept_connection(host, outcome_of):
    """GET, POST, a malformed response and a good one again, all on one connection."""
    async with Serving(host, ScriptedSink(outcome_of)) as serving:
        streams = await serving.connect()
        status, headers, body = await ask(
            streams,
            b"GET /my/path?a=1&a=2 HTTP/1.1\r\nHost: localhost\r\n"
            b"Cookie: b=2\r\nX-Amzn-Trace-Id: Root=1-2-3\r\n",
        )
        document = json.loads(body)
        post = await ask(
            streams,
            b"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\n",
            b'{"a":1}',
        )
        broken = await ask(streams, b"GET /break HTTP/1.1\r\nHost: localhost\r\n")
        again = await ask(streams, b"GET /again HTTP/1.1\r\nHost: localhost\r\n")
        await hang_up(streams)

    assert 201 == status
    assert {("x-from", "handler"), ("content-type", "application/json"), ("set-cookie", "a=1")} <= set(
        headers
    )
    assert (
        "/my/path",
        "a=1&a=2",
        ["b=2"],
    ) == tuple(document[key] for key in ("rawPath", "rawQueryString", "cookies"))
    assert "127.0.0.1" == document["requestContext"]["http"]["sourceIp"]
    assert document["headers"]["x-forwarded-port"] == str(serving.port)
    assert "Root=1-2-3" == document["headers"]["x-amzn-trace-id"]
    assert ('{"a":1}', False) == tuple(json.loads(post[2])[key] for key in ("body", "isBase64Encoded"))
    assert (502, b"Internal Server Error") == broken[::2]
    assert not [name for name, _ in broken[1] if name == "c"]
    assert 201 == again[0]


async def test_a_stopping_source_answers_what_it_took(host, outcome_of):
    """The listener closes, the request in hand is answered, then `serve` returns."""
    sink = ScriptedSink(outcome_of)
    async with Serving(host, sink) as serving:
        streams = await serving.connect()
        streams[1].write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await sink.arrived.wait()
        serving.stopping.set()
        await anyio.lowlevel.checkpoint()
        still_serving = not serving.ended.is_set()
        sink.release()
        status, _, body = await read_answer(streams[0])
        await serving.ended.wait()
        await hang_up(streams)
        with pytest.raises(ConnectionRefusedError):
            await serving.connect()

    assert still_serving
    assert (200, b"late") == (status, body)


async def test_a_cancelled_source_drops_everything(host, outcome_of):
    """The grace period is over: the connection ends, a late outcome reaches nobody and harms nobody."""
    sink = ScriptedSink(outcome_of)
    async with Serving(host, sink) as serving:
        streams = await serving.connect()
        streams[1].write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await sink.arrived.wait()
        serving.group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await serving.ended.wait()
            sink.release()
            rest = await streams[0].read()
            streams[1].close()

    assert b"" == rest


async def test_a_body_over_the_limit_is_refused_by_the_front_door(host, outcome_of):
    """A declared gigabyte is answered 413 as an HTTP API does, without being read."""
    async with Serving(host, ScriptedSink(outcome_of), path="/{p+}") as serving:
        streams = await serving.connect()
        status, headers, body = await ask(
            streams,
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n",
        )
        await hang_up(streams)

    assert (413, b'{"message":"Request Entity Too Large"}') == (status, body)
    assert "x-amzn-requestid" in dict(headers)


async def test_the_address_is_told_when_requests_are_taken(host, outcome_of):
    """`http://host:port` with the port that was found free."""
    async with Serving(host, ScriptedSink(outcome_of)) as serving:
        address = serving.address

    assert f"http://127.0.0.1:{serving.port}" == address
    assert serving.port > 0
