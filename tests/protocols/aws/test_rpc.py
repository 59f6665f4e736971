"""JSON and Query over all operations of a model: botocore's own code reads and writes the same."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import urlencode

import botocore.model
import orjson
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_rpc import JsonRpc, read_object
from engine.protocols.aws.query import Query, read_form
from engine.protocols.aws.service_model import ServiceModel, service_model
from engine.protocols.http.message import Request

SQS = service_model("sqs")
TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"]), min_size=1, max_size=8)


def as_query(model: ServiceModel) -> botocore.model.ServiceModel:
    """The model with the names that botocore's serializers of the Query protocol look for."""

    def renamed(node: object) -> object:
        if isinstance(node, list):
            return [renamed(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {"locationName" if key == "queryName" else key: renamed(item) for key, item in node.items()}

    operations = {
        name: {**operation, "output": {**operation["output"], "resultWrapper": f"{name}Result"}}
        if "output" in operation
        else operation
        for name, operation in model.operations.items()
    }
    document = {"operations": operations, "shapes": renamed(model.shapes)}
    return botocore.model.ServiceModel(
        {**document, "metadata": {**model.metadata, "protocol": "query", "protocols": ["query"]}}, "sqs"
    )


QUERY = as_query(SQS)
JSON = botocore.model.ServiceModel(
    {"metadata": SQS.metadata, "operations": SQS.operations, "shapes": SQS.shapes}, "sqs"
)


def values(model: ServiceModel, reference: dict) -> st.SearchStrategy:
    """Values of a shape."""
    shape = model.shape_of(reference)
    kind = shape["type"]
    if kind == "structure":
        return structures(model, shape).filter(bool)  # a form has no way to say an empty one
    if kind == "list":
        return st.lists(values(model, shape["member"]), min_size=1, max_size=3)
    if kind == "map":
        return st.dictionaries(TEXTS, values(model, shape["value"]), min_size=1, max_size=3)
    if kind == "blob":
        return st.binary(min_size=1, max_size=5)
    if kind == "boolean":
        return st.booleans()
    return st.integers(-9, 2**31 - 1) if kind in ("integer", "long") else TEXTS


def structures(model: ServiceModel, shape: dict) -> st.SearchStrategy:
    members = {name: values(model, member) for name, member in shape["members"].items()}
    return st.fixed_dictionaries({}, optional=members)


class Client:
    """Keeps the answer."""

    peer = "127.0.0.1"

    def answer(self, _request: Request, status: int, head: bytes, body: bytes) -> None:
        lines = (line.split(": ") for line in head.decode().splitlines())
        self.got = {
            "status_code": status,
            "headers": {name.lower(): value for name, value in lines},
            "body": body,
        }


def request(body: bytes = b"", **headers: str) -> tuple[Request, Client]:
    client = Client()
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request.parsed(client, "POST", b"/", pairs, body, 0.0, "1.1", 0), client


def answer_of(act: Callable[[Request], None], **headers: str) -> dict:
    """What `act` answers to a request, for botocore's parsers."""
    asked, client = request(**headers)
    act(asked)
    return client.got


def plain(value: object) -> object:
    """Bytes as base64, which is how a form and the Query protocol's reader have them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


EFFORT = settings(max_examples=150, deadline=None)


@EFFORT
@given(st.data(), st.sampled_from(sorted(SQS.operations)))
def test_what_botocore_sends_is_read_as_it_was_meant(data, operation):
    """In both protocols."""
    meant = data.draw(structures(SQS, SQS.input_of(operation)))
    sent = create_serializer("json", include_validation=False).serialize_to_request(
        meant, JSON.operation_model(operation)
    )
    target = sent["headers"]["X-Amz-Target"].encode()
    by_json, _ = request(sent["body"])
    form = create_serializer("query", include_validation=False).serialize_to_request(
        meant, QUERY.operation_model(operation)
    )["body"]
    by_query, _ = request(urlencode(form).encode())

    rpc = JsonRpc(SQS)
    assert operation == rpc.operations[target]
    assert meant == rpc.parameters(operation, read_object(by_json))
    assert plain(meant) == Query(SQS).parameters(operation, read_form(by_query))


@EFFORT
@given(st.data(), st.sampled_from(sorted(SQS.operations)))
def test_what_is_answered_is_read_by_botocore_as_it_was_meant(data, operation):
    """In both protocols."""
    meant = data.draw(structures(SQS, SQS.output_of(operation)))
    by_json = create_parser("json").parse(
        answer_of(lambda asked: JsonRpc(SQS).succeed(asked, "id", operation, meant)),
        JSON.operation_model(operation).output_shape,
    )
    by_query = create_parser("query").parse(
        answer_of(lambda asked: Query(SQS).succeed(asked, "id", operation, meant)),
        QUERY.operation_model(operation).output_shape,
    )

    for read in (by_json, by_query):
        metadata = read.pop("ResponseMetadata")
        assert ("id", 200) == (metadata["RequestId"], metadata["HTTPStatusCode"])
        assert meant == read


@pytest.mark.parametrize("name", sorted(name for name, shape in SQS.shapes.items() if "exception" in shape))
def test_errors_are_read_by_botocore(name):
    """By name in JSON, with the old code beside it; by the old code in Query."""
    error = ServiceError(400, name, "why not")
    answer = answer_of(lambda asked: JsonRpc(SQS).fail(asked, "id", error))
    by_json = create_parser("json").parse(answer, None)["Error"]
    old = answer["headers"]["x-amzn-query-error"].partition(";")[0]
    by_query = create_parser("query").parse(
        answer_of(lambda asked: Query(SQS).fail(asked, "id", error)), None
    )["Error"]

    assert ("why not", old, "Sender") == tuple(by_json[key] for key in ("Message", "Code", "Type"))
    assert ("why not", old, "Sender") == tuple(by_query[key] for key in ("Message", "Code", "Type"))
    assert name == by_json.get("QueryErrorCode", by_json["Code"])
    assert SQS.shapes[name].get("error", {}).get("code", name) == old


def test_services_that_never_spoke_query_name_errors_alone():
    """Without a namespace and an old code."""
    document = {
        "metadata": {"targetPrefix": "Logs_20140328", "jsonVersion": "1.1", "serviceId": "CloudWatch Logs"},
        "operations": {"PutLogEvents": {}},
        "shapes": {},
    }
    rpc = JsonRpc(ServiceModel(document))
    error = ServiceError(400, "ResourceNotFoundException", "none", {"more": 1})
    answer = answer_of(lambda asked: rpc.fail(asked, "id", error))

    assert {b"Logs_20140328.PutLogEvents": "PutLogEvents"} == rpc.operations
    assert "application/x-amz-json-1.1" == answer["headers"]["content-type"]
    assert "x-amzn-query-error" not in answer["headers"]
    assert {"__type": "ResourceNotFoundException", "message": "none", "more": 1} == json.loads(answer["body"])


TYPED = ServiceModel(
    {
        "metadata": {"targetPrefix": "T", "jsonVersion": "1.0", "serviceId": "S"},
        "operations": {"Op": {"input": {"shape": "In"}}},
        "shapes": {
            "In": {
                "type": "structure",
                "members": {
                    kind: {"shape": kind} for kind in ("string", "integer", "boolean", "blob", "double")
                }
                | {"list": {"shape": "list"}, "map": {"shape": "map"}, "in": {"shape": "In"}},
            },
            **{kind: {"type": kind} for kind in ("string", "integer", "boolean", "blob", "double")},
            "list": {"type": "list", "member": {"shape": "string"}},
            "map": {"type": "map", "key": {"shape": "string"}, "value": {"shape": "string"}},
        },
    }
)


@pytest.mark.parametrize(
    ("given_", "read"),
    [
        ({"string": 5}, "5"),
        ({"string": True}, "true"),
        ({"integer": 5.0}, 5),
        ({"double": 5}, 5),
        ({"blob": "AAE="}, b"\0\1"),
        ({"list": ["a", 1]}, ["a", "1"]),
        ({"map": {"a": None, "b": 1}}, {"b": "1"}),
        ({"in": {"string": "x", "unknown": 1}}, {"string": "x"}),
        ({"string": []}, "Start of list found where not expected"),
        ({"string": {}}, "Start of structure or map found where not expected."),
        ({"list": "x"}, "Unexpected STRING_VALUE."),
        ({"list": [None]}, "Unexpected NULL_VALUE."),
        ({"map": 1}, "Unexpected NUMBER_VALUE."),
        ({"in": 1.5}, "Unexpected DECIMAL_VALUE."),
        ({"boolean": "true"}, "Unexpected STRING_VALUE."),
        ({"double": True}, "Unexpected BOOLEAN_VALUE."),
        ({"integer": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ({"integer": True}, "BOOLEAN_VALUE can not be converted to an Integer"),
        ({"blob": "!"}, "The blob is not valid base64."),
    ],
    ids=lambda value: str(value),
)
def test_values_are_converted_as_aws_does_or_refused(given_, read):
    """With the name of the JSON parser's token."""
    [name] = given_
    rpc = JsonRpc(TYPED)
    if isinstance(read, str) and " " in read:
        with pytest.raises(ServiceError, match=f"^400 SerializationException: {re.escape(read)}$"):
            rpc.parameters("Op", given_)
    else:
        assert read == rpc.parameters("Op", given_)[name]


def test_query_answers_in_json_for_those_who_accept_it():
    """All members of a structure, sorted, null where absent; maps are lists of pairs."""
    accept = "text/plain, Application/JSON;q=0.9, */*"
    query = Query(SQS, json_names={"Messages": "messages"}, texts={"QueueDoesNotExist": "gone"})
    blob = {"DataType": "Binary", "BinaryValue": "AAE="}
    message = {"MessageId": "m", "Body": 'a\r"', "MessageAttributes": {"b": blob}, "Attributes": {"c": "d"}}
    answer = answer_of(
        lambda asked: query.succeed(asked, "id", "ReceiveMessage", {"Messages": [message]}), accept=accept
    )
    shown = {
        "Attributes": [{"Name": "c", "Value": "d"}],
        "Body": 'a\r"',
        "MD5OfBody": None,
        "MD5OfMessageAttributes": None,
        "MessageAttributes": [
            {
                "Name": "b",
                "Value": {
                    "BinaryListValues": None,
                    "BinaryValue": "AAE=",
                    "DataType": "Binary",
                    "StringListValues": None,
                    "StringValue": None,
                },
            }
        ],
        "MessageId": "m",
        "ReceiptHandle": None,
    }
    expected = {
        "ReceiveMessageResponse": {
            "ReceiveMessageResult": {"messages": [shown]},
            "ResponseMetadata": {"RequestId": "id"},
        }
    }
    assert "application/json" == answer["headers"]["content-type"]
    assert orjson.dumps(expected) == answer["body"]

    void = answer_of(lambda asked: query.succeed(asked, "id", "DeleteMessage", {}), accept=accept)
    assert {"DeleteMessageResponse": {"ResponseMetadata": {"RequestId": "id"}}} == json.loads(void["body"])

    gone = ServiceError(400, "QueueDoesNotExist", "not here")
    failed = answer_of(lambda asked: query.fail(asked, "id", gone), accept=accept)
    error = {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "gone", "Type": "Sender"}
    assert {"Error": error, "RequestId": "id"} == json.loads(failed["body"])
