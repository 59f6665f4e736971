"""Samples of streams: what AWS was recorded to deliver, and values that fit together."""

import base64
import json

import pytest

from engine.sources.samples.streams import dynamodb, kinesis
from engine.sources.samples.template import EventTemplate
from tests.testing.test_events import shape

KINESIS = json.loads(
    """{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"test_0","sequenceNumber":
    "49590338271490256608559692538361571095921575989136588898","data":"eyJyZWNvcmRfaWQiOiAwfQ==",
    "approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":
    "shardId-000000000000:49590338271490256608559692538361571095921575989136588898","eventName":
    "aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::000000000000:role/r","awsRegion":"us-east-1",
    "eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}]}"""
)
DYNAMODB = json.loads(
    """{"Records":[{"eventID":"f07f8ca4b0b26cb9c4e5e77e69f274ee","eventName":"INSERT","eventVersion":"1.1",
    "eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1764088062,
    "Keys":{"my_partition_key":{"S":"hello world"}},"NewImage":{"binary_key":{"B":"Zm9vYmFy"},
    "my_partition_key":{"S":"hello world"}},"SequenceNumber":"1405400000000002063282832","SizeBytes":70,
    "StreamViewType":"NEW_IMAGE"},"eventSourceARN":
    "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/2025-11-25T15:47:40.123"}]}"""
)


def test_a_record_of_kinesis_is_the_recorded_one():
    """All members in their order; but for the number, the same values."""
    made = kinesis('{"record_id": 0}', keys=["test_0"], stream="s", role="r", at_s=1545084650.987)
    number = made["Records"][0]["kinesis"]["sequenceNumber"]
    same = json.dumps(made).replace(number, KINESIS["Records"][0]["kinesis"]["sequenceNumber"])

    assert json.dumps(KINESIS) == same
    assert 56 == len(number)


def test_a_change_of_a_table_is_the_recorded_one():
    """Members and their order, and the size of it all."""
    made = dynamodb(
        {"my_partition_key": "hello world"},
        new={"binary_key": b"foobar"},
        table="T",
        view="NEW_IMAGE",
        at_s=1764088062.9,
    )
    [record], [recorded] = made["Records"], DYNAMODB["Records"]

    assert list(recorded) == list(record)
    assert list(recorded["dynamodb"]) == list(record["dynamodb"])
    assert shape(recorded["dynamodb"]) == shape(record["dynamodb"])
    for member in ("Keys", "NewImage", "SizeBytes", "ApproximateCreationDateTime"):
        assert recorded["dynamodb"][member] == record["dynamodb"][member]


@pytest.mark.parametrize(
    ("key", "new", "old", "size"),
    [
        ({"id": "id_value"}, {}, None, 20),
        ({"id": "id_value"}, {"id2": "id2_value"}, None, 32),
        ({"id": "id_value"}, {"id2": "id2_new_value"}, {}, 46),
        ({"id": "id_value_1"}, {"presentKey": "presentValue"}, None, 46),
        ({"id": "id_value_1"}, {"numericFilter": 42}, None, 39),
        ({"my_partition_key": "testId0"}, {"should_fail": True}, None, 58),
    ],
)
def test_sizes_are_those_of_aws(key, new, old, size):
    """As they were recorded; keys count twice, as a part of the image too."""
    made = dynamodb(key, new=new, old=old, event="INSERT" if old is None else "MODIFY")

    assert size == made["Records"][0]["dynamodb"]["SizeBytes"]


@pytest.mark.parametrize(
    ("event", "view", "images"),
    [
        ("INSERT", "NEW_AND_OLD_IMAGES", ["NewImage"]),
        ("MODIFY", "NEW_AND_OLD_IMAGES", ["NewImage", "OldImage"]),
        ("REMOVE", "NEW_AND_OLD_IMAGES", ["OldImage"]),
        ("MODIFY", "KEYS_ONLY", []),
        ("MODIFY", "OLD_IMAGE", ["OldImage"]),
        ("REMOVE", "NEW_IMAGE", []),
    ],
)
def test_a_change_has_the_images_of_its_kind_and_view(event, view, images):
    """The others are absent."""
    made = EventTemplate.named(f"dynamodb:event={event},view={view}").event(0, 0.0)

    assert images == [name for name in made["Records"][0]["dynamodb"] if name.endswith("Image")]


@pytest.mark.parametrize("step_s", [1.0, 0.0])
@pytest.mark.parametrize(
    ("source", "member"),
    [
        ("kinesis:key=k", "sequenceNumber"),
        ("dynamodb:table=orders", "SequenceNumber"),
        ("sqs:queue=q.fifo", "SequenceNumber"),
    ],
)
def test_numbers_rise_in_a_batch_and_from_event_to_event(source, member, step_s):
    """As integers, which is how they are compared; at one time too."""
    name, template = source.partition(":")[0], EventTemplate.named(f"{source},records=3")
    numbers = [
        int(record.get(name, record.get("attributes"))[member])
        for number in range(20)
        for record in template.event(number, 1e9 + number * step_s, f"salt/{number}")["Records"]
    ]

    assert sorted(set(numbers)) == numbers


def test_data_and_keys_vary_by_record():
    """The first is what base64 holds."""
    made = EventTemplate.named('kinesis:data={"n": {i}},key=k{i},records=2').event(5, 0.0)

    assert [("k0", {"n": 0}), ("k1", {"n": 1})] == [
        (one["kinesis"]["partitionKey"], json.loads(base64.b64decode(one["kinesis"]["data"])))
        for one in made["Records"]
    ]


def test_attributes_are_plain_or_as_dynamodb_has_them():
    """A table with one member that is a type is one of its values."""
    key = {"id": {"S": "a"}}
    new = {"n": 1, "f": 1.5, "b": True, "none": None, "l": ["a", 1], "m": {"x": "y"}, "ss": {"SS": ["p"]}}
    image = dynamodb(key, new=new)["Records"][0]["dynamodb"]["NewImage"]

    assert {
        "id": {"S": "a"},
        "n": {"N": "1"},
        "f": {"N": "1.5"},
        "b": {"BOOL": True},
        "none": {"NULL": True},
        "l": {"L": [{"S": "a"}, {"N": "1"}]},
        "m": {"M": {"x": {"S": "y"}}},
        "ss": {"SS": ["p"]},
    } == image


@pytest.mark.parametrize("keys", ['{"id": {"S": 5}}', '{"id": {"N": "x"}}', '{"id": {"M": {"a": 1}}}'])
def test_what_is_no_attribute_is_one_line(keys):
    """Not an error of Python's."""
    with pytest.raises(ValueError, match="dynamodb: ") as refused:
        EventTemplate.named(f"dynamodb:keys={keys}")

    assert "\n" not in str(refused.value)


def test_what_time_to_live_removes_says_so():
    """In Lambda's spelling, before the ARN."""
    [record] = dynamodb({"id": "a"}, event="REMOVE", expired=True)["Records"]

    assert {"type": "Service", "principalId": "dynamodb.amazonaws.com"} == record["userIdentity"]
    assert ["userIdentity", "eventSourceARN"] == list(record)[-2:]
