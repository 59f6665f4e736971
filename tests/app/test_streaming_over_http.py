"""Handlers that stream, behind the route of the only function: a function URL in mode RESPONSE_STREAM."""

import asyncio
import http.client
import os
import uuid
from urllib.parse import urlsplit

import pytest

from engine import Engine, Function, Status
from engine.testing import RecordingObserver

pytestmark = pytest.mark.real_time

SOURCE = """
import os, time

def gate(name):
    while not os.path.exists(os.environ[name]):
        time.sleep(0.002)

def handler(event, context):
    yield {"statusCode": 201, "headers": {"x-kind": "stream"}, "cookies": ["a=b"]}
    yield "first "
    gate("GATE")
    if event["rawPath"] == "/fails":
        raise LookupError("not in stock")
    for _ in range(100):
        yield bytes(65_536)
    open(os.environ["END"], "w").close()
"""


@pytest.fixture
def signs():
    """Files by which the test tells the handler to go on, and that its end is seen."""
    paths = [f"/dev/shm/{uuid.uuid4()}" for _ in range(2)]  # not below /tmp, where a process has its own
    yield paths
    for path in paths:
        if os.path.exists(path):
            os.remove(path)


@pytest.fixture
def observer():
    return RecordingObserver()


@pytest.fixture
async def engine(tmp_path, signs, observer):
    (tmp_path / "app.py").write_text(SOURCE)
    gate, end = signs
    function = Function(
        "f",
        handler="app.handler",
        code=str(tmp_path),
        streaming="generator",
        environment={"GATE": gate, "END": end},
        timeout_s=60,
    )
    async with Engine([function], http="127.0.0.1:0", observers=[observer]) as engine:
        yield engine


def begin(engine, path):
    """A connection, and the response on it, of which the first piece has been read."""
    connection = http.client.HTTPConnection(urlsplit(engine.addresses.http).netloc)
    connection.request("GET", path)
    response = connection.getresponse()
    assert b"first " == response.read1()
    return connection, response


def touch(path):
    open(path, "w").close()


async def test_the_first_piece_is_read_while_the_handler_runs(engine, signs):
    def read():
        connection, response = begin(engine, "/")
        touch(signs[0])
        rest = len(response.read())
        connection.close()
        return response, rest

    response, rest = await asyncio.to_thread(read)

    assert (201, "stream", "a=b", None, 100 * 65_536) == (
        response.status,
        response.headers["x-kind"],
        response.headers["set-cookie"],
        response.headers["content-length"],
        rest,
    )


async def test_an_error_in_the_middle_cuts_the_response(engine, signs):
    def read():
        connection, response = begin(engine, "/fails")
        touch(signs[0])
        try:
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        finally:
            connection.close()

    await asyncio.to_thread(read)


async def test_a_handler_whose_client_goes_runs_to_its_end(engine, signs, observer):
    """And is billed."""

    def leave():
        connection, response = begin(engine, "/")
        response.close()
        connection.close()

    gate, end = signs
    await asyncio.to_thread(leave)
    touch(gate)
    while not os.path.exists(end):
        await asyncio.sleep(0.005)

    while not observer.outcomes:
        await asyncio.sleep(0.001)
    [outcome] = observer.outcomes

    assert (Status.SUCCESS, True) == (outcome.status, outcome.billed_ms > 0)
