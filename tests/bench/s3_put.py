"""S3 PutObject of 1 KB, each with a notification delivered to a function: objects per second on one core.

The server is a process of its own, pinned to the first core: an engine with a no-op `async def` handler, the
aws endpoint, the store in memory. The raw client keeps 32 connections on the other core, one request in
flight on each, to a new key each time, with the headers of boto3: content digest, CRC32, metadata. Then boto3
itself puts objects one after the other, and, if `ministack` is installed, into MiniStack as well.
Run: `python tests/bench/s3_put.py [--seconds S] [--folder FOLDER]`; prints one JSON line, and exits 1 below
`AT_LEAST`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import boto3
import uvloop
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from engine import Engine, Function
from engine.ports import Binding, Host, ServiceRegistry
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.services.s3.service import S3Service
from engine.services.s3.settings import S3Event
from engine.sources.s3.source import S3Source

AT_LEAST = 5_000.0
CONNECTIONS = 32
BODY = bytes(range(256)) * 4
CORES = sorted(os.sched_getaffinity(0))
MINISTACK = os.environ.get("MINISTACK") or shutil.which("ministack")


async def serve(folder: Path | None) -> None:
    """Serve until stdin ends; then print how many objects there are, and how many were told of."""
    here = str(Path(__file__).parent)
    function = Function("noop", handler="noop.on_loop", code=here, executor="loop")
    async with Engine([function]) as engine, anyio.create_task_group() as group:
        services = ServiceRegistry()
        clock, new_id = engine.platform.clock, engine.new_request_id
        account = engine.config.account
        host = Host(account=account, clock=clock, new_request_id=new_id, listen={}, services=services)
        service = services.add(
            S3Service(host, spawn=group.start_soon, offload=engine.platform.offload, folder=folder)
        )
        source = S3Source.build([Binding(function=function, settings=S3Event(bucket="bench"))], host)
        endpoint = AwsRouter({"s3": service.api.handle}, new_id)
        server = HttpServer(endpoint.handle, clock, HttpLimits(max_body_bytes=service.api.body_limit_bytes))
        _, port = await server.start("127.0.0.1", 0)
        stopping = anyio.Event()
        await group.start(source.serve, engine.asynchronous, stopping)
        print(port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.close()
        stopping.set()
        objects = len(service.store.buckets["bench"].keys)
        delivered = engine.stats.functions["noop"].triggers["s3"].ended["success"]
        print(json.dumps({"objects": objects, "delivered": delivered}), flush=True)
    service.close()


class Caller(asyncio.Protocol):
    """One connection: puts the next key when the answer to the last is whole."""

    def __init__(self, number: int, tail: bytes) -> None:
        self.number, self.tail, self.answers = number, tail, 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        key = b"PUT /bench/in/%d/%d.bin HTTP/1.1\r\n" % (self.number, self.answers)
        self.transport.write(key + self.tail)

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"HTTP/1.1 200"), data
        assert data.endswith(b"content-length: 0\r\n\r\n"), data
        self.answers += 1
        self.send()


def tail(port: int) -> bytes:
    """Headers and body, as boto3 sends them."""
    sha256, crc32 = hashlib.sha256(BODY).hexdigest(), zlib.crc32(BODY).to_bytes(4, "big")
    scope = "AKIDEXAMPLE/20260101/us-east-1/s3/aws4_request"
    signed = "host;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-meta-origin"
    lines = [
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/octet-stream",
        "x-amz-meta-origin: bench",
        "User-Agent: Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11 cfg/retry-mode#legacy",
        f"x-amz-checksum-crc32: {base64.b64encode(crc32).decode()}",
        "x-amz-sdk-checksum-algorithm: CRC32",
        "X-Amz-Date: 20260101T000000Z",
        f"X-Amz-Content-SHA256: {sha256}",
        f"Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={'0' * 64}",
        "amz-sdk-request: attempt=1",
        f"Content-Length: {len(BODY)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + BODY


async def drive(port: int, seconds: float) -> float:
    """Answers per second to the raw client."""
    loop = asyncio.get_running_loop()
    callers = [Caller(number, tail(port)) for number in range(CONNECTIONS)]
    began_s = time.perf_counter()
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    await asyncio.sleep(seconds)
    rate = sum(caller.answers for caller in callers) / (time.perf_counter() - began_s)
    for caller in callers:
        caller.transport.abort()
    return rate


def drive_boto3(port: int, seconds: float) -> float:
    """Objects per second that boto3 puts, one after the other."""
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    _await_answers(client)
    client.create_bucket(Bucket="bench")
    count, began_s = 0, time.perf_counter()
    while time.perf_counter() < began_s + seconds:
        client.put_object(Bucket="bench", Key=f"boto3/{count}", Body=BODY, Metadata={"origin": "bench"})
        count += 1
    return count / (time.perf_counter() - began_s)


def _await_answers(client, within_s: float = 30.0) -> None:
    until_s = time.perf_counter() + within_s
    while True:
        try:
            client.list_buckets()
        except BotoCoreError:
            if time.perf_counter() > until_s:
                raise
            time.sleep(0.2)
        else:
            return


@contextmanager
def ministack(command: str) -> Iterator[int]:
    """MiniStack on the first core; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "GATEWAY_PORT": str(port), "EDGE_PORT": str(port), "SERVICES": "s3"}
    process = subprocess.Popen(
        [command], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=on_first_core
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def on_first_core() -> None:
    """Servers run there; what drives them on the last."""
    os.sched_setaffinity(0, {CORES[0]})


def cpu_s(process: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(seconds: float, folder: str | None) -> int:
    """Measure and print."""
    os.sched_setaffinity(0, {CORES[-1]})
    command = [sys.executable, __file__, "--serve", *(["--folder", folder] if folder else [])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=on_first_core
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        began_cpu_s = cpu_s(server.pid)
        rate = uvloop.run(drive(port, seconds))
        per_cpu_s = rate * seconds / (cpu_s(server.pid) - began_cpu_s)  # steadier on a shared machine
        report: dict[str, object] = {"put_1kb_per_s": round(rate), "at_least": AT_LEAST}
        report["put_1kb_per_server_cpu_s"] = round(per_cpu_s)
        report["boto3_per_s"] = round(drive_boto3(port, seconds))
        told, _ = server.communicate()
    counts = json.loads(told)
    assert counts["delivered"] >= counts["objects"], counts
    if MINISTACK:
        with ministack(MINISTACK) as port:
            report["ministack_boto3_per_s"] = round(drive_boto3(port, seconds))
    print(json.dumps({**report, **counts}))
    return 0 if rate >= AT_LEAST else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", help="keep objects there instead of in memory")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(Path(options.folder) if options.folder else None))
    else:
        sys.exit(main(options.seconds, options.folder))
