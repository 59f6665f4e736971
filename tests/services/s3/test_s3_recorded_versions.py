"""Versions, delete markers and conditions of writes are told as S3 was seen to. Real boto3, without a socket.

Source: localstack's snapshots of AWS (July 2023 to March 2025).
"""

import pytest
from botocore.exceptions import ClientError

NOT_EMPTY = "The bucket you tried to delete is not empty"
CONFLICT = "The conditional request cannot succeed due to a conflicting operation against this resource."
NOT_IMPLEMENTED = "A header you provided implies functionality that is not implemented"


def refused(call, **parameters):
    """Status, headers and error of a call."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    metadata = answer["ResponseMetadata"]
    return metadata["HTTPStatusCode"], metadata["HTTPHeaders"], answer["Error"]


def set_versioning(s3, status):
    s3.put_bucket_versioning(Bucket="b-1", VersioningConfiguration={"Status": status})


@pytest.mark.parametrize(
    ("operation", "method", "more"),
    [
        ("get_object", "GET", {}),
        ("get_object_tagging", "GET", {}),
        ("put_object_tagging", "PUT", {"Tagging": {"TagSet": []}}),
        ("delete_object_tagging", "DELETE", {}),
    ],
)
def test_a_delete_marker_is_405_with_the_method_that_was_asked_for(s3, operation, method, more):
    """Tags of a key whose newest version is one too."""
    set_versioning(s3, "Enabled")
    s3.put_object(Bucket="b-1", Key="k")
    marker = s3.delete_object(Bucket="b-1", Key="k")["VersionId"]
    own = {"Bucket": "b-1", "Key": "k", **more}
    asked = [{"VersionId": marker}] + ([{}] if "tagging" in operation else [])
    for version in asked:
        status, headers, error = refused(getattr(s3, operation), **own, **version)

        assert (405, method, "DeleteMarker") == (status, error["Method"], error["ResourceType"])
        assert ("true", marker, "DELETE") == (
            headers["x-amz-delete-marker"],
            headers["x-amz-version-id"],
            headers["allow"],
        )


def test_what_a_suspended_bucket_takes_has_no_version_id_in_the_answer(s3):
    set_versioning(s3, "Suspended")
    put = s3.put_object(Bucket="b-1", Key="k")
    copied = s3.copy_object(Bucket="b-1", Key="copy", CopySource="b-1/k")
    deleted = s3.delete_object(Bucket="b-1", Key="copy")

    assert [None, None] == [put.get("VersionId"), copied.get("VersionId")]
    assert ("null", "null", True) == (
        s3.get_object(Bucket="b-1", Key="k")["VersionId"],
        deleted["VersionId"],
        deleted["DeleteMarker"],
    )


def test_a_bucket_with_versions_left_says_so(s3):
    s3.put_object(Bucket="b-1", Key="k")
    plain = refused(s3.delete_bucket, Bucket="b-1")[2]["Message"]
    set_versioning(s3, "Enabled")
    s3.delete_object(Bucket="b-1", Key="k")
    versioned = refused(s3.delete_bucket, Bucket="b-1")[2]["Message"]

    assert (NOT_EMPTY, f"{NOT_EMPTY}. You must delete all versions in the bucket.") == (plain, versioned)


@pytest.mark.parametrize(
    ("conditions", "header", "additional"),
    [
        (
            {"IfMatch": "x", "IfNoneMatch": "*"},
            "If-Match,If-None-Match",
            "Multiple conditional request headers present in the request",
        ),
        (
            {"IfNoneMatch": "x"},
            "If-None-Match",
            "We don't accept the provided value of If-None-Match header for this API",
        ),
        ({"IfMatch": "*"}, "If-Match", "We don't accept the provided value of If-Match header for this API"),
    ],
)
def test_conditions_that_s3_does_not_take_are_told_by_their_header(s3, conditions, header, additional):
    status, _, error = refused(s3.put_object, Bucket="b-1", Key="k", **conditions)

    assert (501, NOT_IMPLEMENTED, header, additional) == (
        status,
        error["Message"],
        error["Header"],
        error["additionalMessage"],
    )


@pytest.fixture
def complete(s3):
    """Completes an upload of the key `k` that was begun before, with conditions."""
    s3.put_object(Bucket="b-1", Key="k", Body=b"test")
    upload = {"Bucket": "b-1", "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    return lambda **conditions: s3.complete_multipart_upload(**upload, MultipartUpload=parts, **conditions)


@pytest.mark.parametrize("body", [b"other", b"test"])
def test_what_was_put_while_an_upload_went_on_conflicts_with_if_match(s3, complete, body):
    etag = s3.put_object(Bucket="b-1", Key="k", Body=body)["ETag"]
    status, _, error = refused(complete, IfMatch=etag)

    assert (409, "ConditionalRequestConflict", CONFLICT) == (status, error["Code"], error["Message"])
    assert ("If-Match", "k") == (error["Condition"], error["Key"])


def test_what_was_deleted_while_an_upload_went_on_conflicts_too(s3, complete):
    s3.delete_object(Bucket="b-1", Key="k")
    none = refused(complete, IfNoneMatch="*")
    match = refused(complete, IfMatch="x")
    etag = s3.put_object(Bucket="b-1", Key="k", Body=b"test")["ETag"]
    again = refused(complete, IfMatch=etag)

    assert (409, "If-None-Match") == (none[0], none[2]["Condition"])
    assert (404, "NoSuchKey") == (match[0], match[2]["Code"])
    assert (409, "If-Match") == (again[0], again[2]["Condition"])


def test_what_has_not_changed_does_not_conflict(s3, complete):
    etag = s3.head_object(Bucket="b-1", Key="k")["ETag"]
    wrong = refused(complete, IfMatch="x")

    assert (412, "If-Match") == (wrong[0], wrong[2]["Condition"])
    assert complete(IfMatch=etag)["ETag"].endswith('-1"')


@pytest.mark.parametrize(
    ("operation", "more"),
    [("delete_object", {"Key": "k"}), ("delete_objects", {"Delete": {"Objects": [{"Key": "k"}]}})],
)
@pytest.mark.parametrize("value", [True, False])
def test_what_is_for_buckets_with_object_lock_is_refused_by_others(s3, operation, more, value):
    header = "x-amz-bypass-governance-retention"
    s3.create_bucket(Bucket="b-2", ObjectLockEnabledForBucket=True)
    call = getattr(s3, operation)
    status, _, error = refused(call, Bucket="b-1", BypassGovernanceRetention=value, **more)

    assert (400, f"{header} is only applicable to Object Lock enabled buckets.", header) == (
        status,
        error["Message"],
        error["ArgumentName"],
    )
    assert call(Bucket="b-2", BypassGovernanceRetention=value, **more)


def test_a_copied_range_behind_its_source_is_an_invalid_request(s3):
    s3.put_object(Bucket="b-1", Key="k", Body=b"0123456789")
    upload = {"Bucket": "b-1", "Key": "u"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    source = {**upload, "PartNumber": 1, "CopySource": "b-1/k"}
    behind = refused(s3.upload_part_copy, **source, CopySourceRange="bytes=100-200")[2]
    across = refused(s3.upload_part_copy, **source, CopySourceRange="bytes=0-100")[2]

    message = "The specified copy range is invalid for the source object size"
    assert {"Code": "InvalidRequest", "Message": message} == behind
    assert "Range specified is not valid for source object of size: 10" == across["Message"]


def test_a_storage_class_that_is_none_is_repeated(s3):
    status, _, error = refused(s3.put_object, Bucket="b-1", Key="k", StorageClass="OUTER")

    assert (400, "InvalidStorageClass", "OUTER") == (status, error["Code"], error["StorageClassRequested"])


@pytest.mark.parametrize("region", ["us-east-1", "nowhere-1"])
def test_a_region_that_cannot_be_asked_for_is_refused(s3, shop, region):
    where = {"LocationConstraint": region}
    status, _, error = refused(s3.create_bucket, Bucket="b-2", CreateBucketConfiguration=where)

    assert (400, "InvalidLocationConstraint", region) == (status, error["Code"], error["LocationConstraint"])
    assert ["b-1"] == list(shop.store.buckets)


def test_europe_is_ireland(s3):
    s3.create_bucket(Bucket="b-2", CreateBucketConfiguration={"LocationConstraint": "EU"})

    assert "eu-west-1" == s3.head_bucket(Bucket="b-2")["BucketRegion"]


def test_tags_of_the_system_are_refused_in_other_words_for_objects_and_buckets(s3):
    tags = {"TagSet": [{"Key": "aws:x", "Value": ""}]}
    s3.put_object(Bucket="b-1", Key="k")

    assert [
        "Your TagKey cannot be prefixed with aws:",
        "System tags cannot be added/updated by requester",
    ] == [
        refused(s3.put_object_tagging, Bucket="b-1", Key="k", Tagging=tags)[2]["Message"],
        refused(s3.put_bucket_tagging, Bucket="b-1", Tagging=tags)[2]["Message"],
    ]
