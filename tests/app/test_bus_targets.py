"""Functions as targets of topics and event buses."""

import asyncio
import itertools

import orjson
import pytest

from engine.app.bus_targets import FunctionPort
from engine.core.destinations import DeliveryError, DestinationRecord
from engine.core.function import Account
from engine.core.recursion import calls_in
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Host
from engine.services.deliveries.delivery import Delivery
from engine.services.deliveries.retry_law import EVENTBRIDGE_LAW

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


class Taking:
    """A sink that remembers, or refuses."""

    def __init__(self, error=None):
        self.events, self.error = [], error

    def submit(self, event, _reply):
        if self.error is not None:
            raise self.error
        self.events.append(event)


@pytest.fixture
async def host():
    ids = itertools.count(1)
    return Host(
        account=Account(),
        clock=asyncio.get_running_loop().clock,
        new_request_id=lambda: f"id-{next(ids)}",
        listen={},
    )


def deliver(host, sink, arn, service="events", trace=None):
    """What the port says of one delivery."""
    said = []
    delivery = Delivery(
        service=service,
        kind="lambda",
        target=arn,
        record=DestinationRecord(body=b'{"n":1}', trace=trace),
        law=EVENTBRIDGE_LAW,
        dead_letter_queue=None,
        dead_letter=lambda _: DestinationRecord(body=b""),
    )
    FunctionPort(sink, host)(delivery, said.append)
    return said


async def test_a_delivery_becomes_an_event_for_the_function(host):
    """With the alias that the ARN names, in a trace of its own if it came without."""
    sink = Taking()
    said = deliver(host, sink, f"{ARN}f:live")
    [event] = sink.events

    assert [None] == said
    assert ("f", "live", "eventbridge", {"n": 1}) == (
        event.function,
        event.qualifier,
        event.trigger,
        orjson.loads(event.payload),
    )
    assert event.trace_id.startswith("Root=1-")


@pytest.mark.parametrize(("service", "calls"), [("sns", 1), ("events", 0)])
async def test_loops_by_sns_are_counted_those_by_eventbridge_are_not(host, service, calls):
    """As Lambda's recursive loop detection does."""
    sink = Taking()
    deliver(host, sink, f"{ARN}f", service, TRACE)

    assert calls == calls_in(sink.events[0].trace_id)
    assert sink.events[0].trace_id.startswith(TRACE)


@pytest.mark.parametrize(
    ("arn", "error", "code", "is_temporary"),
    [
        (f"{ARN}gone", FunctionNotFound("gone"), "NO_RESOURCE", False),
        (f"{ARN}f", NotAccepting("draining"), "INTERNAL_ERROR", True),
        ("arn:aws:lambda:eu-west-1:000000000000:function:f", None, "NO_RESOURCE", False),
        ("arn:aws:lambda:us-east-1:000000000000:layer:f", None, "INVALID_PARAMETER", False),
    ],
)
async def test_what_cannot_be_invoked_is_an_error(host, arn, error, code, is_temporary):
    """Only an engine that takes nothing just now is worth another attempt."""
    with pytest.raises(DeliveryError) as found:
        deliver(host, Taking(error), arn)

    assert (code, is_temporary) == (found.value.code, found.value.is_temporary)
