"""Where a value stands decides how it is decoded, and whether it binds; and how text goes into headers."""

import re
from urllib.parse import quote

import anyio.to_thread
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from engine.services.s3.blob_store import EMPTY
from engine.services.s3.model import ObjectVersion
from engine.services.s3.object_metadata import metadata_of, object_head

EMPTY_CRC32 = "AAAAAA=="  # what JavaScript SDKs since 3.729 put into the URL: the checksum of no body
BOUND = {
    "x-amz-checksum-crc32": EMPTY_CRC32,
    "x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "x-amz-sdk-checksum-algorithm": "CRC32",
    "x-amz-trailer": "x-amz-checksum-crc32",
    "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}
UPLOAD = {"x-amz-checksum-algorithm": "CRC32"}


def begun(shop, headers=()):
    return shop.ask("POST", "/b-1/k?uploads", headers=headers).text("UploadId")[0]


@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("target", ["/b-1/k?x=", "/b-1/k?partNumber=1&uploadId=", "/b-1/k?tagging&x="])
def test_what_is_said_of_the_body_binds_in_a_header_and_not_in_the_query(shop, name, target):
    """PutObject, UploadPart, and an operation with a document."""
    shop.ask("PUT", "/b-1/k", b"before")
    upload_id = begun(shop)
    body = b"<Tagging><TagSet></TagSet></Tagging>" if "tagging" in target else b"hello"
    target = f"{target}{upload_id}" if "upload" in target else target
    in_query = shop.ask("PUT", f"{target}&{name}={quote(BOUND[name], safe='')}", body)
    in_upper_case = shop.ask("PUT", f"{target}&{name.title()}={quote(BOUND[name], safe='')}", body)
    in_header = shop.ask("PUT", target, body, {name: BOUND[name]})

    assert (200, 200) == (in_query.status, in_upper_case.status)
    assert not any(header.startswith("x-amz-checksum") for header in in_query.headers)
    if name != "x-amz-trailer":
        assert 400 == in_header.status


def test_a_query_is_no_digest_where_one_is_required(shop):
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    answer = shop.ask("POST", f"/b-1?delete&x-amz-checksum-crc32={quote(EMPTY_CRC32)}", body)

    assert (400, "InvalidRequest") == (answer.status, answer.code)


def test_other_parameters_of_a_presigned_url_stand_for_headers(shop):
    shop.ask("PUT", "/b-1/k?x-amz-meta-a=1&X-Amz-Tagging=t%3D1&x-amz-storage-class=GLACIER_IR", b"hello")
    begun_with = shop.ask("POST", "/b-1/m?uploads&x-amz-checksum-algorithm=CRC32")
    got = shop.ask("HEAD", "/b-1/k")

    assert ("1", "1", "GLACIER_IR") == tuple(
        got.headers[name] for name in ("x-amz-meta-a", "x-amz-tagging-count", "x-amz-storage-class")
    )
    assert "CRC32" == begun_with.headers["x-amz-checksum-algorithm"]


@pytest.mark.parametrize(
    ("source", "found"),
    [("b-1/a+b", b"space"), ("b-1/a%20b", b"space"), ("b-1/a%2Bb", b"plus"), ("b-1%2Fa%2Bb", b"plus")],
)
@pytest.mark.parametrize("operation", ["copy", "part"])
def test_a_copy_source_is_decoded_like_a_form(shop, source, found, operation):
    shop.ask("PUT", "/b-1/a%20b", b"space")
    shop.ask("PUT", "/b-1/a%2Bb", b"plus")
    if operation == "copy":
        shop.ask("PUT", "/b-1/copied", headers={"x-amz-copy-source": source})
    else:
        upload = f"/b-1/copied?uploadId={shop.ask('POST', '/b-1/copied?uploads').text('UploadId')[0]}"
        etag = shop.ask("PUT", f"{upload}&partNumber=1", headers={"x-amz-copy-source": source}).text("ETag")
        part = f"<Part><PartNumber>1</PartNumber><ETag>{etag[0]}</ETag></Part>"
        shop.ask("POST", upload, f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode())

    assert found == shop.ask("GET", "/b-1/copied").body


@pytest.mark.parametrize(
    "target",
    [
        "?list-type=2&prefix=a%20&start-after=a%20",
        "?prefix=a%20&marker=a%20",
        "?versions&prefix=a%20&key-marker=a%20",
        "?uploads&prefix=a%20&key-marker=a%20",
    ],
)
def test_encoding_type_url_writes_a_space_as_a_plus(shop, target):
    """In every listing, and in every element that is encoded."""
    for key in ("a b+~*.txt", "a x/y z"):
        shop.ask("PUT", f"/b-1/{quote(key)}", b"hello")
        shop.ask("POST", f"/b-1/{quote(key)}?uploads")
    listed = shop.ask("GET", f"/b-1{target}&delimiter=%20z&encoding-type=url")

    assert ["a+b%2B%7E*.txt"] == listed.text("Key")
    assert ["a+", "a+x/y+z"] == listed.text("Prefix")
    assert ["+z"] == listed.text("Delimiter")
    assert b"<StartAfter>a+<" in listed.body or b"arker>a+<" in listed.body


def test_tags_named_twice_are_told_of_the_header(shop):
    headers = {"x-amz-tagging": "a=b&a=c"}
    shop.ask("PUT", "/b-1/k", b"hello")
    copied = {"x-amz-copy-source": "b-1/k", "x-amz-tagging-directive": "REPLACE"}
    answers = [
        shop.ask("PUT", "/b-1/t", b"hello", headers),
        shop.ask("POST", "/b-1/t?uploads", headers=headers),
        shop.ask("PUT", "/b-1/t", headers={**headers, **copied}),
    ]

    message = (
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without "
        "tag name duplicates."
    )
    for answer in answers:
        assert (400, "InvalidArgument", message) == answer.error
        assert ["x-amz-tagging"] == answer.text("ArgumentName")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("bytes=0-10", "Range specified is not valid for source object of size: 10"),
        ("bytes=9-10", "Range specified is not valid for source object of size: 10"),
        ("bytes=0-", "The x-amz-copy-source-range value must be of the form bytes=first-last where first"),
        ("bytes=5-4", "The x-amz-copy-source-range value must be of the form bytes=first-last where first"),
    ],
)
def test_the_range_of_a_copied_part_is_told_of_by_its_size_or_by_its_form(shop, asked, message):
    shop.ask("PUT", "/b-1/source", b"0123456789")
    headers = {"x-amz-copy-source": "b-1/source", "x-amz-copy-source-range": asked}
    answer = shop.ask("PUT", f"/b-1/k?partNumber=1&uploadId={begun(shop)}", headers=headers)

    assert (400, "InvalidArgument", asked) == (*answer.error[:2], answer.text("ArgumentValue")[0])
    assert answer.error[2].startswith(message)


# --- text of keys in URLs


def completed(shop, key, headers=()):
    target = f"/{quote(key, safe='')}" if headers else f"/b-1/{quote(key, safe='')}"
    upload_id = shop.ask("POST", f"{target}?uploads", headers=headers).text("UploadId")[0]
    etag = shop.ask("PUT", f"{target}?partNumber=1&uploadId={upload_id}", b"x", headers).headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    return shop.ask("POST", f"{target}?uploadId={upload_id}", document, headers)


def posted(shop, key, headers=(), **fields):
    fields = {"key": key, "success_action_status": "201", **fields}
    request = requests.Request("POST", "http://x", data=fields, files={"file": b"x"}).prepare()
    sent = {"content-type": request.headers["content-type"], **dict(headers)}
    return shop.ask("POST", "/" if headers else "/b-1", request.body, sent)


@pytest.mark.parametrize(
    ("key", "encoded"),
    [("a/b c+d", "a%2Fb%20c%2Bd"), ("ä\r\nx: y", "%C3%A4%0D%0Ax%3A%20y"), ("b-1/k~", "b-1%2Fk~")],
)
@pytest.mark.parametrize("host", ["localhost:4566", "b-1.localhost:4566"])
def test_the_location_of_an_object_is_percent_encoded(shop, key, encoded, host):
    """Of what was completed and of what a form uploaded, in its document and in its header."""
    headers = {"host": host} if host.startswith("b-1") else {}
    where = f"http://{host}/{encoded}" if headers else f"http://{host}/b-1/{encoded}"
    form = posted(shop, key, headers)

    assert [where] == completed(shop, key, headers).text("Location") == form.text("Location")
    assert where == form.headers["location"]


def test_a_form_redirects_with_its_key_encoded(shop):
    answer = posted(shop, "a/ä b\nc", success_action_redirect="http://localhost/done?x=1")

    assert 303 == answer.status
    assert answer.headers["location"].startswith(
        "http://localhost/done?x=1&bucket=b-1&key=a%2F%C3%A4+b%0Ac&etag="
    )


# --- metadata outside ASCII


def test_metadata_outside_ascii_is_answered_as_encoded_words(shop):
    """The example of the User Guide, whose text came as UTF-8 and was read as Latin-1; and what is ASCII."""
    raw = "ÄMÄZÕÑ S3".encode().decode("latin-1")
    client_headers = {"x-amz-meta-ascii": "AMAZONS3"}
    shop.store.put(
        shop.store.buckets["b-1"],
        "k",
        EMPTY,
        "x",
        metadata_of({"x-amz-meta-nonascii": raw, **client_headers}),
    )
    got = shop.ask("HEAD", "/b-1/k").headers

    assert "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=" == got["x-amz-meta-nonascii"]
    assert "AMAZONS3" == got["x-amz-meta-ascii"]


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("=?UTF-8?B?w6RiYw==?=", "=?UTF-8?Q?=C3=A4bc?="),
        ("=?ISO-8859-1?Q?=E4_=3D?=", "=?UTF-8?Q?=C3=A4_=3D?="),
        ("=?UTF-8?Q?plain?=", "plain"),
        ("=?UTF-8?Q?abc=0D=0A?=", "=?UTF-8?Q?abc=0D=0A?="),
        ("=?nothing?Q?x?=", "=?nothing?Q?x?="),
        ("=?UTF-8?B?abcde?=", "=?UTF-8?B?abcde?="),
        ("a =? b", "a =? b"),
    ],
)
def test_encoded_words_are_decoded_when_they_come(shop, sent, answered):
    """By a header and by a form, and a copy has the same."""
    shop.ask("PUT", "/b-1/k", b"x", {"x-amz-meta-a": sent})
    shop.ask("PUT", "/b-1/copy", headers={"x-amz-copy-source": "b-1/k"})
    if "\r" not in answered and "=0D" not in answered:
        posted(shop, "form", **{"x-amz-meta-a": sent})
        assert answered == shop.ask("HEAD", "/b-1/form").headers["x-amz-meta-a"]

    assert [answered] * 2 == [shop.ask("HEAD", f"/b-1/{k}").headers["x-amz-meta-a"] for k in ("k", "copy")]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_every_text_comes_back_in_words_that_are_mail_safe(value):
    first = metadata_of({"x-amz-meta-a": value})
    answered = re.search(rb"x-amz-meta-a: (.*)\r\n", object_head(ObjectVersion("k", EMPTY, "", first)))[1]
    again = metadata_of({"x-amz-meta-a": answered.decode("ascii")})

    assert first.metadata == again.metadata
    if "=?" not in value and not (value.isascii() and value.isprintable()):
        assert all(len(word) <= 75 for word in answered.split(b" "))


# --- real clients


@pytest.mark.real_time
async def test_presigned_puts_of_sdks_with_default_checksums_work(serve, new_client):
    """JavaScript SDKs sign the checksum of an empty body into the URL, of objects and parts."""
    async with serve() as (_, url):
        client = new_client(url, signature_version="s3v4")

        def work():
            client.create_bucket(Bucket="photos")
            names = {"Bucket": "photos", "Key": "a b+c"}
            more = f"&x-amz-checksum-crc32={quote(EMPTY_CRC32)}&x-amz-sdk-checksum-algorithm=CRC32"
            upload = {**names, "UploadId": client.create_multipart_upload(**names)["UploadId"]}
            put = client.generate_presigned_url("put_object", names)
            part = client.generate_presigned_url("upload_part", {**upload, "PartNumber": 1})
            sent = [requests.put(target + more, data=b"hello", timeout=10) for target in (put, part)]
            wrong = requests.put(
                put + more, b"hello", headers={"x-amz-checksum-crc32": EMPTY_CRC32}, timeout=9
            )
            parts = [{"PartNumber": 1, "ETag": sent[1].headers["etag"]}]
            done = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            client.copy_object(Bucket="photos", Key="copy", CopySource=names)
            listed = [entry["Key"] for entry in client.list_objects_v2(Bucket="photos")["Contents"]]
            return [answer.status_code for answer in (*sent, wrong)], done["Location"], listed

        statuses, location, listed = await anyio.to_thread.run_sync(work)

    assert [200, 200, 400] == statuses
    assert f"{url}/photos/a%20b%2Bc" == location
    assert ["a b+c", "copy"] == listed


@pytest.mark.real_time
async def test_boto3_finds_awkward_keys_in_every_listing_copies_and_restores_them(serve, new_client):
    """Keys with spaces, pluses and line ends; boto3 asks for `encoding-type=url` and decodes what it gets."""
    keys = ["a b", "a+b", "a%20b", "line\r\nend", "~*"]

    async with serve() as (_, url):
        client = new_client(url)

        def work():
            client.create_bucket(Bucket="photos")
            names = {"Bucket": "photos"}
            for key in keys:
                client.put_object(**names, Key=key, Body=key.encode(), StorageClass="GLACIER")
                client.create_multipart_upload(**names, Key=key)
                restored = client.restore_object(**names, Key=key, RestoreRequest={"Days": 1})
                assert 202 == restored["ResponseMetadata"]["HTTPStatusCode"]
                assert 'ongoing-request="false"' in client.head_object(**names, Key=key)["Restore"]
                client.copy_object(**names, Key=f"copy {key}", CopySource={**names, "Key": key})
                assert key.encode() == client.get_object(**names, Key=f"copy {key}")["Body"].read()
            return [
                [entry["Key"] for entry in entries if not entry["Key"].startswith("copy ")]
                for entries in (
                    client.list_objects(**names)["Contents"],
                    client.list_objects_v2(**names)["Contents"],
                    client.list_object_versions(**names)["Versions"],
                    client.list_multipart_uploads(**names)["Uploads"],
                )
            ]

        listings = await anyio.to_thread.run_sync(work)

    assert [sorted(keys)] * 4 == listings
