"""What is written of a shape, botocore's parser reads as the same value."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel as BotocoreModel
from botocore.model import Shape
from botocore.parsers import create_parser

from engine.protocols.aws.rest_xml import XmlWriter
from engine.protocols.aws.service_model import service_model

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
S3 = BotocoreModel(
    botocore.session.get_session().get_component("data_loader").load_service_model("s3", "service-2")
)
WRITER = XmlWriter(service_model("s3"), NAMESPACE)
SIMPLE = {
    "boolean": True,
    "timestamp": 1584083200,
    "integer": 7,
    "long": 2**40,
    "string": "a <&>\"'é\U0001f511 b",
}


def full(shape: Shape, depth: int = 6) -> Any:
    """A value of `shape` with all its members, and lists of two."""
    if shape.type_name == "structure":
        return {
            name: full(member, depth - 1)
            for name, member in shape.members.items()
            if "location" not in member.serialization and (depth > 1 or member.type_name in SIMPLE)
        }
    return [full(shape.member, depth - 1)] * 2 if shape.type_name == "list" else SIMPLE[shape.type_name]


def plain(value: Any) -> Any:
    """A parsed value with times as seconds."""
    if isinstance(value, datetime):
        return int(value.astimezone(UTC).timestamp())
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if name != "ResponseMetadata"}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


DOCUMENTS = [
    name
    for name in S3.operation_names
    if not S3.operation_model(name).deprecated
    and (output := S3.operation_model(name).output_shape) is not None
    and "payload" not in output.serialization
    and any("location" not in member.serialization for member in output.members.values())
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_written_botocore_reads(name):
    shape = S3.operation_model(name).output_shape
    value = full(shape)
    body = WRITER.document("Result", service_model("s3").operations[name]["output"]["shape"], value)
    parsed = create_parser("rest-xml").parse({"status_code": 200, "headers": {}, "body": body}, shape)

    assert value == plain(parsed)


def test_elements_of_two_lists_may_alternate():
    entries = [("Versions", [{"Key": "a"}]), ("DeleteMarkers", [{"Key": "b"}]), ("Versions", [{"Key": "c"}])]
    body = WRITER.document("R", "ListObjectVersionsOutput", [("Name", None), *entries])

    first, second, third = (f"<Key>{key}</Key>" for key in "abc")
    expected = f"<Version>{first}</Version><DeleteMarker>{second}</DeleteMarker><Version>{third}</Version>"
    assert f'<R xmlns="{NAMESPACE}">{expected}</R>' == body.decode().partition("\n")[2]


def test_an_attribute_stands_in_the_tag_of_its_structure():
    body = WRITER.document("R", "Grant", {"Grantee": {"Type": "Group", "URI": "a&b"}, "Permission": "READ"})

    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"'
    assert f"<Grantee {xsi}><URI>a&amp;b</URI></Grantee><Permission>READ</Permission>" in body.decode()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "1970-01-01T00:00:00.000Z"), (1584083200.5, "2020-03-13T07:06:40.500Z")]
)
def test_times_have_milliseconds(seconds, expected):
    assert (
        f"<LastModified>{expected}</LastModified>"
        in WRITER.document("R", "Object", {"LastModified": seconds}).decode()
    )


def test_a_name_that_the_model_has_not_is_an_error():
    with pytest.raises(KeyError):
        WRITER.document("R", "Object", {"Nmae": math.nan})
