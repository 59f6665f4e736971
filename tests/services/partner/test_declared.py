"""What the configuration describes is made in each partner that starts, before that answers anything."""

import anyio
import pytest

from engine.protocols.http.client import CannotConnect, Response
from engine.services.partner.declared import DeclaredResources, declarations
from engine.services.partner.settings import DataStreamSettings, TableSettings

STREAMS = {
    "clicks": DataStreamSettings(shards=2, tags={"team": "shop"}),
    "kept": DataStreamSettings(retention_hours=48),
}
INDEX = {"IndexName": "by-kind", "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}]}
TABLES = {
    "orders": TableSettings(
        partition_key="id",
        sort_key="at:N",
        stream="NEW_IMAGE",
        create_table={
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            "GlobalSecondaryIndexes": [INDEX],
        },
        tags={"team": "shop"},
    ),
    "plain": TableSettings(partition_key="a:b"),
}


def test_what_is_described_is_asked_for_in_the_words_of_aws():
    """A table is paid by request unless it says otherwise; no attribute is defined twice."""
    made = {(one.target, one.what): one.members for one in declarations(STREAMS, TABLES)}

    assert {
        ("Kinesis_20131202.CreateStream", "stream 'clicks'"): {
            "StreamName": "clicks",
            "ShardCount": 2,
            "Tags": {"team": "shop"},
        },
        ("Kinesis_20131202.CreateStream", "stream 'kept'"): {"StreamName": "kept", "ShardCount": 1},
        ("Kinesis_20131202.IncreaseStreamRetentionPeriod", "stream 'kept'"): {
            "StreamName": "kept",
            "RetentionPeriodHours": 48,
        },
        ("DynamoDB_20120810.CreateTable", "table 'orders'"): {
            "TableName": "orders",
            "KeySchema": [
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "at", "KeyType": "RANGE"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": "N"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            "GlobalSecondaryIndexes": [INDEX],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            "Tags": [{"Key": "team", "Value": "shop"}],
        },
        ("DynamoDB_20120810.CreateTable", "table 'plain'"): {
            "TableName": "plain",
            "KeySchema": [{"AttributeName": "a:b", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "a:b", "AttributeType": "S"}],
        },
    } == made


def answer(status, body=b"{}"):
    return Response(status, [], body)


@pytest.mark.parametrize(
    ("answered", "line"),
    [
        (answer(200), None),
        (answer(400, b'{"__type":"ResourceInUseException","message":"Table already exists"}'), None),
        (
            answer(
                400, b'{"__type":"com.amazonaws#ValidationException","message":"One or more\\nparameters"}'
            ),
            "ValidationException: One or more parameters",
        ),
        (answer(500, b"<html>"), "it answered 500"),
        (answer(400, b"[]"), "it answered 400"),
    ],
)
async def test_what_cannot_be_made_is_one_line_and_the_rest_goes_on(answered, line):
    """What is there already is left as it is."""
    said, sent = [], []

    async def send(one):
        sent.append(one.what)
        return answered if one.what == "stream 'clicks'" else answer(200)

    await DeclaredResources(declarations(STREAMS, TABLES), said.append).make(0, send)

    expected = [] if line is None else [f"partner: stream 'clicks' could not be made: {line}"]
    assert expected == said
    assert ["stream 'clicks'", "stream 'kept'", "stream 'kept'", "table 'orders'", "table 'plain'"] == sent


@pytest.mark.parametrize(
    ("first", "sent"),
    [
        (answer(200), ["CreateStream", *["IncreaseStreamRetentionPeriod"] * 3]),
        (answer(400, b'{"__type":"ResourceInUseException"}'), ["CreateStream"]),
    ],
    ids=["new", "there already"],
)
async def test_what_follows_on_a_stream_waits_for_it_and_is_of_a_new_one(first, sent):
    """One that is being created refuses its retention; one that was there keeps its own."""
    said, asked = [], []

    async def send(one):
        asked.append(one.target.partition(".")[2])
        return first if len(asked) == 1 else answer(400 if len(asked) < 4 else 200, b"ResourceInUseException")

    await DeclaredResources(declarations({"kept": STREAMS["kept"]}, {}), said.append).make(0, send)

    assert (sent, []) == (asked, said)


async def test_a_partner_out_of_reach_is_said():
    """For each."""
    said = []

    async def send(_one):
        raise CannotConnect("refused")

    await DeclaredResources(declarations({"s": DataStreamSettings()}, {}), said.append).make(0, send)

    assert ["partner: stream 's' could not be made: refused"] == said


async def test_a_partner_that_does_not_answer_is_not_waited_for_without_end():
    """The rest is not made, and a line says from where on."""
    said = []

    async def send(one):
        await anyio.sleep(1 if one.what == "stream 'clicks'" else 100)
        return answer(200)

    await DeclaredResources(declarations(STREAMS, {}), said.append).make(0, send)

    assert ["partner: stream 'kept' and what follows is not made: no answer within 10 s"] == said


async def test_everyone_waits_until_it_is_made_once_for_each_start():
    """Also if the first has given up waiting: it is made all the same."""
    sent, order = [], []

    async def send(one):
        await anyio.sleep(1)
        sent.append(one.what)
        return answer(200)

    declared = DeclaredResources(declarations({"s": DataStreamSettings()}, {}), order.append)

    async def first():
        with anyio.move_on_after(0.5):
            await declared.make(1, send)

    async def second():
        await anyio.sleep(0.1)
        await declared.make(1, send)
        order.append(tuple(sent))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
    await declared.make(1, send)
    await declared.make(2, send)

    assert [("stream 's'",)] == order
    assert ["stream 's'", "stream 's'"] == sent
