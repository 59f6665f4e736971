"""Routes of REST services: what botocore sends for an operation is found as that operation, or for none."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.model import OperationModel, Shape
from botocore.model import ServiceModel as BotocoreModel
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocols.aws.rest_routes import RestRoutes
from engine.protocols.aws.service_model import service_model

BY_HOST = {"ListDirectoryBuckets": "ListBuckets"}
"""What only the name of its host tells from another operation."""

_loader = botocore.session.get_session().get_component("data_loader")
BOTOCORE = {
    name: BotocoreModel(_loader.load_service_model(name, "service-2"), name) for name in ("s3", "lambda")
}
ROUTES = {name: RestRoutes(service_model(name)) for name in BOTOCORE}
SUCCESSORS = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}


def _value(shape: Shape) -> Any:
    if shape.type_name == "structure":
        return {name: _value(shape.members[name]) for name in shape.required_members}
    simple = {"integer": 1, "long": 1, "boolean": True, "list": [], "map": {}, "blob": b"x", "timestamp": 0}
    return simple.get(shape.type_name, shape.enum[0] if getattr(shape, "enum", None) else "a:b/c d")


def _sent(operation: OperationModel, members: set[str]) -> tuple[str, str, dict[str, str], set[str]]:
    """Method, path, query and names of headers of what botocore sends with these members."""
    shape = operation.input_shape
    parameters = {name: _value(shape.members[name]) for name in members} if shape else {}
    parameters |= (
        {"RequestRoute": "route"} if "RequestRoute" in parameters else {}
    )  # a part of the host's name
    serializer = create_serializer(operation.service_model.protocol, include_validation=False)
    request = serializer.serialize_to_request(parameters, operation)
    path, _, constants = request["url_path"].partition("?")
    sent = request["query_string"]
    pairs = sent.items() if isinstance(sent, dict) else sent
    query = {
        **dict(parse_qsl(constants, keep_blank_values=True)),
        **{name: str(value) for name, value in pairs},
    }
    return request["method"], path, query, {name.lower() for name in request["headers"]}


@pytest.mark.parametrize(
    ("service", "name"),
    [(service, name) for service, model in BOTOCORE.items() for name in model.operation_names],
)
@settings(max_examples=4)
@given(data=st.data())
def test_what_botocore_sends_for_an_operation_is_found_as_that_operation(service, name, data):
    operation = BOTOCORE[service].operation_model(name)
    shape = operation.input_shape
    located = [
        member
        for member, inner in (shape.members.items() if shape else ())
        if inner.serialization.get("location") in ("querystring", "header") and inner.type_name != "list"
    ]
    optional = data.draw(st.sets(st.sampled_from(located)), label="optional") if located else set()
    required = set(shape.required_members) if shape else set()

    found = ROUTES[service].find(*_sent(operation, required | optional))

    assert BY_HOST.get(name, SUCCESSORS.get(name, name)) == (found and found.operation)


@pytest.mark.parametrize("service", list(ROUTES))
def test_a_parameter_that_names_an_operation_is_never_ignored(service):
    """With any method and path: what is found has the parameter, or nothing is found."""
    routes, model = ROUTES[service], BOTOCORE[service]
    requests = {
        tuple(_sent(model.operation_model(name), set(_required(model, name)))[:2])
        for name in model.operation_names
    }
    for method, path in requests:
        for parameter in routes.telling:
            found = routes.find(method, path, {parameter: "x"})
            has = found is None or parameter in _parameters(model.operation_model(found.operation))

            assert has, (method, path, parameter, found)


def _required(model: BotocoreModel, name: str) -> list[str]:
    shape = model.operation_model(name).input_shape
    return shape.required_members if shape else []


def _parameters(operation: OperationModel) -> set[str]:
    shape = operation.input_shape
    members = shape.members.values() if shape else ()
    constants = parse_qsl(operation.http["requestUri"].partition("?")[2], keep_blank_values=True)
    return {name for name, _ in constants} | {
        member.serialization["name"]
        for member in members
        if member.serialization.get("location") == "querystring"
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/2018-10-31/layers", {"find": "LayerVersion"}, ("GetLayerVersionByArn", {})),
        ("GET", "/2018-10-31/layers/", {}, ("ListLayers", {})),
        ("GET", "/2018-10-31/layers", {"find": "other"}, None),
        ("GET", "/2015-03-31/functions/a%3A1", {}, ("GetFunction", {"FunctionName": "a:1"})),
        ("GET", "/2015-03-31/functions//policy", {}, None),
        ("PATCH", "/2015-03-31/functions", {}, None),
        (
            "GET",
            "/2019-09-30/functions/a/provisioned-concurrency",
            {},
            ("GetProvisionedConcurrencyConfig", {"FunctionName": "a"}),
        ),
        (
            "GET",
            "/2019-09-30/functions/a/provisioned-concurrency",
            {"List": "ALL"},
            ("ListProvisionedConcurrencyConfigs", {"FunctionName": "a"}),
        ),
    ],
)
def test_labels_are_decoded_and_constants_must_have_their_value(method, path, query, expected):
    assert expected == ROUTES["lambda"].find(method, path, query)


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("PUT", "/b/a/b%20/", {}, ("PutObject", {"Bucket": "b", "Key": "a/b /"})),
        ("PUT", "/b/k", {"uploadId": "u"}, None),
        (
            "PUT",
            "/b",
            {"metadataAnnotationTable": ""},
            ("UpdateBucketMetadataAnnotationTableConfiguration", {"Bucket": "b"}),
        ),
        ("PUT", "/b", {"uploads": ""}, None),
        ("POST", "/b/k", {}, None),
        ("GET", "/b", {"list-type": "1"}, None),
        ("GET", "/b", {"acl": "", "policy": ""}, None),
        ("GET", "/b", {"id": "cache-breaker"}, ("ListObjects", {"Bucket": "b"})),
        ("GET", "/", {}, ("ListBuckets", {})),
    ],
)
def test_a_label_with_a_plus_takes_the_rest_of_the_path(method, path, query, expected):
    assert expected == ROUTES["s3"].find(method, path, query)
