"""Event buses without an engine, on virtual time: targets remember what they get."""

import asyncio
import itertools
import json
from random import Random

import pytest

from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DeliveryError
from engine.core.function import Account
from engine.protocols.aws.errors import ServiceError
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import port_of
from engine.services.eventbridge.service import EventBridgeService

ACCOUNT = Account()
ARNS = "arn:aws:{}:us-east-1:000000000000:{}"
FUNCTION = ARNS.format("lambda", "function:f")
QUEUE = ARNS.format("sqs", "q")
DEAD = ARNS.format("sqs", "dead")


class Site:
    """The service, and targets: functions and queues that take all but what is `missing`."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.clock = loop.clock
        self.got, self.records, self.missing, self.errors = [], [], set(), []
        self.counts = DeliveryCounts()
        ports = {kind: port_of(self.take) for kind in ("lambda", "sqs", "sns")}
        self.deliveries = Deliveries(loop, loop.clock, Random(1), ports, self.take, self.counts)
        ids = itertools.count(1)
        self.service = EventBridgeService(
            loop, loop.clock, ACCOUNT, lambda: f"id-{next(ids)}", self.deliveries
        )
        ports["events"] = self.service.attempt

    def take(self, arn, record):
        if arn in self.missing:
            raise DeliveryError(arn, "The specified queue does not exist.")
        if self.errors and arn != DEAD:
            raise self.errors.pop(0)
        name = arn.rpartition(":")[2]
        self.got.append((name, record.body.decode()))
        self.records.append((name, record))

    def ask(self, operation, **members):
        """The answer of an operation, or `(code, message)` of its error."""
        try:
            return self.service.perform(operation, members)
        except ServiceError as error:
            return error.code, error.message

    def rule(self, name="r", pattern=None, bus="default", **target):
        """A rule with one target, a function by default."""
        pattern = {"source": ["shop"]} if pattern is None else pattern
        self.ask("PutRule", Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
        target = {"Id": "t", "Arn": FUNCTION} | target
        return self.ask("PutTargets", Rule=name, EventBusName=bus, Targets=[target])

    def put(self, detail=None, **members):
        """PutEvents with one entry: what it answers for it."""
        detail = {"n": 2} if detail is None else detail
        entry = {"Source": "shop", "DetailType": "order.created", "Detail": json.dumps(detail)} | members
        return self.ask("PutEvents", Entries=[entry])["Entries"][0]

    def delivered(self):
        """What targets got since, as JSON values."""
        got, self.got = self.got, []
        return [json.loads(body) for _, body in got]


@pytest.fixture
async def site():
    site = Site()
    yield site
    site.service.close()
    site.deliveries.close()
