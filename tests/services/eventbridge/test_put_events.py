"""PutEvents: the event as targets get it, and what is wrong with entries. Expected values are recorded."""

import json

import pytest

from engine.core.destinations import DeliveryError, DestinationRecord
from tests.services.eventbridge.conftest import ARNS, DEAD, FUNCTION, QUEUE

DELIVERED = (
    '{"version":"0","id":"id-1","detail-type":"order.created","source":"shop",'
    '"account":"000000000000","time":"2026-01-01T21:29:54Z","region":"us-east-1",'
    '"resources":["arn:x"],"detail":{"n":2}}'
)


async def test_an_event_is_delivered_in_the_order_of_aws(site):
    """Byte for byte, without blanks."""
    site.rule()
    answer = site.put(Time=1767302994.9, Resources=["arn:x"])

    assert {"EventId": "id-1"} == answer
    assert [("f", DELIVERED)] == site.got


async def test_numbers_without_bound_leave_json(site):
    """Whole ones of any size; what is beyond a double is null."""
    site.rule()
    site.put(Detail='{"a":1e999,"b":1000000000000000000000}')
    site.put(Detail='{"a":1e999}')

    assert [{"a": None, "b": 10**21}, {"a": None}] == [event["detail"] for event in site.delivered()]


async def test_all_rules_that_take_an_event_get_one_id(site):
    """And its time is now, in whole seconds, unless it has one."""
    site.rule("one")
    site.rule("two", Arn=QUEUE)
    site.rule("three", {"source": ["other"]})
    site.put()
    first, second = site.delivered()

    assert first == second
    assert "2026-01-01T00:00:00Z" == first["time"]
    assert [] == first["resources"]


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        *(
            (
                {name: ""},
                "InvalidArgument",
                f"Parameter {name} is not valid. Reason: {name} is a required argument.",
            )
            for name in ("Source", "DetailType", "Detail")
        ),
        *(({"Detail": text}, "MalformedDetail", "Detail is malformed.") for text in ('"x"', "[1]", "{", "1")),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException", "Not authorized for the source."),
    ],
)
async def test_an_entry_that_is_wrong_leaves_the_others(site, entry, code, message):
    """In the order of the request."""
    site.rule()
    right = {"Source": "shop", "DetailType": "t", "Detail": "{}"}
    answer = site.ask("PutEvents", Entries=[right | entry, right])

    assert 1 == answer["FailedEntryCount"]
    assert [{"ErrorCode": code, "ErrorMessage": message}, {"EventId": "id-1"}] == answer["Entries"]
    assert 1 == len(site.got)


async def test_requests_are_bounded(site):
    """Ten entries, and a megabyte."""
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    code, message = site.ask("PutEvents", Entries=[entry] * 11)
    large = entry | {"Detail": json.dumps({"x": "y" * 1_048_576})}

    assert "ValidationException" == code
    assert message.startswith(
        "1 validation error detected: Value '[PutEventsRequestEntry(time=null, source=s, resources=null, "
        "detailType=t, detail={}, eventBusName=null, traceHeader=null, kmsKeyIdentifier=null, "
        "internalMetadata=null), PutEventsRequestEntry("
    )
    assert message.endswith(
        "at 'entries' failed to satisfy constraint: Member must have length less than or equal to 10"
    )
    assert ("ValidationException", "Total size of the entries in the request is over the limit.") == site.ask(
        "PutEvents", Entries=[large]
    )


async def test_an_event_for_a_bus_that_is_not_there_vanishes(site):
    """And has an id; a rule cannot be put there."""
    site.rule()
    answer = site.put(EventBusName="gone")

    assert {"EventId": "id-1"} == answer
    assert [] == site.got
    assert ("ResourceNotFoundException", "Event bus gone does not exist.") == site.ask(
        "PutRule", Name="r", EventBusName="gone", EventPattern="{}"
    )


async def test_numbers_of_any_size_and_odd_texts_come_through(site):
    """As they were sent."""
    site.rule()
    detail = {"n": 2**80, "t": "\u00e9\ud800"}
    site.put(detail)

    assert [detail] == [event["detail"] for event in site.delivered()]


async def test_an_event_goes_on_to_another_bus_once(site):
    """With its id and time. A third bus does not get it, so that no loop is endless."""
    for bus, target in (("b", "c"), ("c", "b")):
        site.ask("CreateEventBus", Name=bus)
        site.rule("own", bus=bus, Arn=f"{FUNCTION}-{bus}")
        arn = ARNS.format("events", f"event-bus/{target}")
        site.rule("on", bus=bus, Arn=arn, DeadLetterConfig={"Arn": DEAD})
    answer = site.put(EventBusName="b")
    got = site.got

    assert ["f-b", "f-c", "dead"] == [name for name, _ in got]
    assert 1 == len({body for _, body in got})
    assert answer["EventId"] == json.loads(got[0][1])["id"]
    assert "THIRD_ACCOUNT_HOP_DETECTED" == site.records[-1][1].attributes["ERROR_CODE"][1]


async def test_services_of_the_engine_send_events(site):
    """What they leave out is added; a bus that is not there is an error to them."""
    site.rule(pattern={"source": ["lambda"]})
    body = b'{"source":"lambda","detail-type":"t","resources":["a"],"detail":{"x":1}}'
    site.service.send(ARNS.format("events", "event-bus/default"), DestinationRecord(body=body))
    [event] = site.delivered()

    assert [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    ] == list(event)
    assert {"x": 1} == event["detail"]
    with pytest.raises(DeliveryError, match="Event bus gone does not exist"):
        site.service.send(ARNS.format("events", "event-bus/gone"), DestinationRecord(body=body))
