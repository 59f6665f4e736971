"""The floor under the process executor: 64 forked children that echo bytes over a socketpair each.

What any engine pays that runs handlers in processes of their own: one message there and one back, through a
uvloop protocol in the parent. Run: `python tests/bench/floor_process.py`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time

import uvloop

CALLERS = 64
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
MESSAGE = b"x" * 80


def echo(line: socket.socket) -> None:
    """A child: give back what comes."""
    while data := line.recv(65_536):
        line.sendall(data)
    os._exit(0)


class Caller(asyncio.Protocol):
    """Sends the next message when the last one is back."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport
        transport.write(MESSAGE)

    def data_received(self, data: bytes) -> None:
        """Go on."""
        Caller.count += 1
        self.transport.write(MESSAGE)


def fork_children() -> list[socket.socket]:
    """Before there is a loop: a child must not have one."""
    lines: list[socket.socket] = []
    for _ in range(CALLERS):
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            for line in (ours, *lines):
                line.close()
            try:
                echo(theirs)
            finally:
                os._exit(0)
        theirs.close()
        ours.setblocking(False)
        lines.append(ours)
    return lines


async def main(lines: list[socket.socket]) -> None:
    """Have all callers call for a while."""
    loop = asyncio.get_running_loop()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    transports = [(await loop.create_unix_connection(Caller, sock=line))[0] for line in lines]
    await asyncio.sleep(SECONDS)
    count, took_s = Caller.count, time.perf_counter() - began_s
    cpu_us = (time.process_time() - began_cpu_s) / count * 1e6
    for transport in transports:
        transport.abort()
    print(json.dumps({"callers": CALLERS, "per_s": round(count / took_s), "parent_cpu_us": round(cpu_us, 1)}))


if __name__ == "__main__":
    uvloop.run(main(fork_children()))
