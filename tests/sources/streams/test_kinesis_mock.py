"""A split and a merge under load, against kinesis-mock: the npm package `kinesis-local`, by its URL."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from base64 import b64decode
from contextlib import ExitStack
from pathlib import Path

import anyio
import boto3
import orjson
import pytest
from botocore.config import Config

from engine import Engine, Function
from engine.ports import Binding, Host, ServiceRegistry
from engine.sources.streams.clients import StreamAccess
from engine.sources.streams.settings import KinesisEvent
from engine.sources.streams.source import KinesisSource
from engine.testing import Act, scripted_executor
from tests.sources.streams.conftest import HANDLER, no_partner

pytestmark = pytest.mark.real_time

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
QUICK = {
    f"{what}_DURATION": "20ms" for what in ("CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS")
}


def free_ports(count: int) -> list[int]:
    """Ports nobody listens at just now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The folder of the program, of the version in `js/`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("kinesis-mock")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).parent / "js" / name, folder)
    options = "--prefer-offline --no-audit --no-fund --ignore-scripts --fetch-retries=0 --fetch-timeout=10000"
    done = subprocess.run(
        [npm, "ci", *options.split()], cwd=folder, capture_output=True, text=True, timeout=100
    )
    if done.returncode:
        pytest.skip(f"cannot be installed: {done.stderr.strip()[-200:]}")
    return folder / "node_modules" / "kinesis-local"


@pytest.fixture
def url(package):
    """Of a running one."""
    tls, plain = free_ports(2)
    ports = {"KINESIS_MOCK_TLS_PORT": str(tls), "KINESIS_MOCK_PLAIN_PORT": str(plain)}
    node = shutil.which("node") or "node"
    server = subprocess.Popen(
        [node, "main.js"],
        cwd=package,
        env={**os.environ, **ports, **QUICK},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{plain}"
    finally:
        server.kill()
        server.wait()


class Producer:
    """Puts numbered records of several keys through boto3, on a thread of its own, and reshards meanwhile."""

    def __init__(self, url: str) -> None:
        self.kinesis = boto3.client(
            "kinesis",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}),
        )
        self.put: dict[str, list[int]] = {f"key-{number}": [] for number in range(12)}
        self.stopping = threading.Event()

    def create(self, shards: int) -> None:
        self.kinesis.create_stream(StreamName="s", ShardCount=shards)
        self.wait_active()

    def wait_active(self) -> None:
        while True:
            summary = self.kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
            if summary["StreamStatus"] == "ACTIVE":
                return

    def load(self) -> None:
        """Until it is told to stop: a record of each key, again and again."""
        number = 0
        while not self.stopping.is_set():
            for key, put in self.put.items():
                self.kinesis.put_record(StreamName="s", PartitionKey=key, Data=f"{number}".encode())
                put.append(number)
            number += 1

    def split(self) -> None:
        """The first shard into halves."""
        [shard] = [one for one in self.shards() if one["ShardId"] == FIRST]
        ends = shard["HashKeyRange"]
        middle = (int(ends["StartingHashKey"]) + int(ends["EndingHashKey"])) // 2
        self.kinesis.split_shard(StreamName="s", ShardToSplit=FIRST, NewStartingHashKey=str(middle))
        self.wait_active()

    def merge(self) -> None:
        """The upper half with the second shard."""
        upper = max(
            (one for one in self.shards() if one.get("ParentShardId") == FIRST),
            key=lambda one: int(one["HashKeyRange"]["StartingHashKey"]),
        )
        self.kinesis.merge_shards(StreamName="s", ShardToMerge=upper["ShardId"], AdjacentShardToMerge=SECOND)
        self.wait_active()

    def shards(self) -> list[dict]:
        return self.kinesis.list_shards(StreamName="s")["Shards"]


async def test_a_split_and_a_merge_under_load_keep_each_keys_order(url):
    """Every record comes once, those of a key in the order in which they were put."""
    got: dict[str, list[int]] = {}
    said: list[str] = []

    def perform(invocation) -> Act:
        for record in orjson.loads(invocation.event.payload)["Records"]:
            kinesis = record["kinesis"]
            got.setdefault(kinesis["partitionKey"], []).append(int(b64decode(kinesis["data"])))
        return Act(takes_s=0.002)

    function = Function("work", handler=HANDLER)
    settings = KinesisEvent(
        stream="s",
        starting_position="TRIM_HORIZON",
        endpoint_url=url,
        batch_size=7,
        parallelization_factor=3,
        poll_interval_s=0.05,
    )
    producer = await anyio.to_thread.run_sync(Producer, url)
    async with Engine([function], executor=scripted_executor(perform)) as engine:
        services = ServiceRegistry()
        services.add(StreamAccess(partner=no_partner(), senders={}, role_of=lambda name: f"role/{name}"))
        host = Host(
            account=engine.config.account,
            clock=engine.platform.clock,
            new_request_id=engine.new_request_id,
            listen={},
            say=said.append,
            services=services,
        )
        source = KinesisSource.build([Binding(function=function, settings=settings)], host)
        [entry] = source.mappings
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            await group.start(source.serve, engine.sink, stopping)  # before the server is up, or the stream
            await reshard_under_load(producer, got)
            while sum(map(len, got.values())) < sum(map(len, producer.put.values())):
                await asyncio.sleep(0.02)
            while (report := entry.driver.poller.report(engine.platform.clock.wall())).in_flight:
                await asyncio.sleep(0.02)  # handlers have the last records, and have not answered yet
            stopping.set()

    assert producer.put == got
    assert (0, 0) == (report.in_flight, report.waiting)
    assert 2 == report.shards  # the lower half, and what was merged
    assert [] == [line for line in said if "again" not in line]


async def reshard_under_load(producer: Producer, got: dict[str, list[int]]) -> None:
    """Create, load, split and merge; each step once records of the one before have arrived."""
    run = anyio.to_thread.run_sync

    async def arrived(more: int) -> None:
        wanted = sum(map(len, got.values())) + more
        while sum(map(len, got.values())) < wanted:
            await asyncio.sleep(0.02)

    while True:
        try:
            await run(producer.create, 2)
            break
        except producer.kinesis.exceptions.ClientError:
            raise
        except Exception:  # it has not begun to listen yet
            await asyncio.sleep(0.05)
    async with anyio.create_task_group() as group:
        group.start_soon(run, producer.load)
        await arrived(36)
        await run(producer.split)
        await arrived(36)
        await run(producer.merge)
        await arrived(36)
        producer.stopping.set()
