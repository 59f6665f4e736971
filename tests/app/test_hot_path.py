"""What one warm invocation costs, counted: the calls of the engine's own functions, whatever the machine."""

import asyncio
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import engine as package
from engine import Engine, Function
from engine.runtime.platform import Platform
from engine.telemetry.recent_invocations import KEPT
from tests.compiled_modules import compiled_modules

ENGINE = Path(package.__file__).parent

AT_MOST = {"python": 33, "http": 45, "invoke_api": 37}
AT_MOST_IN_PROCESS = 36
"""Calls. More is a decision: a call of Python is some 50 to 150 ns, of the 20 us that all of them take."""

INTERPRETED = {
    "app/engine.py",
    "executors/loop.py",
    "runtime/ids.py",
    "services/lambda_api/invoke_payload.py",
}
"""Modules that no wheel has compiled, though invocations pass through them."""

pytestmark = pytest.mark.real_time


class StillClock:
    """Time stands still: nothing is due, and no answer is a sample for the metrics."""

    def now(self):
        return 5.0

    def wall(self):
        return 1_700_000_000.0


@pytest.fixture
async def engine(tmp_path):
    (tmp_path / "app.py").write_text("async def handler(event, context):\n    return {'statusCode': 200}\n")
    event = {"type": "http", "method": "ANY", "path": "/", "payload_format": "2.0"}
    function = Function("f", handler="app.handler", code=str(tmp_path), executor="loop", events=(event,))
    platform = Platform(clock=StillClock(), watches_loop=False)
    async with Engine([function], platform=platform, http="127.0.0.1:0", aws="127.0.0.1:0") as engine:
        yield engine


@asynccontextmanager
async def in_python(engine):
    async def ask():
        assert (await engine.invoke("f", {"n": 1})).ok

    yield ask


@asynccontextmanager
async def over(url, path):
    """Posts on one connection."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    request = f'{head}Content-Length: 7\r\n\r\n{{"n":1}}'.encode()

    async def ask():
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))

    yield ask
    writer.close()
    await writer.wait_closed()


async def calls_of(ask):
    """The calls of the engine's functions in one invocation, by module and name, once it is warm."""
    await warm(ask)
    return await calls_of_one(ask)


async def warm(ask):
    """As many invocations as are kept for whoever looks, and one more: later ones are only counted."""
    for _ in range(KEPT + 1):
        await ask()


async def calls_of_one(ask):
    """The calls of the next invocation."""
    calls = Counter()

    def count(frame, event, _argument):
        if event == "call":
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(ENGINE):
                calls[file.relative_to(ENGINE).as_posix(), frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        await ask()
    finally:
        sys.setprofile(None)
    return calls


@pytest.fixture
async def calls(engine):
    """The calls of one invocation, by how it is asked for."""
    counted = {}
    for way, asking in {
        "python": in_python(engine),
        "http": over(engine.addresses.http, "/"),
        "invoke_api": over(engine.addresses.aws, "/2015-03-31/functions/f/invocations"),
    }.items():
        async with asking as ask:
            counted[way] = await calls_of(ask)
    return counted


async def test_an_invocation_makes_no_more_calls_than_were_counted(calls):
    more = {way: sorted(made.items()) for way, made in calls.items() if made.total() > AT_MOST[way]}

    assert {} == more


async def test_what_every_invocation_passes_through_is_compiled(calls):
    """A function that moves to another module would be interpreted from then on, without a word."""
    modules = {module for made in calls.values() for module, _ in made}

    assert INTERPRETED == modules - compiled_modules()


async def test_an_invocation_in_a_process_makes_few_calls_and_most_of_them_are_compiled(tmp_path):
    """In the engine, between the call and its answer. Of ten, the one during which no timer went off."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    function = Function("f", handler="app.handler", code=str(tmp_path), executor="process")
    platform = Platform(clock=StillClock(), watches_loop=False)
    async with Engine([function], platform=platform) as engine, in_python(engine) as ask:
        await warm(ask)
        calls = min([await calls_of_one(ask) for _ in range(10)], key=Counter.total)
    modules = {module for module, _ in calls}

    assert calls.total() <= AT_MOST_IN_PROCESS, sorted(calls.items())
    executor = "executors/process/parent/executor.py"
    assert {"app/engine.py", "runtime/ids.py", executor} == modules - compiled_modules()
