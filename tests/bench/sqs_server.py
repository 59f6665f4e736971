"""An AWS endpoint with SQS alone, for measuring: prints its port as one line of JSON, ends with its stdin."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from engine.core.function import Account
from engine.ports import Host
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.runtime.clock import SystemClock
from engine.runtime.gc_tuning import GcTuning
from engine.runtime.ids import request_ids
from engine.services.sqs.service import SqsService


async def main() -> None:
    """Serve until stdin ends."""
    clock, new_id = SystemClock(), request_ids()
    service = SqsService(Host(account=Account(), clock=clock, new_request_id=new_id, listen={}))
    endpoint = AwsRouter({"sqs": service.handle}, new_id)
    server = HttpServer(endpoint.handle, clock, HttpLimits(max_body_bytes=service.BODY_LIMIT_BYTES))
    _, port = await server.start("127.0.0.1", 0)
    print(json.dumps({"port": port}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    service.stop()
    server.close()


if __name__ == "__main__":
    with GcTuning():
        uvloop.run(main())
