"""Each operation of AWS's model is answered by itself or refused by its name, never taken for another one."""

import boto3
import pytest
from botocore import xform_name

from engine.services.s3.routing import SERVED

PARAMETERS = {
    "Bucket": "b-1",
    "Key": "k",
    "UploadId": "u",
    "PartNumber": 1,
    "Id": "i",
    "CopySource": "b-1/k",
    "Policy": "{}",
    "AnnotationPayload": b"",
    "AnnotationName": "name",
    "RenameSource": "k",
    "ObjectAttributes": ["ETag"],
}


OPERATIONS = boto3.client("s3", region_name="us-east-1").meta.service_model.operation_names
OTHER_HOSTS = {"ListDirectoryBuckets", "WriteGetObjectResponse"}
DEPRECATED = {"GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification"}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - SERVED.keys() - DEPRECATED - OTHER_HOSTS))
def test_an_operation_that_is_not_served_is_refused_by_its_name(shop, boto3_of, name):
    client = boto3_of(shop)
    shape = client.meta.service_model.operation_model(name).input_shape
    required = {member: PARAMETERS.get(member, {}) for member in (shape.required_members if shape else ())}

    with pytest.raises(client.exceptions.ClientError) as refused:
        getattr(client, xform_name(name))(**required)

    message = f"This object store does not implement {name}."
    assert {"Code": "NotImplemented", "Message": message} == refused.value.response["Error"]
    assert ["b-1"] == list(shop.store.buckets)


@pytest.mark.parametrize(
    ("name", "method", "target", "headers"),
    [
        ("ListDirectoryBuckets", "GET", "/", {"host": "s3express-control.us-east-1.amazonaws.com"}),
        ("WriteGetObjectResponse", "POST", "/WriteGetObjectResponse", {"x-amz-request-route": "r"}),
    ],
)
def test_so_is_one_that_has_a_host_of_its_own(shop, name, method, target, headers):
    message = f"This object store does not implement {name}."

    assert (501, "NotImplemented", message) == shop.ask(method, target, b"", headers).error


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("PUT", "/b-2?metadataAnnotationTable", (501, "NotImplemented")),
        ("PUT", "/b-2?uploads", (405, "MethodNotAllowed")),
        ("DELETE", "/b-1?acl", (405, "MethodNotAllowed")),
        ("DELETE", "/b-1?location", (405, "MethodNotAllowed")),
        ("PUT", "/b-1/k?acl&tagging", (400, "InvalidArgument")),
        ("PUT", "/b-1/k?uploadId=u", (400, "InvalidArgument")),
        ("POST", "/b-1/k", (405, "MethodNotAllowed")),
        ("POST", "/b-1?acl", (405, "MethodNotAllowed")),
        ("TRACE", "/b-1", (400, "BadRequest")),
        ("GET", "/?acl", (405, "MethodNotAllowed")),
    ],
)
def test_a_parameter_that_names_no_operation_of_the_method_changes_nothing(shop, method, target, expected):
    answer = shop.ask(method, target)

    assert expected == (answer.status, answer.code)
    assert ["b-1"] == list(shop.store.buckets)
    assert {} == dict(shop.store.buckets["b-1"].keys)


@pytest.mark.parametrize(
    ("method", "target", "resource", "allowed"),
    [
        ("PATCH", "/b-1", "BUCKET", {"GET", "HEAD", "PUT", "DELETE"}),
        ("POST", "/b-1/k", "OBJECT", {"GET", "HEAD", "PUT", "DELETE"}),
        ("DELETE", "/", "SERVICE", {"GET"}),
        ("POST", "/b-1?policy", "BUCKETPOLICY", {"GET", "PUT", "DELETE"}),
        ("POST", "/b-1?ownershipControls", "OWNERSHIP_CONTROLS", {"GET", "PUT", "DELETE"}),
        ("DELETE", "/b-1?location", "LOCATION", {"GET"}),
        ("POST", "/b-1/k?tagging", "OBJECT_TAGGING", {"GET", "PUT", "DELETE"}),
    ],
)
def test_a_method_that_is_not_allowed_is_told_with_those_that_are(shop, method, target, resource, allowed):
    answer = shop.ask(method, target)

    assert (405, [method], [resource]) == (answer.status, answer.text("Method"), answer.text("ResourceType"))
    assert allowed == set(answer.headers["allow"].split(", "))


def test_conflicting_parameters_are_told_in_order(shop):
    answer = shop.ask("GET", "/nowhere?versioning&acl")

    assert (400, "InvalidArgument", "Conflicting query string parameters: acl, versioning") == answer.error
    assert (["ResourceType"], ["acl"]) == (answer.text("ArgumentName"), answer.text("ArgumentValue"))


@pytest.mark.parametrize("list_type", ["1", "0", "bogus", ""])
def test_another_list_type_than_2_is_the_first_listing(shop, list_type):
    answer = shop.ask("GET", f"/b-1?list-type={list_type}")

    assert ([""], []) == (answer.text("Marker"), answer.text("KeyCount"))
