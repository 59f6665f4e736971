"""What the source contract is played with: a sink that does as it is told, and ways to keep sources busy."""

import asyncio
import itertools
import json
import re
import sys
import types
from decimal import Decimal
from pathlib import Path
from random import Random
from zlib import crc32

import anyio
import pytest

from engine.app.bus_targets import FunctionPort
from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DestinationRecord
from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.ports import Binding, Host, ServiceRegistry
from engine.registry import resolve
from engine.services.deliveries.deliveries import Deliveries
from engine.services.eventbridge.service import EventBridgeService
from engine.services.partner.service import Partner
from engine.services.s3.service import S3Service
from engine.services.sns.service import SnsService
from engine.services.sqs.service import SqsService
from engine.sources.streams.clients import StreamAccess
from engine.sources.streams.scripted import ScriptedStream
from engine.testing import VirtualTimeLoop

ROOT = Path(__file__).parents[3]
FACTOR = 10
STREAM = {"batch_size": 1, "starting_position": "TRIM_HORIZON", "parallelization_factor": FACTOR}
RATE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))


def pytest_asyncio_loop_factories(config, item):
    """Virtual time, once: the executors of the contract beside this one do not matter here."""
    return {"virtual": VirtualTimeLoop}


class ContractSink:
    """Takes events, and answers them as it is set to.

    `status`: how they end, at once; None holds the answers until `release`. `error`: raised instead.
    """

    def __init__(self):
        self.status = Status.SUCCESS
        self.error = None
        self.events = []
        self.replies = []
        self.refused = 0
        self._came = asyncio.Event()

    def submit(self, event, reply, /):
        if self.error is not None:
            self.refused += 1
            self._came.set()
            raise self.error
        self.events.append(event)
        self._came.set()
        if self.status is None:
            self.replies.append((event, reply))
        else:
            self._answer(event, reply, self.status)

    async def invoke(self, event, /):
        future = asyncio.get_running_loop().create_future()
        self.submit(event, lambda outcome: None if future.done() else future.set_result(outcome))
        return await future

    def release(self, status=Status.SUCCESS):
        """Answer everything that is held."""
        held, self.replies = self.replies, []
        for event, reply in held:
            self._answer(event, reply, status)

    async def has(self, events=0, refused=0):
        """Wait until it took, or refused, so many."""
        while len(self.events) < events or self.refused < refused:
            self._came.clear()
            await self._came.wait()

    def _answer(self, event, reply, status):
        body = b'"done"' if status is Status.SUCCESS else b'{"errorMessage": "no", "errorType": "Error"}'
        reply(Outcome(status, body, event.request_id, RATE))


class Play:
    """One source at work. `offer` makes something happen that becomes events; by default time passes.

    Attributes:
        kind: The name in the registry, or `module:Class`.
        waits: Whether it waits for outcomes when it stops. Else they are the queue's concern.
    """

    kind = ""
    waits = True

    def __init__(self, folder):
        self.folder = folder
        self.loop = asyncio.get_running_loop()
        self.sink = ContractSink()
        self.stopping = anyio.Event()
        self.announced = []
        self.said, self.rejected = [], []
        self.services = ServiceRegistry()
        ids = itertools.count(1)
        self.host = Host(
            account=Account(),
            clock=self.loop.clock,
            new_request_id=lambda: f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}",
            listen={"http": ("127.0.0.1", 0)},
            reject=self.rejected.append,
            say=self.said.append,
            services=self.services,
        )
        self.serving = []
        self.prepare()
        source = resolve("source", self.kind)
        settings = source.Settings.model_validate(self.settings())
        self.source = source.build(
            [Binding(function=Function("f", handler="a.b"), settings=settings)], self.host
        )

    def prepare(self):
        """What there must be before the source is built."""

    def settings(self):
        """Its table, without `type`."""
        return {}

    def started(self, value=None):
        """What a source calls once it takes events: see `TaskStatus`."""
        self.announced.append(value)

    def serve(self):
        """A task that serves."""
        task = asyncio.ensure_future(self.source.serve(self.sink, self.stopping, task_status=self))
        self.serving.append(task)
        return task

    async def begin(self):
        """A task that serves, and takes events already."""
        task = self.serve()
        while not self.announced and not task.done():
            await asyncio.sleep(0)
        return task

    async def offer(self, count):
        """Make `count` events due."""

    async def busy(self, count):
        """Offer, and wait until they arrived."""
        before = len(self.sink.events)
        await self.offer(count)
        await self.sink.has(before + count)

    async def unanswered(self):
        """How many of those that were taken, and succeeded, nobody was told of."""
        return 0

    async def close(self):
        """Let go of what the test holds; nothing may be left then."""
        for task in self.serving:
            task.cancel()
            await asyncio.wait([task])

    def left(self):
        """Tasks and timers that are still there, after `close`. To be called in the test's own task."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        return tasks, self.loop.timers()


class HttpPlay(Play):
    """Clients, each with a connection of its own."""

    kind = "http"

    def prepare(self):
        self.answers = []
        self.clients = []

    def settings(self):
        return {"method": "ANY", "path": "$default"}

    async def offer(self, count):
        port = int(self.announced[0].rpartition(":")[2])
        for _ in range(count):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue  # it stopped listening
            writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            self.clients.append(asyncio.ensure_future(self._read(reader, writer)))

    async def _read(self, reader, writer):
        try:
            self.answers.append((await reader.readline()).decode().strip())
        except OSError:
            self.answers.append("")
        finally:
            writer.close()

    async def unanswered(self):
        await asyncio.wait(self.clients)
        return len(self.clients) - self.answers.count("HTTP/1.1 200 OK")

    async def close(self):
        await super().close()
        if self.clients:
            await asyncio.wait(self.clients)


class SqsPlay(Play):
    """Messages, one a batch."""

    kind = "sqs"

    def prepare(self):
        self.service = self.services.add(SqsService(self.host))

    def settings(self):
        return {"queue": "jobs", "batch_size": 1}

    async def offer(self, count):
        queue, now_s = self.service.queue("jobs"), self.host.clock.now()
        for _ in range(count):
            queue.send(now_s, self.host.new_request_id(), "hello")
        queue.wake_waiters(now_s)

    async def unanswered(self):
        return self.service.queue("jobs").messages.in_flight

    async def close(self):
        self.service.stop()
        await super().close()


class KinesisPlay(Play):
    """Records, one a batch, of a scripted stream."""

    kind = "kinesis"

    def prepare(self):
        self.stream = ScriptedStream(self.host.clock.wall)
        partner = Partner("none", Account(), None, clock=self.host.clock, spawn=None, say=None)
        access = StreamAccess(
            partner=partner, senders={}, role_of=lambda name: name, client=lambda _: self.stream
        )
        self.services.add(access)
        by_place = {crc32(str(number).encode()) % FACTOR: str(number) for number in range(100)}
        self.keys = itertools.cycle(by_place.values())  # of which several are in work at a time

    def settings(self):
        return {"stream": "s", **STREAM}

    async def offer(self, count):
        for _ in range(count):
            self.stream.put(next(self.keys), b"hello")

    async def unanswered(self):
        [entry] = self.source.mappings
        return 0 if entry.driver is None else entry.driver.poller.in_flight


class DynamodbPlay(KinesisPlay):
    """The same by its other name: what is in a record is the stream's."""

    kind = "dynamodb"

    def settings(self):
        return {"table": "orders", **STREAM}


class S3Play(Play):
    """Objects that are put into a bucket."""

    kind = "s3"

    def prepare(self):
        self.s3 = self.services.add(S3Service(self.host, spawn=None, offload=None))

    def settings(self):
        return {"bucket": "photos"}

    async def offer(self, count):
        for _ in range(count):
            self.s3.put_record("arn:aws:s3:::photos", DestinationRecord(body=b"x"))


class BusPlay(Play):
    """What is delivered comes by the service, which the source only tells whom to deliver to."""

    waits = False

    def prepare(self):
        ports = {"lambda": FunctionPort(self.sink, self.host)}
        clock = self.host.clock
        self.deliveries = Deliveries(self.loop, clock, Random(1), ports, None, DeliveryCounts())
        self.service = self.services.add(self.make_service())

    async def close(self):
        self.deliveries.close()
        await super().close()


class SnsPlay(BusPlay):
    """Messages to a topic."""

    kind = "sns"

    def make_service(self):
        return SnsService(self.host, self.deliveries.deliver_all, None)

    def settings(self):
        return {"topic": "t"}

    async def offer(self, count):
        for _ in range(count):
            self.service.send(self.service.topics.arn("t"), DestinationRecord(body=b"hello"))


class EventBridgePlay(BusPlay):
    """Events on the bus `default`."""

    kind = "eventbridge"

    def make_service(self):
        host = self.host
        return EventBridgeService(self.loop, host.clock, host.account, host.new_request_id, self.deliveries)

    def settings(self):
        return {"pattern": {"source": ["shop"]}}

    async def offer(self, count):
        for _ in range(count):
            entry = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
            self.service.perform("PutEvents", {"Entries": [entry]})

    async def close(self):
        self.service.close()
        await super().close()


class SchedulePlay(Play):
    """Minutes that pass."""

    kind = "schedule"
    waits = False

    def settings(self):
        return {"schedule": "rate(1 minute)"}


class ReplayPlay(Play):
    """A trace with a row for each second."""

    kind = "replay"

    def settings(self):
        trace = self.folder / "trace.jsonl"
        trace.write_text("".join(f'{{"timestamp": {second}}}\n' for second in range(10_000)))
        return {"file": str(trace)}

    async def unanswered(self):
        [summary] = self.source.summaries
        return summary.sent - summary.succeeded


class ScriptedPlay(Play):
    """The fake that `engine.testing` gives to users."""

    kind = "engine.testing:ScriptedSource"

    def settings(self):
        return {"at_s": tuple(range(10_000))}


class SpoolPlay(Play):
    """The source that docs/sources.md shows: files in a folder."""

    kind = "contract_spool:SpoolSource"

    def prepare(self):
        text = (ROOT / "docs" / "sources.md").read_text()
        [code] = re.findall(r"<!-- file: spool.py -->\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        module = sys.modules["contract_spool"] = types.ModuleType("contract_spool")
        exec(code, vars(module))
        self.numbers = itertools.count(1)

    def settings(self):
        return {"folder": str(self.folder)}

    async def offer(self, count):
        for _ in range(count):
            number = next(self.numbers)
            (self.folder / f"{number}.json").write_text(json.dumps({"number": number}))

    async def unanswered(self):
        return len([*self.folder.glob("*.taken"), *self.folder.glob("*.failed")])

    async def close(self):
        await super().close()
        sys.modules.pop("contract_spool", None)


PLAYS = [
    HttpPlay,
    SqsPlay,
    KinesisPlay,
    DynamodbPlay,
    S3Play,
    SnsPlay,
    EventBridgePlay,
    SchedulePlay,
    ReplayPlay,
    ScriptedPlay,
    SpoolPlay,
]


@pytest.fixture(params=PLAYS, ids=lambda play: play.kind)
async def case(request, tmp_path):
    """One source, not yet serving."""
    case = request.param(tmp_path)
    yield case
    await case.close()


@pytest.fixture
def played():
    """The names of all that are played."""
    return {play.kind for play in PLAYS}
