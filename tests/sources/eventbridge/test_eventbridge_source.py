"""Events of type `eventbridge`: rules whose target is the function."""

import asyncio
import itertools
from random import Random

import anyio
import pytest

from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DestinationRecord
from engine.core.function import Account, Function
from engine.errors import ConfigError
from engine.ports import Binding, Host
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import port_of
from engine.services.eventbridge.service import EventBridgeService
from engine.services.eventbridge.settings import EventBridgeEvent
from engine.sources.eventbridge.source import EventBridgeSource

PATTERN = {"source": ["shop"]}
EVENT = DestinationRecord(body=b'{"source":"shop","detail-type":"t","detail":{"n":1}}')


def bindings(*tables, function="f", qualifier=None):
    return [
        Binding(
            function=Function(function, handler="a.b"),
            settings=EventBridgeEvent.model_validate({"pattern": PATTERN} | table),
            qualifier=qualifier,
        )
        for table in tables
    ]


@pytest.fixture
async def host():
    ids = itertools.count(1)
    return Host(
        account=Account(),
        clock=asyncio.get_running_loop().clock,
        new_request_id=lambda: f"id-{next(ids)}",
        listen={},
    )


@pytest.fixture
async def got(host):
    """What functions get, once there is the service."""
    loop, got = asyncio.get_running_loop(), []
    ports = {"lambda": port_of(lambda arn, record: got.append((arn, record.body)))}
    deliveries = Deliveries(loop, host.clock, Random(1), ports, lambda *_: None, DeliveryCounts())
    host.services.add(EventBridgeService(loop, host.clock, host.account, host.new_request_id, deliveries))
    return got


async def test_an_event_of_the_configuration_is_a_rule_with_the_function_as_target(host, got):
    """Under an alias, on a bus that is made, with a constant."""
    EventBridgeSource.build(bindings({"bus": "b", "input": {"k": 1}}, qualifier="live"), host)
    service = host.services.find(EventBridgeService)
    service.send("arn:aws:events:us-east-1:000000000000:event-bus/b", EVENT)

    assert [("arn:aws:lambda:us-east-1:000000000000:function:f:live", b'{"k":1}')] == got
    assert ["f-1"] == [rule["Name"] for rule in service.perform("ListRules", {"EventBusName": "b"})["Rules"]]


async def test_it_serves_until_it_is_to_stop(host, got):
    """Events come by the bus, whether it serves or not."""
    source, stopping = EventBridgeSource.build(bindings({}), host), anyio.Event()
    async with anyio.create_task_group() as group:
        assert await group.start(source.serve, None, stopping) is None
        host.services.find(EventBridgeService).send("default", EVENT)
        stopping.set()

    assert 1 == len(got)


async def test_two_rules_of_one_name_on_a_bus_are_told(host):
    """On two buses they are not the same."""
    found = EventBridgeSource.examine(
        [*bindings({"name": "r"}, {"name": "r", "bus": "b"}), *bindings({"name": "r"}, function="g")], 0.0
    )

    assert [(2, "there is a rule 'r' on bus 'default' already, of 'f'")] == [
        (finding.binding, finding.sentence) for finding in found
    ]


async def test_a_rule_that_aws_refuses_is_an_error_of_the_configuration(host, got):
    """In its words, found before anything runs, too."""
    refused = bindings({"input_transformer": {"paths": {"a b": "$.x"}, "template": "x"}})
    [finding] = EventBridgeSource.examine(refused, 0.0)

    assert (0, True) == (
        finding.binding,
        "'targets.1.member.inputTransformer.inputPathsMap'" in finding.sentence,
    )
    with pytest.raises(ConfigError, match=r"functions\.f: 1 validation error detected: Value '{a b="):
        EventBridgeSource.build(refused, host)


async def test_without_buses_there_is_no_such_source(host):
    """Where an engine has no listener for AWS clients."""
    with pytest.raises(ConfigError, match="need the buses"):
        EventBridgeSource.build(bindings({}), host)
