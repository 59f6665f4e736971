"""SQS through boto3, one call after the other: the engine, and beside it MiniStack and moto where installed.

Run: `python -m tests.bench.sqs_boto3 [--seconds S]`; prints one JSON line. Most of the time is boto3's own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

CORES = sorted(os.sched_getaffinity(0))
BODY = "x" * 100
MINISTACK = os.environ.get("MINISTACK") or shutil.which("ministack")
MOTO = Path(sys.executable).with_name("moto_server")


def on_first_core() -> None:
    """Servers run there; what drives them on the last."""
    os.sched_setaffinity(0, {CORES[0]})


@contextmanager
def engine() -> Iterator[tuple[int, int]]:
    """The engine's SQS; gives its port, and the number of its process."""
    command = [sys.executable, "-m", "tests.bench.sqs_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=on_first_core
    ) as server:
        yield json.loads(server.stdout.readline())["port"], server.pid
        server.communicate()


@contextmanager
def other(command: Sequence[str], **environ: str) -> Iterator[int]:
    """Another server, told its port by `{port}`; gives it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [part.format(port=port) for part in command],
        env={**os.environ, **{name: value.format(port=port) for name, value in environ.items()}},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=on_first_core,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def rates(port: int, seconds: float) -> Mapping[str, int]:
    """Messages per second: sent one by one; received and deleted by tens."""
    client = boto3.client(
        "sqs",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    _await_answers(client)
    url = client.create_queue(QueueName="boto3")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": BODY} for n in range(10)]

    def send() -> int:
        client.send_message(QueueUrl=url, MessageBody=BODY)
        return 1

    def receive_and_delete() -> int:
        messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        deletes = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
        deleted = client.delete_message_batch(QueueUrl=url, Entries=deletes)
        return len(deleted["Successful"])

    def fill() -> None:
        client.send_message_batch(QueueUrl=url, Entries=entries)

    return {
        "send_per_s": _best(send, lambda: None, seconds),
        "receive_delete_per_s": _best(receive_and_delete, fill, seconds),
    }


def _best(act: Callable[[], int], prepare: Callable[[], None], seconds: float) -> int:
    """Messages per second of the best round of twenty acts: others use the machine too."""
    best, until_s = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        for _ in range(20):
            prepare()
        began_s = time.perf_counter()
        count = sum(act() for _ in range(20))
        best = max(best, count / (time.perf_counter() - began_s))
    return round(best)


def _await_answers(client, within_s: float = 30.0) -> None:
    until_s = time.perf_counter() + within_s
    while True:
        try:
            client.list_queues()
        except BotoCoreError:
            if time.perf_counter() > until_s:
                raise
            time.sleep(0.2)
        else:
            return


def main(seconds: float) -> dict[str, Mapping[str, int]]:
    """Measure all there are."""
    os.sched_setaffinity(0, {CORES[-1]})
    with engine() as (port, _):
        report = {"engine": rates(port, seconds)}
    if MINISTACK:
        with other([MINISTACK], GATEWAY_PORT="{port}", EDGE_PORT="{port}", SERVICES="sqs") as port:
            report["ministack"] = rates(port, seconds)
    if MOTO.exists():
        with other([str(MOTO), "-H", "127.0.0.1", "-p", "{port}"]) as port:
            report["moto"] = rates(port, seconds)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    print(json.dumps(main(parser.parse_args().seconds)))
