"""An engine in a Python program opens what it is told to, and nothing else."""

import asyncio
import json
from functools import partial
from urllib.request import Request, urlopen

import pytest

from engine import Engine, Function
from engine.errors import EngineError

pytestmark = pytest.mark.real_time

SOURCE = """
seen = []

async def handler(event, context):
    seen.append(event)
    return {"path": event.get("rawPath")} if "rawPath" in event else 1
"""


@pytest.fixture
def function(tmp_path):
    (tmp_path / "app.py").write_text(SOURCE)
    return partial(Function, "f", handler="app.handler", code=str(tmp_path), executor="loop")


async def ask(url, body=None, **headers):
    def get():
        with urlopen(Request(url, body, headers), timeout=60) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(get)


EVENT = {"type": "http", "method": "ANY", "path": "/hello", "payload_format": "2.0"}


async def test_listeners_that_are_named_are_open_inside_the_block(function):
    engine = Engine([function(events=(EVENT,))], http="127.0.0.1:0", aws="127.0.0.1:0", admin="127.0.0.1:0")
    async with engine:
        addresses = engine.addresses
        by_http = await ask(f"{addresses.http}/hello")
        by_aws = await ask(f"{addresses.aws}/2015-03-31/functions/f/invocations", b"{}")
        status = await ask(f"{addresses.admin}/status.json")
        called = (await engine.invoke("f", {})).payload
    refused = await asyncio.gather(
        *(ask(url) for url in (addresses.http, addresses.aws)), return_exceptions=True
    )

    assert ({"path": "/hello"}, 1, 1) == (by_http, by_aws, called)
    assert "functions" in status
    assert [True, True] == [isinstance(error, OSError) for error in refused]
    assert None is engine.addresses.http


async def test_without_http_no_port_is_opened_for_http_events(function):
    """Only what is named is opened."""
    async with Engine([function(events=(EVENT,))]) as engine:
        called = (await engine.invoke("f", {})).payload

        assert (1, None, None, None) == (called, *vars_of(engine.addresses))


def vars_of(addresses):
    return addresses.http, addresses.aws, addresses.admin


async def test_events_that_need_no_listener_arrive(function, tmp_path):
    (tmp_path / "trace.jsonl").write_text('{"timestamp": 0, "payload": {"row": 1}}\n')
    replay = {"type": "replay", "file": str(tmp_path / "trace.jsonl")}
    async with Engine([function(events=(replay,))]) as engine:
        async with asyncio.timeout(60):
            while not engine.stats.functions["f"].duration.count:
                await asyncio.sleep(0.05)

        assert 1 == engine.stats.functions["f"].duration.count


async def test_what_cannot_be_opened_is_one_plain_error_and_leaves_nothing_open(function, tmp_path):
    async with Engine([function()], aws="127.0.0.1:0") as engine:
        taken = engine.addresses.aws.removeprefix("http://")
        with pytest.raises(OSError, match=taken.partition(":")[2]):
            await Engine([function()], aws=taken).__aenter__()
    (tmp_path / "notes").mkdir()
    with pytest.raises(EngineError, match="is neither empty nor a state folder"):
        await Engine([function()], state_dir=str(tmp_path)).__aenter__()


async def test_a_fixture_may_close_it_in_another_task(function):
    engine = Engine([function()], aws="127.0.0.1:0")
    await asyncio.create_task(engine.__aenter__())
    await asyncio.create_task(engine.__aexit__(None, None, None))
    async with engine:
        assert engine.addresses.aws is not None
