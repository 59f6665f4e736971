"""What the tests of CloudWatch Logs share: the service on a real port, and boto3."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading

import boto3
import pytest
from botocore.config import Config

from engine.core.function import Account
from engine.core.logged_line import LoggedLine
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.runtime.clock import SystemClock
from engine.runtime.ids import request_ids
from engine.services.logs.service import LogsService
from engine.testing import VirtualClock

ACCOUNT = Account(region="eu-west-1", account_id="123456789012")


class LoggedLines:
    """Stands in for what functions have logged."""

    def __init__(self):
        self.lines: list[LoggedLine] = []
        self.on_record = None

    def log(self, group, stream, at_s, message):
        """Log a line, as an environment does."""
        self.lines.append(LoggedLine(group, stream, at_s, message))
        if self.on_record is not None:
            self.on_record()

    def watch(self, on_record):
        self.on_record = on_record

    def take(self, count):
        taken, self.lines = self.lines[:count], self.lines[count:]
        return iter(taken)


class Functions:
    """Stands in for the functions of an engine: log groups by name, and what was delivered to each."""

    def __init__(self, **groups):
        self.groups = {"f": "/aws/lambda/f", "g": "/aws/lambda/g", **groups}
        self.delivered = []

    def arn(self, name):
        return ACCOUNT.function_arn(name)

    def log_group_of(self, arn):
        return self.groups.get(arn.split(":")[6])

    def deliver(self, arn, event):
        self.delivered.append((arn.split(":")[6], unpacked(event)))


def unpacked(event):
    """What a handler finds in the event of a subscription."""
    assert ["awslogs"] == list(event)
    return json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))


class Site:
    """The service behind an endpoint, on a loop in a thread of its own. Its time is virtual."""

    def __init__(self, max_bytes=3_000_000):
        self.clock, self.function_log, self.functions = VirtualClock(), LoggedLines(), Functions()
        self._max_bytes = max_bytes
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        self.url = f"http://127.0.0.1:{self.port}"
        self.logs = self.client()

    async def _serve(self):
        new_id = request_ids()
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self.service = LogsService(
            ACCOUNT, self.clock, new_id, self.function_log, self._max_bytes, self.functions, self._loop
        )
        endpoint = AwsRouter({"logs": self.service.handle}, new_id)
        server = HttpServer(endpoint.handle, SystemClock(), HttpLimits(max_body_bytes=8_000_000))
        _, self.port = await server.start("127.0.0.1", 0)
        self._ready.set()
        await self._stopping.wait()
        await server.drain()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def client(self, **more):
        """boto3's."""
        return boto3.client(
            "logs",
            endpoint_url=self.url,
            region_name=ACCOUNT.region,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}, **more),
        )

    def now_ms(self):
        return int(self.clock.wall() * 1000)


@pytest.fixture
def make_site():
    """Starts services; each ends with the test."""
    sites = []

    def make(**more):
        sites.append(Site(**more))
        return sites[-1]

    yield make
    for site in sites:
        site.stop()


@pytest.fixture(scope="module")
def site():
    """One service for the tests of a module; each uses groups of its own."""
    site = Site()
    yield site
    site.stop()
