"""Requests of the engine's own to a partner by its URL: on real sockets."""

import asyncio

import pytest

from engine.core.function import Account
from engine.runtime.clock import SystemClock
from engine.services.partner.declared import declarations
from engine.services.partner.service import Partner
from engine.services.partner.settings import DataStreamSettings

pytestmark = pytest.mark.real_time
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def test_what_is_described_is_asked_for_in_signed_requests():
    """As clients of AWS sign: kinesis-mock refuses others."""
    heads = []

    async def serve(reader, writer):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        heads.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    partner = Partner(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        Account(),
        None,
        clock=SystemClock(),
        spawn=lambda *_: None,
        say=lambda _: None,
        declared=declarations({"s": DataStreamSettings()}, {}),
    )
    await partner.ask("kinesis", [], b"{}", most_bytes=1_000, timeout_s=10)
    server.close()
    headers, body = heads[0]
    [names] = [part for part in headers["authorization"].split(", ") if part.startswith("SignedHeaders=")]

    assert b"StreamName" in body
    assert 16 == len(headers["x-amz-date"])
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target" == names
