"""A function that a REST API no longer waits for, in an engine with a listener."""

import asyncio
import sys
import types

import pytest

from engine import Engine, Function

pytestmark = pytest.mark.real_time

HANDLER = """
import time_limit_props as props

async def handler(event, context):
    await props.let_go.wait()
    return {"statusCode": 200}
"""


async def test_a_function_runs_on_and_is_billed_after_504(tmp_path, monkeypatch):
    props = types.ModuleType("time_limit_props")
    props.let_go = asyncio.Event()
    monkeypatch.setitem(sys.modules, props.__name__, props)
    (tmp_path / "app.py").write_text(HANDLER)
    event = {"type": "http", "path": "/a", "payload_format": "1.0", "timeout_s": 0.01}
    function = Function("f", handler="app.handler", code=str(tmp_path), executor="loop", events=(event,))
    async with Engine([function], http="127.0.0.1:0") as engine:
        host, port = engine.addresses.http.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line = await reader.readline()
        ledger = engine.stats.functions["f"].ledger
        before = ledger.requests
        await asyncio.sleep(0.1)
        props.let_go.set()
        while not ledger.requests:
            await asyncio.sleep(0.01)
        writer.close()

    assert (b"HTTP/1.1 504 Gateway Timeout\r\n", 0, 1) == (line, before, ledger.requests)
    assert ledger.billed_ms >= 100
