"""Raw SQS load: keep-alive connections that send JSON calls and pick receipt handles out of answers.

Run: `python -m tests.bench.sqs_load` starts a server of its own on the first core, drives it from the last,
prints one JSON line, and exits 1 below `AT_LEAST`. `--connections N`, `--seconds S`, `--messages M`,
`--signed` (each head differs, as signatures make it), `--boto3` (boto3's rates too, and those of others).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import sys
import time
from pathlib import Path

import uvloop

from tests.bench import sqs_boto3

AT_LEAST = {"send": 12_000.0, "receive_delete": 40_000.0}
"""Messages per second, by the clock, of a server on one core."""
CREDENTIAL = "AKIDEXAMPLE/20261121/us-east-1/sqs/aws4_request"
HANDLE = re.compile(rb'"ReceiptHandle":"([^"]+)"')
LENGTH = re.compile(rb"(?i)content-length: (\d+)")
BODY = "x" * 100


class Calls:
    """Renders requests as botocore does; `server` is the process whose time they cost."""

    def __init__(self, port: int, server: int, *, signed: bool) -> None:
        self.port = port
        self.server = server
        self.signed = signed
        self.numbers = itertools.count()

    def server_cpu_s(self) -> float:
        """Processor time of the server so far."""
        fields = Path(f"/proc/{self.server}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rates(self, count: int, took_s: float, cpu_s: float) -> dict[str, float]:
        """What is printed: the second rate is what the first is on a machine of one's own."""
        return {"messages": count, "per_s": round(count / took_s), "per_server_cpu_s": round(count / cpu_s)}

    def again(self, request: bytes) -> bytes:
        """The same request, signed anew if requests are signed."""
        if not self.signed:
            return request
        number = b"%08x" % next(self.numbers)
        at, head = request.index(b"Signature=") + 10 + 56, request.index(b"-9869") + 5
        return b"".join((request[:at], number, request[at + 8 : head], number, request[head + 8 :]))

    def render(self, operation: str, **params: object) -> bytes:
        url = f"http://127.0.0.1:{self.port}/000000000000/bench"
        body = json.dumps({"QueueUrl": url, **params}).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept-Encoding: identity\r\n"
            f"X-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            "x-amzn-query-mode: true\r\nUser-Agent: Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux\r\n"
            f"X-Amz-Date: 20261121T160000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential={CREDENTIAL}, "
            "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            f"Signature={0:064x}\r\namz-sdk-invocation-id: 6b8b4567-327b-43c6-a43c-9869{0:08x}\r\n"
            f"amz-sdk-request: attempt=1\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection(asyncio.Protocol):
    """One request in flight; `step(answer)` gives the next one, or None to stop."""

    def __init__(self, first: bytes, step) -> None:
        self.first, self.step = first, step
        self.buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self.first)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < int(LENGTH.search(head)[1]):
            return
        assert head.startswith(b"HTTP/1.1 200"), self.buffer
        self.buffer = b""
        request = self.step(body)
        if request is None:
            self.transport.abort()
            self.done.set_result(None)
        else:
            self.transport.write(request)


async def drive(port: int, connections: int, first: bytes, make_step) -> float:
    """Seconds until all connections have stopped."""
    loop = asyncio.get_running_loop()
    began_s = time.perf_counter()
    made = [
        (await loop.create_connection(lambda: Connection(first, make_step()), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for one in made))
    return time.perf_counter() - began_s


async def sends(calls: Calls, connections: int, seconds: float) -> dict[str, float]:
    """SendMessage, one message a call."""
    count, until_s = 0, time.perf_counter() + seconds
    request = calls.render("SendMessage", MessageBody=BODY)

    def step(answer: bytes) -> bytes | None:
        nonlocal count
        assert b"MessageId" in answer
        count += 1
        if time.perf_counter() > until_s:
            return None
        return calls.again(request)

    cpu_s = calls.server_cpu_s()
    took_s = await drive(calls.port, connections, request, lambda: step)
    return calls.rates(count, took_s, calls.server_cpu_s() - cpu_s)


async def fill(calls: Calls, connections: int, batches: int) -> None:
    """SendMessageBatch of ten."""
    entries = [{"Id": str(number), "MessageBody": BODY} for number in range(10)]
    request = calls.render("SendMessageBatch", Entries=entries)
    left = batches

    def step(_answer: bytes) -> bytes | None:
        nonlocal left
        left -= 1
        return request if left > 0 else None

    await drive(calls.port, connections, request, lambda: step)


async def drains(calls: Calls, connections: int) -> dict[str, float]:
    """ReceiveMessage of ten, DeleteMessageBatch of what came, until nothing comes."""
    count = 0
    receive = calls.render("ReceiveMessage", MaxNumberOfMessages=10)

    def make_step():
        def step(answer: bytes) -> bytes | None:
            nonlocal count
            handles = HANDLE.findall(answer)
            if handles:
                entries = [
                    {"Id": str(number), "ReceiptHandle": handle.decode()}
                    for number, handle in enumerate(handles)
                ]
                return calls.again(calls.render("DeleteMessageBatch", Entries=entries))
            if answer == b"{}":
                return None
            assert b"Failed" not in answer
            count += answer.count(b'"Id"')
            return calls.again(receive)

        return step

    cpu_s = calls.server_cpu_s()
    took_s = await drive(calls.port, connections, receive, make_step)
    return calls.rates(count, took_s, calls.server_cpu_s() - cpu_s)


async def measured(options: argparse.Namespace, port: int, server: int) -> dict[str, dict[str, float]]:
    """Send, fill, drain."""
    calls = Calls(port, server, signed=options.signed)
    await drive(port, 1, calls.render("CreateQueue", QueueName="bench"), lambda: lambda _: None)
    sent = await sends(calls, options.connections, options.seconds)
    await fill(calls, options.connections, max(0, options.messages - int(sent["messages"])) // 10)
    return {"send": sent, "receive_delete": await drains(calls, options.connections)}


def main(options: argparse.Namespace) -> int:
    """Measure and print."""
    os.sched_setaffinity(0, {sqs_boto3.CORES[-1]})
    with sqs_boto3.engine() as (port, server):
        rates = uvloop.run(measured(options, port, server))
    report: dict[str, object] = {**rates, "signed": options.signed, "at_least": AT_LEAST}
    report["load_average"] = os.getloadavg()[0]
    if options.boto3:
        report["boto3"] = sqs_boto3.main(options.seconds)
    print(json.dumps(report))
    return 0 if all(rates[name]["per_s"] >= least for name, least in AT_LEAST.items()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--signed", action="store_true")
    parser.add_argument("--boto3", action="store_true")
    sys.exit(main(parser.parse_args()))
