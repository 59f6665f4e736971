"""REST-JSON: what botocore sends is read as it was meant, and what is answered is read by botocore."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from botocore.model import ServiceModel as BotocoreModel
from botocore.model import Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from engine.protocols.aws import rest_json
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.rest_routes import RestRoutes
from engine.protocols.aws.service_model import service_model

MODEL = service_model("lambda")
ROUTES = RestRoutes(MODEL)
BOTOCORE = BotocoreModel(
    botocore.session.get_session().get_component("data_loader").load_service_model("lambda", "service-2"),
    "lambda",
)
SAME = [
    name
    for name in BOTOCORE.operation_names
    if name in MODEL.operations and "payload" not in MODEL.input_of(name)
]
CAPITAL = {
    "ResourceNotFoundException",
    "ServiceException",
    "CodeSigningConfigNotFoundException",
    "CodeVerificationFailedException",
    "InvalidCodeSignatureException",
    "ResourceInUseException",
    "PublicPolicyException",
    "RecursiveInvocationException",
    "KMSDisabledException",
    "ENILimitReachedException",
    "EFSIOException",
    "SnapStartException",
    "SubnetIPAddressLimitReachedException",
    "InvalidRuntimeException",
    "InvalidZipFileException",
    "AccessDeniedException",
}
SMALL = {
    "InvalidParameterValueException",
    "InvalidRequestContentException",
    "ResourceConflictException",
    "PreconditionFailedException",
    "PolicyLengthExceededException",
    "RequestTooLargeException",
    "ProvisionedConcurrencyConfigNotFoundException",
    "ResourceNotReadyException",
    "TooManyRequestsException",
    "UnsupportedMediaTypeException",
    "CodeStorageExceededException",
    "SerializationException",
}


def everything(shape: Shape, depth: int = 0) -> Any:
    """A value with every member."""
    match shape.type_name:
        case "structure":
            return {name: everything(member, depth + 1) for name, member in shape.members.items()}
        case "list":
            return [everything(shape.member, depth + 1)]
        case "map":
            return {"k": everything(shape.value, depth + 1)}
        case "string":
            return (shape.enum or [f"a b/{depth}+é"])[0]
        case "boolean":
            return False
        case "blob":
            return b"\x00\xff"
        case "timestamp":
            return 1_700_000_000
        case "integer" | "long":
            return 7 + depth
    return 0.5


def in_base64(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: in_base64(one) for name, one in value.items()}
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("name", SAME)
def test_what_botocore_sends_is_read_as_it_was_meant(name):
    """Every member of every operation, wherever it stands; headers are read by those who want them."""
    operation = BOTOCORE.operation_model(name)
    given = everything(operation.input_shape) if operation.input_shape is not None else {}
    sent = create_serializer("rest-json", include_validation=False).serialize_to_request(given, operation)
    target = urlsplit(sent["url_path"])
    query = {**parse_qs(target.query), **_query(sent["query_string"])}
    first = {key: values[0] for key, values in query.items()}
    found = ROUTES.find(sent["method"], target.path, first)
    members = MODEL.input_of(name)["members"]
    expected = {
        key: value for key, value in in_base64(given).items() if members[key].get("location") != "header"
    }

    assert found is not None
    assert name == found.operation
    located = rest_json.located(MODEL, name, found.labels, query)
    read = located | rest_json.members(MODEL, name, sent["body"] or b"")
    assert _without_times(name, expected) == _without_times(name, read)


def _query(sent: Any) -> dict[str, list[str]]:
    return {
        key: [str(one).lower() if isinstance(one, bool) else str(one) for one in _list(value)]
        for key, value in dict(sent).items()
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _without_times(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """They have a form of their own in a query."""
    members = MODEL.input_of(name)["members"]
    return {
        key: value for key, value in parameters.items() if MODEL.shape_of(members[key])["type"] != "timestamp"
    }


@pytest.mark.parametrize("code", sorted(CAPITAL | SMALL))
def test_the_text_of_an_error_stands_where_its_shape_has_it(code):
    body = json.loads(rest_json.error_body(MODEL, ServiceError(400, code, "why")))

    assert {"Type": "User", "Message" if code in CAPITAL else "message": "why"} == body


@pytest.mark.parametrize("code", sorted(name for name, shape in MODEL.shapes.items() if "exception" in shape))
def test_botocore_reads_every_error_of_the_model(code):
    status = MODEL.shapes[code]["error"]["httpStatusCode"]
    error = ServiceError(status, code, "why \ud800")
    head = dict(line.split(": ") for line in rest_json.error_head(code, "id").decode().splitlines())
    response = {
        "status_code": status,
        "headers": {name.lower(): value for name, value in head.items()},
        "body": rest_json.error_body(MODEL, error),
    }
    parsed = create_parser("rest-json").parse(response, BOTOCORE.operation_model("GetFunction").output_shape)

    assert {"Code": code, "Message": "why ?"} == parsed["Error"]
    assert ("Server" if status >= 500 else "User") == json.loads(response["body"])["Type"]


def test_whether_an_error_has_a_type_belongs_to_the_single_error():
    """A validation's never has one."""
    typed = ServiceError(400, "InvalidParameterValueException", "why")
    untyped = ServiceError(400, "InvalidParameterValueException", "why", {}, False)
    null = ServiceError(400, "InvalidRequestContentException", "why", {"Type": None, "Reason": "x"})

    assert {"Type": "User", "message": "why"} == json.loads(rest_json.error_body(MODEL, typed))
    assert {"message": "why"} == json.loads(rest_json.error_body(MODEL, untyped))
    assert {"Type": None, "Reason": "x", "message": "why"} == json.loads(rest_json.error_body(MODEL, null))
    validation = ServiceError(400, "ValidationException", "why")
    assert {"message": "why"} == json.loads(rest_json.error_body(MODEL, validation))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "START_ARRAY can not be converted to an Object"),
        (b'{"Timeout": "3"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"Timeout": 1.5}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"Timeout": 4294967296}', "4294967296 is out of the range of an Integer"),
        (b'{"Publish": 1}', "NUMBER_VALUE can not be converted to a Boolean"),
        (b'{"Layers": {}}', "START_OBJECT can not be converted to a List"),
        (b'{"Role": true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"Tags": {"a": 1}}', "NUMBER_VALUE can not be converted to a String"),
    ],
)
def test_values_of_other_types_cannot_be_read(body, message):
    cannot_be_read("CreateFunction", body, message)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("true", "TRUE_VALUE"),
        ("{}", "START_OBJECT"),
        ('"1700000000"', "STRING_VALUE"),
        ('"2020-01-01T00:00:00Z"', "STRING_VALUE"),
    ],
)
def test_a_timestamp_in_a_body_is_a_number(value, kind):
    """Seconds since the Unix epoch; text is none, whatever it says."""
    body = b'{"StartingPositionTimestamp": %s}' % value.encode()
    cannot_be_read("CreateEventSourceMapping", body, f"{kind} can not be converted to a Timestamp")


def cannot_be_read(operation, body, message):
    with pytest.raises(ServiceError) as caught:
        rest_json.members(MODEL, operation, body)

    assert (400, "SerializationException", message) == (
        caught.value.status,
        caught.value.code,
        caught.value.message,
    )


def test_null_and_unknown_members_are_left_out():
    read = rest_json.members(
        MODEL, "CreateFunction", b'{"Timeout": 3.0, "Role": null, "Unknown": [], "Code": {"X": 1}}'
    )

    assert {"Timeout": 3, "Code": {}} == read
    assert {} == rest_json.members(MODEL, "GetFunction", b"no JSON, and nobody asks")
