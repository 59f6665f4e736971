"""Objects: conditions, ranges, parts, headers that are asked for, copies, deletions, forms that redirect."""

import base64
import hashlib
import zlib

import pytest

from engine.services.s3.errors import S3Error
from engine.services.s3.names import Hosts
from engine.services.s3.preconditions import asked_range

ETAG = hashlib.md5(b"0123456789").hexdigest()
BEFORE, AFTER = "Thu, 12 Mar 2020 00:00:00 GMT", "Sat, 14 Mar 2020 00:00:00 GMT"
NOW = "Fri, 13 Mar 2020 07:06:40 GMT"


@pytest.fixture
def kept(shop):
    """A shop with the object `k`, of 13 March 2020."""
    shop.ask(
        "PUT", "/b-1/k", b"0123456789", {"x-amz-meta-a": "1", "x-amz-tagging": "t=1", "content-type": "a/b"}
    )
    return shop


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": f'"{ETAG}"'}, 200),
        ({"if-match": f'"00", {ETAG}'}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"00"'}, 412),
        ({"if-none-match": f'W/"{ETAG}"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"00"'}, 200),
        ({"if-modified-since": NOW}, 304),
        ({"if-modified-since": AFTER}, 200),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": AFTER}, 200),
        ({"if-match": f'"{ETAG}"', "if-unmodified-since": BEFORE}, 200),
        ({"if-none-match": '"00"', "if-modified-since": AFTER}, 200),
        ({"if-none-match": f'"{ETAG}"', "if-modified-since": BEFORE}, 304),
    ],
)
def test_a_read_is_conditional(kept, headers, status):
    """Two conditions of one kind: the ETag decides (API, GetObject)."""
    answer = kept.ask("GET", "/b-1/k", headers=headers)

    assert status == answer.status
    assert (status == 304) == (answer.body == b"" and answer.headers.get("etag") == f'"{ETAG}"')


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-0", 10, (0, 1, 10)),
        ("bytes=2-", 10, (2, 10, 10)),
        ("bytes=-3", 10, (7, 10, 10)),
        ("bytes=-30", 10, (0, 10, 10)),
        ("bytes=5-99999999999999999999", 10, (5, 10, 10)),
        ("bytes=1-2,4-5", 10, None),
        ("bytes=-", 10, None),
        ("bytes=5-4", 10, None),
        ("lines=1-2", 10, None),
        ("bytes=10-", 10, "InvalidRange"),
        ("bytes=-0", 10, "InvalidRange"),
        ("bytes=0-", 0, "InvalidRange"),
    ],
)
def test_a_range_is_one_that_can_be_or_is_not_looked_at(header, size, expected):
    """Several ranges and other units are ignored, as by S3."""
    try:
        found = asked_range({} if header is None else {"range": header}, size)
    except S3Error as error:
        found = error.code

    assert expected == found


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("?partNumber=1", {}, (206, None)),
        ("?partNumber=2", {}, (416, "InvalidPartNumber")),
        ("?partNumber=0", {}, (400, "InvalidArgument")),
        ("?partNumber=1", {"range": "bytes=0-1"}, (400, "InvalidRequest")),
    ],
)
def test_an_object_that_was_put_has_one_part(kept, target, headers, expected):
    answer = kept.ask("GET", f"/b-1/k{target}", headers=headers)

    assert expected == (answer.status, answer.code)


def test_an_empty_object_is_whole_as_a_part_too(shop):
    shop.ask("PUT", "/b-1/k", b"")

    assert 200 == shop.ask("GET", "/b-1/k?partNumber=1").status


def test_the_query_says_what_headers_are_to_be(kept):
    """`response-content-type` and its like; none that would break the header."""
    answer = kept.ask("GET", "/b-1/k?response-content-type=image/png&response-cache-control=no-store")

    assert ("image/png", "no-store", "1") == (
        answer.headers["content-type"],
        answer.headers["cache-control"],
        answer.headers["x-amz-meta-a"],
    )
    assert 400 == kept.ask("GET", "/b-1/k?response-expires=%0d%0a").status


@pytest.mark.parametrize(
    ("asked", "members"),
    [
        ("ETag,ObjectSize", ["ETag", "ObjectSize"]),
        ("StorageClass", ["StorageClass"]),
        ("Checksum,ObjectParts", []),
        ("", None),
        ("Weight", None),
    ],
)
def test_attributes_are_those_that_are_asked_for(kept, asked, members):
    answer = kept.ask("GET", "/b-1/k?attributes", headers={"x-amz-object-attributes": asked})
    known = ("ETag", "ObjectSize", "StorageClass", "Checksum", "PartsCount")

    assert (400 if members is None else 200) == answer.status
    assert (members or []) == [name for name in known if answer.text(name)]


@pytest.mark.parametrize(
    ("headers", "meta", "tags", "kind"),
    [
        ({}, "1", "1", "a/b"),
        ({"x-amz-meta-a": "2", "content-type": "c/d"}, "1", "1", "a/b"),
        (
            {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": "2", "content-type": "c/d"},
            "2",
            "1",
            "c/d",
        ),
        ({"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "t=2"}, "1", "2", "a/b"),
        ({"x-amz-tagging-directive": "REPLACE"}, "1", None, "a/b"),
    ],
)
def test_a_copy_says_what_its_source_says_or_what_it_is_told(kept, headers, meta, tags, kind):
    answer = kept.ask("PUT", "/b-1/copy", headers={"x-amz-copy-source": "b-1/k", **headers})
    copy = kept.store.buckets["b-1"].latest("copy").object_metadata

    assert (200, meta, tags, kind) == (
        answer.status,
        copy.metadata["a"],
        copy.tags.get("t"),
        copy.headers["content-type"],
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-amz-metadata-directive": "MAYBE"}, (400, "InvalidArgument")),
        ({"x-amz-copy-source-if-match": '"00"'}, (412, "PreconditionFailed")),
        ({"x-amz-copy-source-if-none-match": f'"{ETAG}"'}, (412, "PreconditionFailed")),
        ({"x-amz-copy-source-if-modified-since": NOW}, (412, "PreconditionFailed")),
        ({"x-amz-copy-source-if-modified-since": AFTER}, (200, None)),
        ({"x-amz-copy-source-if-unmodified-since": AFTER}, (200, None)),
        ({"x-amz-checksum-algorithm": "SHA256"}, (200, None)),
        ({"x-amz-checksum-algorithm": "ROT13"}, (400, "InvalidRequest")),
        ({"if-none-match": "*"}, (200, None)),
        ({"x-amz-copy-source": "%2Fb-1%2Fk"}, (200, None)),
        ({"x-amz-copy-source": "b-1/k?versionId=none"}, (400, "InvalidArgument")),
        ({"x-amz-copy-source": f"b-1/k?versionId={'a' * 32}"}, (404, "NoSuchVersion")),
        ({"x-amz-copy-source": "/"}, (400, "InvalidArgument")),
    ],
)
def test_a_copy_is_made_only_if_it_can_be(kept, headers, expected):
    answer = kept.ask("PUT", "/b-1/copy", headers={"x-amz-copy-source": "b-1/k", **headers})

    assert expected == (answer.status, answer.code)
    assert (expected[0] == 200) == ("copy" in kept.store.buckets["b-1"].keys)
    if headers.get("x-amz-checksum-algorithm") == "SHA256":
        assert [_b64(hashlib.sha256(b"0123456789").digest())] == answer.text("ChecksumSHA256")


def test_deleting_may_depend_on_the_etag(kept):
    one = kept.ask("DELETE", "/b-1/k", headers={"if-match": '"00"'})
    body = b"<Delete><Object><Key>k</Key><ETag>00</ETag></Object><Object><Key>k</Key></Object></Delete>"
    many = kept.ask(
        "POST", "/b-1?delete", body, {"x-amz-checksum-crc32": _b64(zlib.crc32(body).to_bytes(4, "big"))}
    )

    assert 412 == one.status
    assert (["PreconditionFailed"], 1) == (many.text("Code"), many.body.count(b"<Deleted>"))


def _b64(digest):
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("fields", "status", "location"),
    [
        (
            [("success_action_redirect", "http://x.org/done?a=b")],
            303,
            "http://x.org/done?a=b&bucket=b-1&key=up&etag=%22",
        ),
        ([("success_action_redirect", "javascript:alert(1)")], 204, "http://localhost:4566/b-1/up"),
        ([("success_action_redirect", "http://[")], 204, None),
        ([("success_action_status", "200")], 200, "http://localhost:4566/b-1/up"),
        ([("success_action_status", "299")], 204, "http://localhost:4566/b-1/up"),
    ],
)
def test_a_form_answers_as_it_says(shop, fields, status, location):
    """By its status, or by a redirect."""
    parts = [*fields, ("key", "up"), ("file", "x")]
    body = "".join(f'--X\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts)
    headers = {"content-type": "multipart/form-data; boundary=X"}
    answer = shop.ask("POST", "/b-1", f"{body}--X--\r\n".encode(), headers)

    assert status == answer.status
    assert (answer.headers.get("location") or "").startswith(location or "")
    assert b"x" == shop.ask("GET", "/b-1/up").body


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        (b"localhost:4566", None),
        (b"127.0.0.1:4566", None),
        (b"[::1]:4566", None),
        (b"photos.localhost:4566", "photos"),
        (b"a.b.localhost", "a.b"),
        (b"photos.s3.localhost.", "photos"),
        (b"PHOTOS.LocalHost", "photos"),
        (b"photos.s3.amazonaws.com", "photos"),
        (b"photos.s3.eu-west-1.amazonaws.com", "photos"),
        (b"photos.s3.dualstack.eu-west-1.amazonaws.com", "photos"),
        (b"s3.eu-west-1.amazonaws.com", None),
        (b"minio.internal", None),
        (b"", None),
    ],
)
def test_the_host_may_name_the_bucket(host, bucket):
    assert bucket == Hosts().bucket(host)


def test_buckets_have_a_region(shop):
    region = b"<LocationConstraint>eu-west-1</LocationConstraint>"
    body = b"<CreateBucketConfiguration>%b</CreateBucketConfiguration>" % region
    made = shop.ask("PUT", "/elsewhere", body)
    again = shop.ask("PUT", "/elsewhere", body)
    classic = shop.ask("PUT", "/b-1")

    assert [200, 409, 200] == [one.status for one in (made, again, classic)]
    assert shop.ask("GET", "/elsewhere?location").body.endswith(b'">eu-west-1</LocationConstraint>')
    assert shop.ask("GET", "/b-1?location").body.endswith(b'"></LocationConstraint>')
    assert "eu-west-1" == shop.ask("HEAD", "/elsewhere").headers["x-amz-bucket-region"]
