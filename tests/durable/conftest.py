"""An engine with durable functions, served on a thread of its own, and AWS's client for it."""

import asyncio
import json
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config

from engine import Engine, Function
from engine.core.function import DurableConfig

HERE = Path(__file__).parent
NAMES = (
    *("two_steps", "waiter", "approval", "flaky", "doubled", "parent", "child"),
    *("poll", "boom", "sleeper", "long_name"),
)
LIMIT_S = 20


def functions(executor):
    common = {"code": str(HERE), "timeout_s": 20, "executor": executor}
    if executor == "process":
        common["preload"] = ("aws_durable_execution_sdk_python", "boto3")
    durable = [
        Function(
            name,
            handler=f"handlers.{name}",
            durable=DurableConfig(2 if name == "sleeper" else 60),
            aliases=("live",),
            **common,
        )
        for name in NAMES
    ]
    events = (
        {"type": "http", "method": "GET", "path": "/front", "payload_format": "2.0"},
        {"type": "sqs", "queue": "work"},
    )
    front = Function("front", handler="handlers.front", durable=DurableConfig(60), events=events, **common)
    return [*durable, front, Function("plain", handler="handlers.plain", **common)]


class Served:
    """The engine, and calls of its Lambda API."""

    keys = MappingProxyType(
        {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    )

    def __init__(self, functions):
        self._functions, self._ready = functions, threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Engine(self._functions, aws="127.0.0.1:0", http="127.0.0.1:0") as self.engine:
            self.address = self.engine.addresses.aws.removeprefix("http://")
            self.front = self.engine.addresses.http
            self._ready.set()
            await self._stop.wait()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(LIMIT_S)
        self.client = boto3.client(
            "lambda",
            endpoint_url=f"http://{self.address}",
            **self.keys,
            config=Config(retries={"max_attempts": 0}, read_timeout=LIMIT_S, max_pool_connections=50),
        )
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LIMIT_S)

    def start(self, name, payload=None, **more):
        """Start an execution without waiting for it; returns its ARN."""
        answer = self.client.invoke(
            FunctionName=f"{name}:$LATEST",
            InvocationType="Event",
            Payload=json.dumps(payload or {}),
            **more,
        )
        assert 202 == answer["StatusCode"]
        return answer["DurableExecutionArn"]

    def get(self, arn, **more):
        return self.client.get_durable_execution(DurableExecutionArn=arn, **more)

    def ended(self, arn):
        """The execution, once it has ended."""
        return self.until(lambda: self.get(arn), lambda found: "EndTimestamp" in found)

    def until(self, ask, holds):
        limit_s = time.monotonic() + LIMIT_S
        while not holds(answer := ask()):
            assert time.monotonic() < limit_s, answer
            time.sleep(0.02)
        return answer

    def history(self, arn):
        return self.client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]

    def events(self, arn):
        return [event["EventType"] for event in self.history(arn)]

    def callback_id(self, arn):
        """Of the one callback of an execution, once it is there."""

        def found():
            return [event for event in self.history(arn) if event["EventType"] == "CallbackStarted"]

        return self.until(found, bool)[0]["CallbackStartedDetails"]["CallbackId"]

    def call(self, method, arn, operation="", body=None):
        """What older clients do not know yet: status, and the document of the answer."""
        connection = HTTPConnection(self.address, timeout=LIMIT_S)
        path = f"/2025-12-01/durable-executions/{quote(arn, safe='')}{operation}"
        connection.request(method, path, json.dumps(body or {}))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text or b"{}")


@pytest.fixture(scope="package", params=["process", "thread"])
def served(request):
    with Served(functions(request.param)) as served:
        yield served
