"""Encryption, expiration, copies, uploads and regions of buckets are told as S3 was seen to.

Source: localstack's snapshots of AWS (January 2025); moto's tests that are marked as verified on AWS (5.2.5).
"""

import re

import pytest
from botocore.exceptions import ClientError

KMS = "aws:kms"
KEY = "00000000-1111-2222-3333-444444444444"
ARN = f"arn:aws:kms:us-east-1:123456789012:key/{KEY}"
MIDNIGHT = "Sun, 15 Mar 2020 00:00:00 GMT"
"""A day after 13 March 2020, 07:06:40, and on to the next midnight."""


def refused(call, **parameters):
    """Status and error of a call."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]


def encryption(answer):
    return tuple(answer.get(name) for name in ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"))


def encrypt_bucket(s3, **rule):
    by_default = {name: rule.pop(name) for name in ("SSEAlgorithm", "KMSMasterKeyID") if name in rule}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default, **rule}]
    s3.put_bucket_encryption(Bucket="b-1", ServerSideEncryptionConfiguration={"Rules": rules})


def answers_of_writes(s3, **asked):
    """What every operation that writes or reads one object answers, the last two about a copy."""
    target = {"Bucket": "b-1", "Key": "k"}
    begun = s3.create_multipart_upload(Bucket="b-1", Key="m", **asked)
    upload = {"Bucket": "b-1", "Key": "m", "UploadId": begun["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    listed = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    source = {"CopySource": {"Bucket": "b-1", "Key": "k"}}
    return [
        s3.put_object(**target, Body=b"x", **asked),
        s3.head_object(**target),
        s3.get_object(**target),
        begun,
        part,
        s3.complete_multipart_upload(**upload, MultipartUpload=listed),
        s3.copy_object(Bucket="b-1", Key="c", **source, **asked),
        s3.head_object(Bucket="b-1", Key="c"),
    ]


@pytest.mark.parametrize("key", [KEY, ARN])
def test_the_encryption_that_is_asked_for_is_told_by_every_answer(s3, key):
    answers = answers_of_writes(s3, ServerSideEncryption=KMS, SSEKMSKeyId=key, BucketKeyEnabled=True)

    assert [(KMS, ARN, True)] * 8 == [encryption(answer) for answer in answers]


def test_a_bucket_gives_its_encryption_to_what_does_not_ask_for_another(s3):
    encrypt_bucket(s3, SSEAlgorithm=KMS, KMSMasterKeyID=KEY, BucketKeyEnabled=True)
    answers = answers_of_writes(s3)
    other = s3.put_object(Bucket="b-1", Key="k", ServerSideEncryption="AES256")
    encrypt_bucket(s3, SSEAlgorithm=KMS, KMSMasterKeyID=KEY, BucketKeyEnabled=False)
    later = s3.put_object(Bucket="b-1", Key="k")

    assert [(KMS, ARN, True)] * 8 == [encryption(answer) for answer in answers]
    assert ("AES256", None, None) == encryption(other)
    assert (KMS, ARN, None) == encryption(later)


def test_without_a_key_that_of_aws_is_named_and_a_bucket_key_is_for_kms_alone(s3):
    encrypt_bucket(s3, SSEAlgorithm="AES256", BucketKeyEnabled=True)
    plain = s3.put_object(Bucket="b-1", Key="k")
    encrypt_bucket(s3, SSEAlgorithm=KMS)
    managed = s3.put_object(Bucket="b-1", Key="k")

    assert ("AES256", None, None) == encryption(plain)
    assert re.fullmatch(r"arn:aws:kms:us-east-1:123456789012:key/[0-9a-f-]{36}", managed["SSEKMSKeyId"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ServerSideEncryption": "rot13"}, "The encryption method specified is not supported"),
        (
            {"SSEKMSKeyId": KEY},
            (
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms"
            ),
        ),
    ],
)
def test_an_encryption_that_cannot_be_is_refused(s3, asked, message):
    status, error = refused(s3.put_object, Bucket="b-1", Key="k", **asked)

    assert (400, "InvalidArgument", message) == (status, error["Code"], error["Message"])


def expire(s3, *rules):
    listed = [{"ID": f"rule {number}", "Status": "Enabled", **rule} for number, rule in enumerate(rules)]
    s3.put_bucket_lifecycle_configuration(Bucket="b-1", LifecycleConfiguration={"Rules": listed})


def test_the_rule_that_is_due_first_is_told_by_every_answer(s3):
    expire(
        s3,
        {"Filter": {}, "Expiration": {"Days": 2}},
        {"Filter": {}, "Expiration": {"Days": 1}},
        {"Filter": {}, "Expiration": {"Days": 1}, "Status": "Disabled"},
    )
    told = [answer.get("Expiration") for answer in answers_of_writes(s3)]
    expected = f'expiry-date="{MIDNIGHT}", rule-id="rule%201"'

    assert [*[expected] * 3, None, None, *[expected] * 3] == told


@pytest.mark.parametrize(
    ("rule", "is_told"),
    [
        ({"Filter": {"Prefix": "k"}}, True),
        ({"Filter": {"Prefix": "x"}}, False),
        ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}}, True),
        ({"Filter": {"Tag": {"Key": "a", "Value": "c"}}}, False),
        ({"Filter": {"ObjectSizeGreaterThan": 1}}, False),
        ({"Filter": {"ObjectSizeLessThan": 2}}, True),
        ({"Filter": {"And": {"Prefix": "k", "Tags": [{"Key": "a", "Value": "b"}]}}}, True),
        ({"Prefix": "x"}, False),
        ({"Prefix": ""}, True),
    ],
)
def test_a_rule_is_about_what_its_filter_takes(s3, rule, is_told):
    expire(s3, {**rule, "Expiration": {"Date": "2030-01-01T00:00:00Z"}})
    answer = s3.put_object(Bucket="b-1", Key="k", Body=b"x", Tagging="a=b")

    assert is_told == ("Tue, 01 Jan 2030 00:00:00 GMT" in answer.get("Expiration", ""))


def test_a_version_that_is_not_current_has_no_expiration(s3):
    s3.put_bucket_versioning(Bucket="b-1", VersioningConfiguration={"Status": "Enabled"})
    expire(s3, {"Filter": {}, "Expiration": {"Days": 1}})
    older, newer = (s3.put_object(Bucket="b-1", Key="k")["VersionId"] for _ in range(2))
    heads = [s3.head_object(Bucket="b-1", Key="k", VersionId=version) for version in (older, newer)]

    assert [False, True] == ["Expiration" in head for head in heads]


ITSELF = {"Bucket": "b-1", "Key": "k", "CopySource": {"Bucket": "b-1", "Key": "k"}}


@pytest.mark.parametrize("status", ["Suspended", "Enabled"])
def test_a_copy_onto_itself_must_change_something_whatever_the_versioning(s3, status):
    version = s3.put_object(Bucket="b-1", Key="k").get("VersionId", "null")
    s3.put_bucket_versioning(Bucket="b-1", VersioningConfiguration={"Status": status})

    assert (400, "InvalidRequest") == (lambda found: (found[0], found[1]["Code"]))(
        refused(s3.copy_object, **ITSELF)
    )
    s3.copy_object(**{**ITSELF, "CopySource": {"Bucket": "b-1", "Key": "k", "VersionId": version}})


@pytest.mark.parametrize(
    "change",
    [{"WebsiteRedirectLocation": "/x"}, {"ServerSideEncryption": "AES256"}, {"StorageClass": "STANDARD"}],
)
def test_what_a_copy_onto_itself_may_change(s3, change):
    s3.put_object(Bucket="b-1", Key="k")
    s3.copy_object(**ITSELF, **change)


def test_a_bucket_that_encrypts_may_be_copied_onto_itself(s3):
    s3.put_object(Bucket="b-1", Key="k")
    encrypt_bucket(s3, SSEAlgorithm="AES256")
    s3.copy_object(**ITSELF)


def test_a_copy_has_its_own_website_redirect_or_none(s3):
    s3.put_object(Bucket="b-1", Key="k", WebsiteRedirectLocation="/x")
    source = ITSELF["CopySource"]
    s3.copy_object(Bucket="b-1", Key="none", CopySource=source)
    s3.copy_object(Bucket="b-1", Key="own", CopySource=source, WebsiteRedirectLocation="/y")

    assert [None, "/y"] == [
        s3.head_object(Bucket="b-1", Key=key).get("WebsiteRedirectLocation") for key in ("none", "own")
    ]


def test_a_copy_names_the_version_of_its_source_though_it_was_not_asked_for(s3):
    s3.put_bucket_versioning(Bucket="b-1", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="b-1", Key="k")["VersionId"]
    copied = s3.copy_object(Bucket="b-1", Key="c", CopySource=ITSELF["CopySource"])

    assert version == copied["CopySourceVersionId"]


def test_an_upload_may_be_completed_again(s3, shop):
    """A client that was not reached asks again: it is answered as before, and nobody is notified twice."""
    target = {"Bucket": "b-1", "Key": "k"}
    upload = s3.create_multipart_upload(**target)["UploadId"]
    etag = s3.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    asked = {
        **target,
        "UploadId": upload,
        "MultipartUpload": {"Parts": [{"ETag": etag, "PartNumber": 1}]},
    }
    first, second = (s3.complete_multipart_upload(**asked, IfNoneMatch="*") for _ in range(2))

    assert (first["ETag"], first["Location"]) == (second["ETag"], second["Location"])
    assert (404, "NoSuchUpload") == (lambda found: (found[0], found[1]["Code"]))(
        refused(s3.complete_multipart_upload, **{**asked, "Key": "other"})
    )
    assert 1 == len(shop.store.buckets["b-1"].keys["k"])


def test_attributes_have_the_checksum_of_parts_without_their_number(s3):
    target = {"Bucket": "b-1", "Key": "k"}
    upload = {
        **target,
        "UploadId": s3.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")["UploadId"],
    }
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256")
    listed = {"ETag": part["ETag"], "PartNumber": 1, "ChecksumSHA256": part["ChecksumSHA256"]}
    whole = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [listed]})["ChecksumSHA256"]
    shown = s3.get_object_attributes(**target, ObjectAttributes=["Checksum"])["Checksum"]

    assert whole == shown["ChecksumSHA256"] + "-1"
    assert "COMPOSITE" == shown["ChecksumType"]


SIGNED = "AWS4-HMAC-SHA256 Credential=k/20200313/{}/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("signed", "asked", "is_refused"),
    [
        ("us-west-2", None, True),
        ("us-west-2", "us-east-1", True),
        ("us-west-2", "eu-west-1", True),
        ("us-west-2", "us-west-2", False),
        ("us-east-1", "eu-west-1", False),
        ("nowhere", None, False),
    ],
)
def test_buckets_are_made_in_the_region_that_is_signed_for_or_from_us_east_1(shop, signed, asked, is_refused):
    where = f"<LocationConstraint>{asked}</LocationConstraint>" if asked else ""
    body = f"<CreateBucketConfiguration>{where}</CreateBucketConfiguration>".encode()
    answer = shop.ask("PUT", "/b-2", body, {"authorization": SIGNED.format(signed)})
    message = (
        f"The {asked or 'unspecified'} location constraint is incompatible for the region specific endpoint "
        "this request was sent to."
    )

    assert is_refused == ((400, "IllegalLocationConstraintException", message) == answer.error)
    assert is_refused == (answer.status != 200)


def test_a_bucket_elsewhere_or_one_that_is_to_have_tags_is_not_made_again(s3):
    tags = {"Tags": [{"Key": "a", "Value": "b"}]}
    s3.create_bucket(Bucket="b-2", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    errors = [
        refused(s3.create_bucket, Bucket="b-2"),
        refused(s3.create_bucket, Bucket="b-1", CreateBucketConfiguration=tags),
    ]

    assert ["BucketAlreadyOwnedByYou"] * 2 == [error["Code"] for _, error in errors]
    s3.create_bucket(Bucket="b-1")


def test_a_document_that_is_missing_is_told_so(shop):
    assert (400, "MissingRequestBodyError", "Request Body is empty") == shop.ask(
        "PUT", "/b-1?object-lock"
    ).error


@pytest.mark.parametrize(
    ("span", "is_whole"), [("bytes=0-100", True), ("bytes=-15", True), ("bytes=0-1", False)]
)
def test_a_range_that_is_all_of_an_object_has_its_checksum(s3, span, is_whole):
    s3.put_object(Bucket="b-1", Key="k", Body=b"0123456789", ChecksumAlgorithm="SHA256")
    found = s3.get_object(Bucket="b-1", Key="k", Range=span, ChecksumMode="ENABLED")

    assert (206, is_whole) == (found["ResponseMetadata"]["HTTPStatusCode"], "ChecksumSHA256" in found)


def test_a_time_to_come_is_no_condition(s3):
    s3.put_object(Bucket="b-1", Key="k")
    later, now = "Sat, 14 Mar 2020 00:00:00 GMT", "Fri, 13 Mar 2020 07:06:40 GMT"
    s3.get_object(Bucket="b-1", Key="k", IfModifiedSince=later)
    s3.copy_object(**ITSELF, StorageClass="STANDARD_IA", CopySourceIfModifiedSince=later)

    assert 304 == refused(s3.get_object, Bucket="b-1", Key="k", IfModifiedSince=now)[0]


@pytest.mark.parametrize("tagging", ["a=b,c=d", "a%2Cb=c", "a=b&a=b"])
def test_what_no_tag_can_have_is_told_as_a_mistake_of_the_header(s3, tagging):
    status, error = refused(s3.put_object, Bucket="b-1", Key="k", Tagging=tagging)

    assert (400, "InvalidArgument", "x-amz-tagging", tagging) == (
        status,
        error["Code"],
        error["ArgumentName"],
        error["ArgumentValue"],
    )


@pytest.mark.parametrize(
    ("operation", "key"),
    [("get_object_tagging", "b-1/none"), ("delete_object_tagging", "none"), ("get_object", "none")],
)
def test_the_bucket_stands_before_a_missing_key_where_its_tags_are_asked_for(s3, operation, key):
    status, error = refused(getattr(s3, operation), Bucket="b-1", Key="none")

    assert (404, "NoSuchKey", key) == (status, error["Code"], error["Key"])
