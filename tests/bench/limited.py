"""Handlers of `tests.bench.load_limits`, each of which runs into a limit of its own."""

import asyncio
import os
import time

from computing import compute


async def computes_on_loop(event, context):
    """5 ms of the event loop."""
    compute(0.005)
    return {}


def waits(event, context):
    """200 ms of nothing."""
    time.sleep(0.2)
    return {}


async def does_nothing(event, context):
    """As fast as it gets."""
    return {}


async def asks_upstream(event, context):
    """One request to the server that `UPSTREAM_PORT` names; the answer ends with the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["UPSTREAM_PORT"]))
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return {"bytes": len(answer)}
