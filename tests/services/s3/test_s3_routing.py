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
        ("GET", "/b-1?list-type=3", (400, "InvalidArgument")),
        ("GET", "/?acl", (405, "MethodNotAllowed")),
    ],
)
def test_a_parameter_that_names_no_operation_of_the_method_changes_nothing(shop, method, target, expected):
    answer = shop.ask(method, target)

    assert expected == (answer.status, answer.code)
    assert ["b-1"] == list(shop.store.buckets)
    assert {} == dict(shop.store.buckets["b-1"].keys)
