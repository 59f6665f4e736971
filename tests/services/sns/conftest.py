"""Topics without an engine, on virtual time: targets remember what they get."""

import asyncio
import itertools
from random import Random

import pytest

from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DeliveryError
from engine.core.function import Account
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import port_of
from engine.services.sns.service import SnsService

ARNS = "arn:aws:{}:us-east-1:000000000000:{}"
TOPIC = ARNS.format("sns", "t")
QUEUE = ARNS.format("sqs", "q")
DEAD = ARNS.format("sqs", "dead")


class Site:
    """The service, and targets: all take what they get but those that are `missing`."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.clock, self.began_s = loop.clock, loop.clock.now()
        self.got, self.posts, self.statuses, self.missing = [], [], [], set()
        self.counts = DeliveryCounts()
        ports = {"lambda": port_of(self.take), "sqs": port_of(self.take), "http": self.post}
        self.deliveries = Deliveries(loop, loop.clock, Random(1), ports, self.take, self.counts)
        ids = itertools.count(1)
        host = Host(account=Account(), clock=loop.clock, new_request_id=lambda: f"id-{next(ids)}", listen={})
        self.service = SnsService(host, self.deliveries.deliver_all, "http://engine.local")

    def take(self, arn, record):
        if arn in self.missing:
            raise DeliveryError(arn, "it does not exist")
        self.got.append((arn, record))

    def post(self, delivery, done):
        """Answers with the next of `statuses`, else 200, half a second later."""
        self.posts.append((round(self.clock.now() - self.began_s, 1), delivery))
        status = self.statuses.pop(0) if self.statuses else 200
        error = None if status == 200 else DeliveryError(delivery.target, f"{status}", "", status >= 500)
        asyncio.get_running_loop().call_later(0.5, done, error)

    def ask(self, operation, **members):
        """The answer of an operation, or `(code, message)` of its error."""
        try:
            return self.service.perform(operation, members)
        except ServiceError as error:
            return error.code, error.message

    def topic(self, name="t", **attributes):
        return self.ask("CreateTopic", Name=name, Attributes=attributes)["TopicArn"]

    def subscribe(self, endpoint=QUEUE, protocol="sqs", topic=TOPIC, **attributes):
        return self.ask(
            "Subscribe",
            TopicArn=topic,
            Protocol=protocol,
            Endpoint=endpoint,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    def publish(self, text="m", topic=TOPIC, **members):
        return self.ask("Publish", TopicArn=topic, Message=text, **members)

    def bodies(self):
        """What targets got since, as text."""
        got, self.got = self.got, []
        return [record.body.decode() for _, record in got]


@pytest.fixture
async def site():
    site = Site()
    yield site
    site.deliveries.close()
