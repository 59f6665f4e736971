"""An HTTP server that answers at once, but stands still for half a second in every four."""

import asyncio
import sys
import time

FROZEN_S = 0.5
EVERY_S = 4.0
FIRST_S = 1.0
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Answering(asyncio.Protocol):
    """One connection; requests are small enough to come whole."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


def freeze(loop):
    """Everything waits, as in a long pause of a garbage collector."""
    time.sleep(FROZEN_S)
    loop.call_later(EVERY_S - FROZEN_S, freeze, loop)


async def main():
    """Print the port; the first freeze is a second after stdin was closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin, closed.set)
    await closed.wait()
    loop.remove_reader(sys.stdin)
    loop.call_later(FIRST_S, freeze, loop)
    await asyncio.sleep(30)


asyncio.run(main())
