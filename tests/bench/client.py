"""A raw load generator for machines without wrk: 64 keep-alive connections, one request in flight on each.

It knows the length of every answer from the first, so that counting is nearly all it does.
Run: `python tests/bench/client.py HOST PORT PATH SECONDS`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import uvloop

CONNECTIONS = 64
BODY = b'{"message": "hello", "n": 1}'


class Caller(asyncio.Protocol):
    """One connection: sends a request when the answer to the last one is whole."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answers = self.expected = self.received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.expected:
            head, _, _ = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert head.startswith(b"HTTP/1.1 200"), data
            assert length is not None, data
            self.expected = len(head) + 4 + int(length[1])
        self.received += len(data)
        if self.received >= self.expected:
            assert self.received == self.expected, "answers differ in length"
            self.received = 0
            self.answers += 1
            self.transport.write(self.request)


async def main(host: str, port: int, path: str, seconds: float) -> None:
    """Drive for `seconds` and print the rate."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    loop = asyncio.get_running_loop()
    callers = [Caller(request) for _ in range(CONNECTIONS)]
    began_s = time.perf_counter()
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, host, port)
    await asyncio.sleep(seconds)
    print(json.dumps({"per_s": sum(c.answers for c in callers) / (time.perf_counter() - began_s)}))
    for caller in callers:
        caller.transport.abort()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
