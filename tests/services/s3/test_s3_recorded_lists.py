"""Listings answer as S3 was seen to: parameters, owners, parts, markers, ids. Real boto3, without a socket.

Sources: localstack's snapshots of AWS (November 2023 to February 2026); answers of S3 that were measured in
2026 (brekkylab/backlot, versity/versitygw).
"""

import asyncio
import re

import botocore.session
import pytest
from botocore.exceptions import ClientError

from engine.services.s3.operations.buckets import REGIONS

MB = 1024 * 1024
LISTS = ("list_objects", "list_objects_v2", "list_object_versions", "list_multipart_uploads")
UNKNOWN = "a" * 32


def refused(call, **parameters):
    """Status and error of a call."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]


def invalid(message, name, value=None):
    """What `refused` gives for an argument."""
    error = {"Code": "InvalidArgument", "Message": message, "ArgumentName": name}
    return 400, error if value is None else error | {"ArgumentValue": value}


def listing(s3, name, **parameters):
    """A listing without what boto3 adds."""
    answer = getattr(s3, name)(**parameters)
    del answer["ResponseMetadata"]
    return answer


# --- ListBuckets


@pytest.mark.parametrize("more", [{"MaxBuckets": 5}, {"Prefix": "b"}, {"BucketRegion": "us-east-1"}])
def test_calls_that_page_or_filter_tell_region_and_arn_of_a_bucket(s3, more):
    [bucket] = listing(s3, "list_buckets", **more)["Buckets"]
    [plain] = listing(s3, "list_buckets")["Buckets"]

    assert ("us-east-1", "arn:aws:s3:::b-1") == (bucket["BucketRegion"], bucket["BucketArn"])
    assert {"Name", "CreationDate"} == plain.keys()


def test_buckets_of_other_regions_are_not_listed(s3):
    s3.create_bucket(Bucket="b-2", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    answer = listing(s3, "list_buckets", BucketRegion="eu-west-1", Prefix="b-")

    assert (["b-2"], "b-") == ([bucket["Name"] for bucket in answer["Buckets"]], answer["Prefix"])


def test_a_region_that_is_none_is_refused(s3):
    expected = invalid("Argument value eu-east-1 is not a valid AWS Region", "bucket-region")

    assert expected == refused(s3.list_buckets, BucketRegion="eu-east-1")


def test_the_regions_are_those_that_botocore_knows():
    session = botocore.session.get_session()
    known = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("s3", partition, allow_non_regional=False)
    }

    assert known <= REGIONS


@pytest.mark.parametrize("number", [0, 10_001, -1])
def test_max_buckets_is_1_to_10000(s3, number):
    message = "Argument max-buckets must be an integer between 1 and 10000"

    assert invalid(message, "max-buckets", str(number)) == refused(s3.list_buckets, MaxBuckets=number)


def test_pages_of_buckets_follow_each_other(s3):
    s3.create_bucket(Bucket="b-2")
    first = listing(s3, "list_buckets", MaxBuckets=1, ContinuationToken="")
    second = listing(s3, "list_buckets", MaxBuckets=1, ContinuationToken=first["ContinuationToken"])

    assert (["b-1"], ["b-2"]) == tuple([b["Name"] for b in page["Buckets"]] for page in (first, second))
    assert "ContinuationToken" not in second
    assert invalid("The continuation token provided is incorrect", "continuation-token") == refused(
        s3.list_buckets, ContinuationToken="x"
    )


def test_a_bucket_tells_its_arn_where_it_is_made_and_looked_for(s3):
    made, found = s3.create_bucket(Bucket="b-2"), s3.head_bucket(Bucket="b-2")

    assert ["arn:aws:s3:::b-2"] * 2 == [made["BucketArn"], found["BucketArn"]]
    assert ("us-east-1", False) == (found["BucketRegion"], found["AccessPointAlias"])


# --- parameters of all listings


@pytest.mark.parametrize("operation", LISTS)
@pytest.mark.parametrize("value", ["", "value", "uri"])
def test_another_encoding_than_url_is_refused_also_the_empty_one(s3, operation, value):
    status, error = invalid("Invalid Encoding Method specified in Request", "encoding-type")
    expected = status, error | {"ArgumentValue": value or None}

    assert expected == refused(getattr(s3, operation), Bucket="b-1", EncodingType=value)


@pytest.mark.parametrize("target", ["/b-1?", "/b-1?list-type=2&", "/b-1?versions&", "/b-1?uploads&"])
def test_encoding_is_compared_in_any_case_and_repeated_as_sent(shop, target):
    assert ["URL"] == shop.ask("GET", f"{target}encoding-type=URL").text("EncodingType")


NUMBERS = [
    ("/b-1?", "max-keys", "MaxKeys"),
    ("/b-1?list-type=2&", "max-keys", "MaxKeys"),
    ("/b-1?versions&", "max-keys", "MaxKeys"),
    ("/b-1?uploads&", "max-uploads", "MaxUploads"),
    ("/b-1/k?uploadId={upload}&", "max-parts", "MaxParts"),
    ("/b-1/k?uploadId={upload}&", "part-number-marker", "PartNumberMarker"),
]


@pytest.fixture
def ask(shop, s3):
    """Asks a target that may name an upload."""
    upload = s3.create_multipart_upload(Bucket="b-1", Key="k")["UploadId"]
    return lambda target: shop.ask("GET", target.replace("{upload}", upload))


@pytest.mark.parametrize(("target", "name", "element"), NUMBERS)
def test_a_number_may_be_empty_or_have_zeros_before_it(ask, target, name, element):
    default = "0" if name == "part-number-marker" else "1000"

    assert [default] == ask(f"{target}{name}=").text(element)
    assert ["5"] == ask(f"{target}{name}=00000000000005").text(element)
    assert ["0"] == ask(f"{target}{name}=-0").text(element)


@pytest.mark.parametrize(("target", "name", "element"), NUMBERS)
@pytest.mark.parametrize("value", ["abc", "1.5", "2147483648", "-2147483649", "5x", "9" * 5000, "٣"])
def test_what_is_no_number_of_32_bits_is_told_before_a_bucket_is_looked_for(
    ask, target, name, element, value
):
    for place in (target, target.replace("b-1", "no-such-bucket")):
        answer = ask(f"{place}{name}={value if value.isascii() else '%D9%A3'}")

        assert (
            400,
            "InvalidArgument",
            f"Provided {name} not an integer or within integer range",
        ) == answer.error
        assert [name] == answer.text("ArgumentName")


@pytest.mark.parametrize(("target", "name", "element"), NUMBERS)
def test_a_negative_number_is_out_of_range(ask, target, name, element):
    answer = ask(f"{target}{name}=-01")
    called = "maxKeys" if name == "max-keys" else name
    message = f"Argument {called} must be an integer between 0 and 2147483647"
    if "versions" in target:
        message, called = "max-keys cannot be negative", "max-keys"

    assert (400, "InvalidArgument", message) == answer.error
    assert [called] == answer.text("ArgumentName")
    assert ([] if "versions" in target else ["-1"]) == answer.text("ArgumentValue")
    assert "NoSuchBucket" == ask(f"{target.replace('b-1', 'no-such-bucket')}{name}=-1").code


def test_max_keys_is_repeated_whatever_it_is_and_max_uploads_up_to_its_limit(ask):
    expected = [["2147483647"], ["2147483647"], ["2147483647"], ["1000"], ["1000"]]

    assert expected == [
        ask(f"{target}{name}=2147483647").text(element) for target, name, element in NUMBERS[:5]
    ]


@pytest.mark.parametrize("operation", LISTS)
def test_a_page_of_nothing_is_not_truncated(s3, operation):
    s3.put_object(Bucket="b-1", Key="k")
    s3.create_multipart_upload(Bucket="b-1", Key="k")
    name = "MaxUploads" if "uploads" in operation else "MaxKeys"
    answer = listing(s3, operation, Bucket="b-1", **{name: 0})

    assert (False, 0) == (answer["IsTruncated"], answer[name])
    assert not {"Contents", "Versions", "Uploads"} & answer.keys()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/b-1?", "prefix"),
        ("/b-1?", "marker"),
        ("/b-1?list-type=2&", "start-after"),
        ("/b-1?versions&", "key-marker"),
        ("/b-1?versions&", "prefix"),
        ("/b-1?uploads&", "key-marker"),
    ],
)
def test_a_zero_byte_is_in_no_key(shop, target, name):
    message = "Value must be a sequence of Unicode characters and cannot include Null."

    assert (400, "InvalidArgument", message) == shop.ask("GET", f"{target}{name}=%00").error
    assert "Invalid Encoding" in shop.ask("GET", f"{target}{name}=%00&encoding-type=x").error[2]


# --- ListObjects


@pytest.mark.parametrize("token", ["", "zzz", "MQ=="[:-1]])
def test_a_token_that_no_answer_had_is_refused_also_the_empty_one(s3, token):
    expected = invalid("The continuation token provided is incorrect", "continuation-token")

    assert expected == refused(s3.list_objects_v2, Bucket="b-1", ContinuationToken=token)


@pytest.mark.parametrize(
    ("target", "message", "name"),
    [
        (
            "?start-after=x&continuation-token=",
            "continuation-token only supported in REST.GET.BUCKET with list-type=2",
            "continuation-token",
        ),
        ("?start-after=", "startAfter only supported in REST.GET.BUCKET with list-type=2", "start-after"),
        ("?list-type=2&marker=", "Marker unsupported with REST.GET.BUCKET in list-type=2", "marker"),
    ],
)
def test_a_parameter_of_the_other_version_is_refused(shop, target, message, name):
    answer = shop.ask("GET", f"/no-such-bucket{target}")

    assert (400, "InvalidArgument", message) == answer.error
    assert ([name], []) == (answer.text("ArgumentName"), answer.text("ArgumentValue"))


def test_start_after_is_repeated_unless_a_token_takes_its_place(s3):
    for key in "abc":
        s3.put_object(Bucket="b-1", Key=key)
    first = listing(s3, "list_objects_v2", Bucket="b-1", StartAfter="a", MaxKeys=1)
    token = first["NextContinuationToken"]
    second = listing(s3, "list_objects_v2", Bucket="b-1", StartAfter="a", ContinuationToken=token)
    empty = listing(s3, "list_objects_v2", Bucket="b-1", StartAfter="")

    assert ("a", "", None) == (first["StartAfter"], empty["StartAfter"], second.get("StartAfter"))
    assert (token, ["c"]) == (second["ContinuationToken"], [one["Key"] for one in second["Contents"]])


def names_of(body, root):
    """The names of a document's elements at the top, in order, repetitions folded."""
    inner = re.search(rb"<%b[^>]*>(.*)</%b>" % (root, root), body, re.DOTALL)[1].decode()
    names, depth = [], 0
    for closing, name, empty in re.findall(r"<(/?)([A-Za-z]+)(/?)>", inner):
        if not depth and not closing and names[-1:] != [name]:
            names.append(name)
        depth += 0 if empty else -1 if closing else 1
    return names


def test_elements_come_in_the_order_of_s3(shop, s3):
    for key in ("a", "b/1", "c", "d"):
        s3.put_object(Bucket="b-1", Key=key)
        s3.create_multipart_upload(Bucket="b-1", Key=key)
    page = "delimiter=/&max-keys=3&encoding-type=url"
    first = shop.ask("GET", f"/b-1?{page}").body
    second = shop.ask("GET", f"/b-1?list-type=2&start-after=A&{page}").body
    versions = shop.ask("GET", f"/b-1?versions&{page}").body
    uploads = shop.ask("GET", "/b-1?uploads&prefix=b&delimiter=x&encoding-type=url").body
    tail = ["MaxKeys", "Delimiter", "EncodingType", "IsTruncated"]

    assert ["Name", "Prefix", "Marker", "NextMarker", *tail, "Contents", "CommonPrefixes"] == names_of(
        first, b"ListBucketResult"
    )
    assert [
        "Name", "Prefix", "StartAfter", "NextContinuationToken", "KeyCount", *tail, "Contents",
        "CommonPrefixes",
    ] == names_of(second, b"ListBucketResult")  # fmt: skip
    assert [
        "Name", "Prefix", "KeyMarker", "VersionIdMarker", "NextKeyMarker", "NextVersionIdMarker", *tail,
        "Version", "CommonPrefixes",
    ] == names_of(versions, b"ListVersionsResult")  # fmt: skip
    assert [
        "Bucket", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker", "Delimiter", "Prefix",
        "MaxUploads", "EncodingType", "IsTruncated", "Upload",
    ] == names_of(uploads, b"ListMultipartUploadsResult")  # fmt: skip


# --- ListObjectVersions


def test_what_is_wrong_with_a_versions_listing_is_told_in_s3s_order(shop):
    """Everything is wrong, and one after the other is put right."""
    for query, message in (
        ("max-keys=abc&version-id-marker=&encoding-type=x", "Provided max-keys not an integer or within"),
        (
            "version-id-marker=&encoding-type=x",
            "A version-id marker cannot be specified without a key marker.",
        ),
        ("key-marker=k&version-id-marker=&encoding-type=x", "A version-id marker cannot be empty."),
        ("key-marker=&version-id-marker=bad-vid&encoding-type=x", "Invalid version id specified"),
        ("key-marker=k&encoding-type=x", "Invalid Encoding Method specified in Request"),
    ):
        status, code, told = shop.ask("GET", f"/b-1?versions&{query}").error

        assert (400, "InvalidArgument") == (status, code)
        assert told.startswith(message), query
    assert 200 == shop.ask("GET", "/b-1?versions&key-marker=k&version-id-marker=null").status


def test_an_empty_delimiter_is_repeated_by_the_versions_listing_alone(shop):
    assert [""] == shop.ask("GET", "/b-1?versions&delimiter=").text("Delimiter")
    for target in ("/b-1?delimiter=", "/b-1?list-type=2&delimiter=", "/b-1?uploads&delimiter="):
        assert [] == shop.ask("GET", target).text("Delimiter")


def test_a_listing_goes_on_behind_a_version_that_was_deleted_meanwhile(s3):
    s3.put_bucket_versioning(Bucket="b-1", VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket="b-1", Key="k")["VersionId"] for _ in range(5)]
    page = s3.list_object_versions(Bucket="b-1", MaxKeys=3)
    for version_id in ids[2:]:
        s3.delete_object(Bucket="b-1", Key="k", VersionId=version_id)
    marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    rest = s3.list_object_versions(Bucket="b-1", **marker)

    assert [ids[1], ids[0]] == [version["VersionId"] for version in rest["Versions"]]
    assert [True, False] == [version["IsLatest"] for version in rest["Versions"]]


# --- ListMultipartUploads


def test_a_page_without_an_upload_has_empty_next_markers(s3):
    empty = listing(s3, "list_multipart_uploads", Bucket="b-1")
    for key in ("x/a/1", "x/b", "x/c"):
        s3.create_multipart_upload(Bucket="b-1", Key=key)
    page = {"Bucket": "b-1", "Prefix": "x/", "Delimiter": "/"}
    prefix = listing(s3, "list_multipart_uploads", **page, MaxUploads=1)
    behind = listing(s3, "list_multipart_uploads", **page, MaxUploads=1, KeyMarker="x/a/")
    whole = listing(s3, "list_multipart_uploads", **page)

    assert ("", "", False) == (empty["NextKeyMarker"], empty["NextUploadIdMarker"], empty["IsTruncated"])
    assert ("", "", True) == (prefix["NextKeyMarker"], prefix["NextUploadIdMarker"], prefix["IsTruncated"])
    assert ("x/b", True) == (behind["NextKeyMarker"], behind["IsTruncated"])
    assert ("x/c", whole["Uploads"][-1]["UploadId"]) == (whole["NextKeyMarker"], whole["NextUploadIdMarker"])


def test_an_upload_marker_counts_with_its_key_alone(s3):
    first, second = (s3.create_multipart_upload(Bucket="b-1", Key="k")["UploadId"] for _ in range(2))
    alone = listing(s3, "list_multipart_uploads", Bucket="b-1", UploadIdMarker=first)
    both = listing(s3, "list_multipart_uploads", Bucket="b-1", UploadIdMarker=first, KeyMarker="k")

    assert ("", [first, second]) == (alone["UploadIdMarker"], [one["UploadId"] for one in alone["Uploads"]])
    assert (first, [second]) == (both["UploadIdMarker"], [one["UploadId"] for one in both["Uploads"]])
    for key, upload_id in (("other", first), ("k", UNKNOWN)):
        assert invalid("Invalid uploadId marker", "upload-id-marker", upload_id) == refused(
            s3.list_multipart_uploads, Bucket="b-1", KeyMarker=key, UploadIdMarker=upload_id
        )


# --- owners and parts


def test_an_initiator_has_a_name_and_an_owner_has_none(s3):
    upload = s3.create_multipart_upload(Bucket="b-1", Key="k")["UploadId"]
    s3.put_object(Bucket="b-1", Key="k")
    parts = listing(s3, "list_parts", Bucket="b-1", Key="k", UploadId=upload)
    [shown] = listing(s3, "list_multipart_uploads", Bucket="b-1")["Uploads"]
    owners = [
        parts["Owner"],
        shown["Owner"],
        listing(s3, "list_buckets")["Owner"],
        listing(s3, "list_objects", Bucket="b-1")["Contents"][0]["Owner"],
        listing(s3, "list_object_versions", Bucket="b-1")["Versions"][0]["Owner"],
    ]

    assert [{"ID", "DisplayName"}] * 2 == [set(one["Initiator"]) for one in (parts, shown)]
    assert [{"ID"}] * 5 == [set(owner) for owner in owners]


@pytest.mark.parametrize("algorithm", [None, "SHA256"])
def test_a_part_shows_its_checksum_if_the_upload_has_an_algorithm(s3, algorithm):
    more = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    upload = s3.create_multipart_upload(Bucket="b-1", Key="k", **more)["UploadId"]
    s3.upload_part(
        Bucket="b-1", Key="k", UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256"
    )
    answer = listing(s3, "list_parts", Bucket="b-1", Key="k", UploadId=upload)

    assert bool(algorithm) == ("ChecksumSHA256" in answer["Parts"][0])
    assert bool(algorithm) == ("ChecksumAlgorithm" in answer) == ("ChecksumType" in answer)


def run(function, *arguments):
    asyncio.run(function(*arguments))


def test_parts_of_an_object_come_in_pages_if_they_have_checksums(make_shop, boto3_of):
    s3 = boto3_of(make_shop(spawn=run))
    s3.create_bucket(Bucket="b-1")
    upload = s3.create_multipart_upload(Bucket="b-1", Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, body in ((2, b"a" * 5 * MB), (7, b"b")):
        part = s3.upload_part(
            Bucket="b-1", Key="k", UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    s3.complete_multipart_upload(Bucket="b-1", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})

    def attributes(**page):
        answer = s3.get_object_attributes(Bucket="b-1", Key="k", ObjectAttributes=["ObjectParts"], **page)
        return answer["ObjectParts"]

    shown = [
        {"PartNumber": part["PartNumber"], "Size": size, "ChecksumSHA256": part["ChecksumSHA256"]}
        for part, size in zip(parts, (5 * MB, 1), strict=True)
    ]
    counts = {"TotalPartsCount": 2, "IsTruncated": False}

    assert {
        **counts, "MaxParts": 1000, "PartNumberMarker": 0, "NextPartNumberMarker": 7, "Parts": shown
    } == attributes()  # fmt: skip
    assert {
        **counts, "MaxParts": 1, "PartNumberMarker": 0, "NextPartNumberMarker": 2, "Parts": shown[:1],
        "IsTruncated": True,
    } == attributes(MaxParts=1)  # fmt: skip
    assert {
        **counts, "MaxParts": 1, "PartNumberMarker": 2, "NextPartNumberMarker": 7, "Parts": shown[1:]
    } == attributes(MaxParts=1, PartNumberMarker=2)  # fmt: skip
    assert {**counts, "MaxParts": 1000, "PartNumberMarker": 10, "NextPartNumberMarker": 0} == attributes(
        PartNumberMarker=10
    )
    assert 1000 == attributes(MaxParts="many")["MaxParts"]


def test_parts_without_checksums_are_counted_alone(s3):
    upload = s3.create_multipart_upload(Bucket="b-1", Key="k")["UploadId"]
    part = s3.upload_part(Bucket="b-1", Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    listed = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="b-1", Key="k", UploadId=upload, MultipartUpload=listed)
    answer = s3.get_object_attributes(Bucket="b-1", Key="k", ObjectAttributes=["ObjectParts"])

    assert {"TotalPartsCount": 1} == answer["ObjectParts"]


def test_everything_that_is_stored_is_said_to_be_encrypted(s3):
    own = {"Bucket": "b-1", "Key": "k"}
    answers = [s3.put_object(**own), s3.get_object(**own), s3.head_object(**own)]
    answers.append(s3.copy_object(Bucket="b-1", Key="copy", CopySource="b-1/k"))
    answers.append(s3.create_multipart_upload(**own))
    upload = own | {"UploadId": answers[-1]["UploadId"]}
    answers.append(s3.upload_part_copy(**upload, PartNumber=1, CopySource="b-1/k"))
    answers.append(s3.upload_part(**upload, PartNumber=1, Body=b""))
    parts = {"Parts": [{"PartNumber": 1, "ETag": answers[-1]["ETag"]}]}
    answers.append(s3.complete_multipart_upload(**upload, MultipartUpload=parts))

    assert ["AES256"] * 8 == [answer.get("ServerSideEncryption") for answer in answers]


# --- malformed ids


BY_VERSION = [
    ("get_object", {}),
    ("delete_object", {}),
    ("get_object_tagging", {}),
    ("put_object_tagging", {"Tagging": {"TagSet": []}}),
    ("delete_object_tagging", {}),
    ("get_object_attributes", {"ObjectAttributes": ["ETag"]}),
]


@pytest.mark.parametrize(("operation", "more"), BY_VERSION)
@pytest.mark.parametrize("version_id", ["abc", "A" * 32, "Eyn7lxdGE1WU1SU6QTbW1X6cbSIIRY0R", "NULL"])
def test_an_id_that_no_version_can_have_is_refused(s3, shop, operation, more, version_id):
    s3.put_object(Bucket="b-1", Key="k", Body=b"x")
    expected = invalid("Invalid version id specified", "versionId", version_id)

    assert expected == refused(getattr(s3, operation), Bucket="b-1", Key="k", VersionId=version_id, **more)
    assert 1 == shop.store.buckets["b-1"].latest("k").size


@pytest.mark.parametrize(("operation", "more"), [one for one in BY_VERSION if one[0] != "delete_object"])
def test_an_id_that_a_version_could_have_is_of_no_version(s3, operation, more):
    status, error = refused(getattr(s3, operation), Bucket="b-1", Key="k", VersionId=UNKNOWN, **more)

    assert (404, "NoSuchVersion") == (status, error["Code"])


def test_head_of_an_id_that_no_version_can_have_is_400_without_a_body(shop):
    answer = shop.ask("HEAD", "/b-1/k?versionId=abc")

    assert (400, b"") == (answer.status, answer.body)


@pytest.mark.parametrize("operation", ["copy_object", "upload_part_copy"])
def test_so_it_is_in_a_copys_source(s3, operation):
    s3.put_object(Bucket="b-1", Key="k")
    upload = s3.create_multipart_upload(Bucket="b-1", Key="k")["UploadId"]
    more = {"UploadId": upload, "PartNumber": 1} if operation == "upload_part_copy" else {}
    call = getattr(s3, operation)
    own = {"Bucket": "b-1", "Key": "k", **more}
    status, error = refused(call, **own, CopySource="b-1/k?versionId=abc")
    unknown = refused(call, **own, CopySource=f"b-1/k?versionId={UNKNOWN}")

    assert (400, "Invalid version id specified") == (status, error["Message"])
    assert (404, "NoSuchVersion") == (unknown[0], unknown[1]["Code"])


def test_delete_objects_tells_of_an_id_that_no_version_can_have(s3, shop):
    s3.put_object(Bucket="b-1", Key="k")
    keys = [{"Key": "k", "VersionId": "abc"}, {"Key": "k", "VersionId": UNKNOWN}]
    answer = s3.delete_objects(Bucket="b-1", Delete={"Objects": keys})

    message = "The specified version does not exist."
    assert [{"Key": "k", "VersionId": "abc", "Code": "NoSuchVersion", "Message": message}] == answer["Errors"]
    assert [{"Key": "k", "VersionId": UNKNOWN}] == answer["Deleted"]
    assert shop.store.buckets["b-1"].latest("k") is not None
