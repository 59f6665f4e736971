"""The floor under every HTTP figure: the bare mechanism and nothing else, on one core.

uvloop, asyncio.Protocol, httptools and orjson: parse (target, headers, body, keep-alive), one task and one
timer per request, one write. No limits, no timeouts, no pipelining, no errors: what any server that is
built on these parts in the ordinary way must pay.
Run: `python tests/bench/floor_http.py [--port 0]`; one JSON line with the port is printed when it listens.
"""

from __future__ import annotations

import argparse
import asyncio

import httptools
import orjson
import uvloop


class Floor(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.loop = asyncio.get_running_loop()
        self.url = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body = body

    def on_message_complete(self) -> None:
        self.headers = []
        timer = self.loop.call_later(3, self.transport.abort)
        self.loop.create_task(self.answer(self.body, self.parser.should_keep_alive(), timer))

    async def answer(self, body: bytes, keep_alive: bool, timer: asyncio.TimerHandle) -> None:
        result = orjson.dumps(orjson.loads(body))
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(result), result)
        )
        timer.cancel()
        if not keep_alive:
            self.transport.close()


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port, backlog=4096)
    print(orjson.dumps({"port": server.sockets[0].getsockname()[1]}).decode(), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    uvloop.run(main(arguments.parse_args().port))
