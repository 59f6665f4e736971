"""The longest that one step of the event loop takes, by operation; CPU time: a busy machine does not show.

Run: `python tests/bench/loop_holds.py [NAME ...]`. Exit code 1 if anything holds the loop above 50 ms.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import io
import json
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.config import Config as Client

from engine.app import Announcement, serve
from engine.config import load_config
from engine.runtime.clock import SystemClock
from engine.runtime.signals import StopSignals
from engine.services.sqs.queues import Queues

BOUND_MS = 50.0
ROLE = "arn:aws:iam::000000000000:role/any"


class Longest:
    """The longest callback since it was last asked, in milliseconds of CPU."""

    def __init__(self) -> None:
        self.ms, self.what = 0.0, ""
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            began_s = time.thread_time()
            run(handle)
            ms = (time.thread_time() - began_s) * 1000
            if ms > self.ms:
                self.ms, self.what = ms, repr(handle)

        asyncio.Handle._run = timed  # type: ignore[method-assign]

    def taken(self) -> float:
        ms, self.ms = self.ms, 0.0
        return ms


class Bench:
    """An engine in this process, its clients in another thread, and what each operation cost the loop."""

    def __init__(self, longest: Longest, addresses: Announcement, sqs: Any, names: list[str]) -> None:
        self.longest, self.addresses, self.names = longest, addresses, names
        self.found: dict[str, float] = {}
        self.too_long = False
        self.stock = sqs
        options = {
            "endpoint_url": addresses.aws,
            "region_name": "us-east-1",
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            "config": Client(retries={"max_attempts": 0}, read_timeout=120),
        }
        self.sqs, self.s3, self.lambda_ = (boto3.client(one, **options) for one in ("sqs", "s3", "lambda"))

    def hold(self, name: str, operation: Callable[[], Any], after_s: float = 0.3) -> Any:
        self.longest.taken()
        answer = operation()
        time.sleep(after_s)  # what it left to be done later counts too
        self.found[name] = self.longest.taken()
        self.too_long |= self.found[name] > BOUND_MS
        culprit = f": {self.longest.what}" if self.found[name] > BOUND_MS else ""
        print(f"{self.found[name]:9.1f} ms  {name}{culprit}", flush=True)
        return answer

    def run(self) -> None:
        for name in self.names or [one.removeprefix("of_") for one in dir(self) if one.startswith("of_")]:
            getattr(self, f"of_{name}")()

    # ---------------------------------------------------------------- SQS

    def queue(self, name: str, **attributes: str) -> str:
        url: str = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def fill(self, name: str, count: int, age_s: float = 0.0, delay_s: float = 0.0) -> None:
        """Not over HTTP: half a million sends would take minutes."""

        def put() -> None:
            queue = self.stock.queues().record(name).queue
            now_s = time.monotonic() - age_s  # the engine's clock
            for number in range(count):
                queue.send(now_s, f"id-{number}", "body", delay_s=delay_s)

        self.stock.call(put)

    def of_sqs_purge(self) -> None:
        url = self.queue("purged")
        self.fill("purged", 500_000)
        self.hold("PurgeQueue of 500,000", lambda: self.sqs.purge_queue(QueueUrl=url), 1.0)

    def of_sqs_delete(self) -> None:
        url = self.queue("deleted")
        self.fill("deleted", 500_000)
        self.hold("DeleteQueue of 500,000", lambda: self.sqs.delete_queue(QueueUrl=url), 1.0)

    def of_sqs_retention(self) -> None:
        url = self.queue("old", MessageRetentionPeriod="60")
        self.fill("old", 500_000, age_s=61)
        self.hold("retention of 500,000 ends", lambda: self.sqs.receive_message(QueueUrl=url), 4.0)

    def of_sqs_delay(self) -> None:
        url = self.queue("delayed")
        self.fill("delayed", 300_000, age_s=2, delay_s=1)
        self.hold("delay of 300,000 ends", lambda: self.sqs.receive_message(QueueUrl=url), 2.0)

    def of_sqs_visibility(self) -> None:
        url = self.queue("seen", VisibilityTimeout="2")
        self.fill("seen", 110_000)

        def receive() -> None:
            queue = self.stock.queues().record("seen").queue
            now_s = time.monotonic()
            while queue.receive(now_s, 10):
                pass

        self.stock.call(receive)
        time.sleep(2.5)
        self.hold("visibility timeout of 110,000 ends", lambda: self.sqs.receive_message(QueueUrl=url), 1.0)

    def of_sqs_move(self) -> None:
        url = self.queue("dead")
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        target = self.queue(
            "alive", RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
        )
        there = self.sqs.get_queue_attributes(QueueUrl=target, AttributeNames=["QueueArn"])
        self.fill("dead", 200_000)
        self.hold(
            "StartMessageMoveTask of 200,000",
            lambda: self.sqs.start_message_move_task(
                SourceArn=arn, DestinationArn=there["Attributes"]["QueueArn"]
            ),
            3.0,
        )

    def of_sqs_list(self) -> None:
        def many() -> None:
            queues = self.stock.queues()
            for number in range(5_000):
                queues.create(f"many-{number}", {}, {}, time.monotonic())

        self.stock.call(many)
        self.hold("ListQueues of 5,000", self.sqs.list_queues)

    # ---------------------------------------------------------------- S3

    def of_s3_bodies(self) -> None:
        self.s3.create_bucket(Bucket="bodies")
        body = b"x" * 100_000_000
        self.hold("PutObject of 100 MB", lambda: self.s3.put_object(Bucket="bodies", Key="k", Body=body))
        self.hold("GetObject of 100 MB", lambda: self.s3.get_object(Bucket="bodies", Key="k")["Body"].read())
        copy = {"Bucket": "bodies", "Key": "k"}
        self.hold(
            "CopyObject of 100 MB", lambda: self.s3.copy_object(Bucket="bodies", Key="c", CopySource=copy)
        )

    def of_s3_many(self) -> None:
        self.s3.create_bucket(Bucket="many")
        keys = [f"folder/{number:06}" for number in range(20_000)]
        many = SimpleNamespace(url=self.addresses.aws)
        put_all(many.url, "many", keys)
        self.hold("ListObjectsV2, 1,000 of 20,000", lambda: self.s3.list_objects_v2(Bucket="many"))
        self.hold(
            "ListObjectsV2, 20,000 below one prefix",
            lambda: self.s3.list_objects_v2(Bucket="many", Delimiter="/"),
        )
        thousand = {"Objects": [{"Key": key} for key in keys[:1_000]]}
        self.hold("DeleteObjects of 1,000", lambda: self.s3.delete_objects(Bucket="many", Delete=thousand))

    def of_s3_parts(self) -> None:
        self.s3.create_bucket(Bucket="parts")
        upload = self.s3.create_multipart_upload(Bucket="parts", Key="k")["UploadId"]
        path = f"parts/k?uploadId={upload}"
        size = 5 * 1024 * 1024
        count = 60
        etags = put_all(
            self.addresses.aws, "", [f"{path}&partNumber={n + 1}" for n in range(count)], b"x" * size
        )
        parts = [{"ETag": etag, "PartNumber": n + 1} for n, etag in enumerate(etags)]
        self.hold(
            f"CompleteMultipartUpload of {count} parts of 5 MB",
            lambda: self.s3.complete_multipart_upload(
                Bucket="parts", Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
            ),
        )

    # ---------------------------------------------------------------- Lambda, pages

    def of_payloads(self) -> None:
        payload = json.dumps([{"name": "x" * 20, "n": number} for number in range(140_000)])[
            : 6 * 1024 * 1024 - 2
        ]
        payload = payload[: payload.rindex("}") + 1] + "]"
        for name in ("echo", "echo_async"):
            self.lambda_.invoke(FunctionName=name, Payload=b"{}")
            self.hold(
                f"Invoke {name} with {len(payload) / 1e6:.1f} MB",
                lambda name=name: self.lambda_.invoke(FunctionName=name, Payload=payload),
            )
        self.hold(
            f"Invoke echo with {len(payload) / 1e6:.1f} MB that end with a mistake",
            lambda: self.refused(payload + "]"),
        )
        self.hold(
            "GET of 120,000 small objects",
            lambda: urllib.request.urlopen(f"{self.addresses.http}/records").read(),
        )

    def refused(self, payload: str) -> None:
        try:
            self.lambda_.invoke(FunctionName="echo", Payload=payload)
        except self.lambda_.exceptions.InvalidRequestContentException:
            return
        raise AssertionError("it was taken")

    def of_z_functions(self) -> None:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("app.py", "def handler(event, context):\n    return event\n")
            for number in range(3_000):
                archive.writestr(f"package/module_{number}.py", f"x = {number}\n" * 300)

        def create(name: str) -> None:
            self.lambda_.create_function(
                FunctionName=name,
                Role=ROLE,
                Runtime="python3.12",
                Handler="app.handler",
                Code={"ZipFile": code.getvalue()},
            )
            self.lambda_.get_waiter("function_active_v2").wait(FunctionName=name)

        self.hold("CreateFunction, 3,000 files", lambda: create("created"))
        small = io.BytesIO()
        with zipfile.ZipFile(small, "w") as archive:
            archive.writestr("app.py", "def handler(event, context):\n    return event\n")
        code = small
        for number in range(1_000):
            self.lambda_.create_function(
                FunctionName=f"many-{number}",
                Role=ROLE,
                Runtime="python3.12",
                Handler="app.handler",
                Code={"ZipFile": code.getvalue()},
            )
        time.sleep(3)
        for page in ("metrics", "metrics again", "status.json"):
            self.hold(
                f"/{page} of 1,000 functions",
                lambda page=page: urllib.request.urlopen(
                    f"{self.addresses.admin}/{page.partition(' ')[0]}"
                ).read(),
            )
        self.hold("ListFunctions", self.lambda_.list_functions)


def put_all(url: str | None, bucket: str, keys: list[str], body: bytes = b"x") -> list[str]:
    """PUT each, without the cost of boto3; returns the ETags."""

    connection = http.client.HTTPConnection((url or "").removeprefix("http://"))
    etags = []
    for key in keys:
        connection.request("PUT", f"/{bucket}/{key}" if bucket else f"/{key}", body)
        response = connection.getresponse()
        response.read()
        assert 200 == response.status, response.status
        etags.append(response.getheader("ETag") or "")
    return etags


async def measured(names: list[str]) -> bool:
    """Serve, and run the operations from another thread; whether any took too long."""
    longest, loop = Longest(), asyncio.get_running_loop()
    folder = Path(tempfile.mkdtemp())
    (folder / "engine.toml").write_text(
        "[engine]\nlog_format = 'off'\n"
        "[functions.echo]\nhandler = 'app.echo'\nexecutor = 'thread'\n"
        "[functions.records]\nhandler = 'app.records'\nexecutor = 'thread'\n"
        "[[functions.records.events]]\ntype = 'http'\npath = '/records'\n"
        "[functions.echo_async]\nhandler = 'app.echo_async'\nexecutor = 'loop'\n"
    )
    (folder / "app.py").write_text(
        "def echo(event, context):\n    return event\n"
        "def records(event, context):\n    return [{'name': 'x' * 20, 'n': n} for n in range(120_000)]\n"
        "async def echo_async(event, context):\n    return event\n"
    )
    listeners = dict.fromkeys(("http", "aws", "admin"), "127.0.0.1:0")
    config = load_config(str(folder / "engine.toml"), listeners)
    addresses: asyncio.Future[Announcement] = loop.create_future()

    signals = StopSignals(loop, SystemClock(), config.grace_s)
    serving = asyncio.create_task(
        serve(config, announce=addresses.set_result, write_log=lambda _: None, signals=signals)
    )

    def call(step: Callable[[], None]) -> None:
        done = threading.Event()
        loop.call_soon_threadsafe(lambda: (step(), done.set()))
        done.wait()

    bench = Bench(longest, await addresses, SimpleNamespace(queues=all_queues, call=call), names)
    try:
        await asyncio.to_thread(bench.run)
    finally:
        signals.ask()
        await serving
    return bench.too_long


def all_queues() -> Any:
    """The queues of the engine that runs here, wherever it keeps them."""

    gc.unfreeze()  # what was made before the engine's collector was set up is not listed else
    (queues,) = (one for one in gc.get_objects() if isinstance(one, Queues))
    gc.freeze()
    return queues


if __name__ == "__main__":
    sys.exit(asyncio.run(measured(sys.argv[1:])))
