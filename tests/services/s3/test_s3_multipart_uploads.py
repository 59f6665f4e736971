"""Multipart uploads: what their checksums may be, what is listed of them, and mistakes."""

import base64
import hashlib
import zlib

import pytest


def b64(digest):
    return base64.b64encode(digest).decode()


CRC32 = b64(zlib.crc32(b"part").to_bytes(4, "big"))
SHA256 = b64(hashlib.sha256(b"part").digest())
COMPOSITE = b64(hashlib.sha256(hashlib.sha256(b"part").digest()).digest()) + "-1"


def begin(shop, key="k", **headers):
    """The id of a new upload."""
    answer = shop.ask(
        "POST", f"/b-1/{key}?uploads", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    assert 200 == answer.status, answer.body
    [upload_id] = answer.text("UploadId")
    return upload_id


def part(shop, upload_id, number=1, body=b"part", key="k", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.ask("PUT", f"/b-1/{key}?partNumber={number}&uploadId={upload_id}", body, headers)


def complete(shop, upload_id, *parts, headers=(), member=""):
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{member}</Part>" for number, etag in parts
    )
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    return shop.ask("POST", f"/b-1/k?uploadId={upload_id}", body, headers)


ETAG = hashlib.md5(b"part").hexdigest()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (200, None)),
        ({"x-amz-checksum-algorithm": "sha256"}, (200, None)),
        ({"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}, (200, None)),
        ({"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"}, (400, "InvalidRequest")),
        ({"x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT"}, (400, "InvalidRequest")),
        (
            {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"},
            (400, "InvalidRequest"),
        ),
        ({"x-amz-checksum-type": "COMPOSITE"}, (400, "InvalidRequest")),
        ({"x-amz-checksum-algorithm": "ROT13"}, (400, "InvalidRequest")),
        ({"x-amz-checksum-algorithm": "XXHASH64"}, (501, "NotImplemented")),
    ],
)
def test_the_checksum_of_an_upload_must_be_one_that_can_be(shop, headers, expected):
    answer = shop.ask("POST", "/b-1/k?uploads", headers=headers)

    assert expected == (answer.status, answer.code)
    assert (expected[0] == 200) == bool(shop.store.buckets["b-1"].uploads)


def test_parts_have_the_algorithm_of_their_upload(shop):
    upload_id = begin(shop, x_amz_checksum_algorithm="SHA256")
    wrong = part(shop, upload_id, x_amz_checksum_crc32=CRC32)

    assert (400, "InvalidRequest") == wrong.error[:2]
    assert "expected checksum Type: sha256, actual checksum Type: crc32" in wrong.error[2]


@pytest.mark.parametrize(
    ("algorithm", "kind", "sent", "value"),
    [("SHA256", "COMPOSITE", SHA256, COMPOSITE), ("CRC32", "FULL_OBJECT", CRC32, CRC32)],
)
def test_the_whole_has_a_checksum_too(shop, algorithm, kind, sent, value):
    """A wrong one is refused, the right one is kept and shown."""
    name = f"x-amz-checksum-{algorithm.lower()}"
    upload_id = begin(shop, x_amz_checksum_algorithm=algorithm, x_amz_checksum_type=kind)
    part(shop, upload_id, **{name: sent})
    member = f"<Checksum{algorithm}>{sent}</Checksum{algorithm}>"
    wrong = complete(shop, upload_id, (1, ETAG), headers={name: "AAAA"}, member=member)
    done = complete(shop, upload_id, (1, ETAG), headers={name: value}, member=member)
    head = shop.ask("HEAD", "/b-1/k", headers={"x-amz-checksum-mode": "ENABLED"}).headers

    assert (400, "BadDigest") == wrong.error[:2]
    assert (200, [kind], [value]) == (
        done.status,
        done.text("ChecksumType"),
        done.text(f"Checksum{algorithm}"),
    )
    assert (value, kind) == (head[name], head["x-amz-checksum-type"])


def test_every_part_of_a_composite_checksum_needs_its_own(shop):
    upload_id = begin(shop, x_amz_checksum_algorithm="SHA256")
    part(shop, upload_id)
    answer = complete(shop, upload_id, (1, ETAG))

    assert (400, "InvalidRequest") == answer.error[:2]
    assert "It was missing for part 1" in answer.error[2]


@pytest.mark.parametrize(
    ("parts", "headers", "member", "expected"),
    [
        ([(1, ETAG)], {}, "", (200, None)),
        ([(1, f'"{ETAG}"')], {}, "", (200, None)),
        ([(1, ETAG)], {"x-amz-mp-object-size": "4"}, "", (200, None)),
        ([(1, ETAG)], {"x-amz-mp-object-size": "5"}, "", (400, "InvalidRequest")),
        ([(1, ETAG)], {"if-none-match": "*"}, "", (412, "PreconditionFailed")),
        ([(1, ETAG)], {}, "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>", (400, "InvalidPart")),
        ([("one", ETAG)], {}, "", (400, "MalformedXML")),
        ([(1, "")], {}, "", (400, "MalformedXML")),
        ([], {}, "", (400, "MalformedXML")),
        ([(2, ETAG)], {}, "", (400, "InvalidPart")),
        ([(1, ETAG), (1, ETAG)], {}, "", (400, "InvalidPartOrder")),
    ],
)
def test_an_upload_is_completed_only_as_it_was_uploaded(shop, parts, headers, member, expected):
    shop.ask("PUT", "/b-1/k", b"before")
    upload_id = begin(shop)
    part(shop, upload_id, x_amz_checksum_crc32=CRC32)
    answer = complete(shop, upload_id, *parts, headers=headers, member=member)

    assert expected == (answer.status, answer.code)
    assert (b"part" if expected[0] == 200 else b"before") == shop.ask("GET", "/b-1/k").body
    assert (expected[0] == 200) == (not shop.store.buckets["b-1"].uploads)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-3", (200, b"0123")),
        ("bytes=4-9", (200, b"456789")),
        ("bytes=4-10", (400, None)),
        ("bytes=4-", (400, None)),
        ("bytes=9-4", (400, None)),
        ("lines=1-2", (400, None)),
        ("bytes=10-11", (400, None)),
    ],
)
def test_a_part_may_be_a_piece_of_an_object(shop, asked, expected):
    shop.ask("PUT", "/b-1/source", b"0123456789")
    upload_id = begin(shop, x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="FULL_OBJECT")
    headers = {"x_amz_copy_source": "b-1/source", "x_amz_copy_source_range": asked}
    answer = part(shop, upload_id, body=b"", **headers)
    kept = shop.store.buckets["b-1"].uploads[upload_id].parts.get(1)

    assert expected == (answer.status, kept and kept.content.read())


def test_a_part_is_replaced_by_a_later_one_of_its_number(shop):
    upload_id = begin(shop)
    part(shop, upload_id, body=b"first")
    part(shop, upload_id)
    listed = shop.ask("GET", f"/b-1/k?uploadId={upload_id}")

    assert (["1"], ["4"], [f'"{ETAG}"'.replace('"', "&quot;")]) == (
        listed.text("PartNumber"),
        listed.text("Size"),
        [one.replace('"', "&quot;") for one in listed.text("ETag")],
    )


def test_parts_are_listed_in_pages(shop):
    upload_id = begin(shop, x_amz_checksum_algorithm="CRC32")
    for number in (3, 1, 2, 10):
        part(shop, upload_id, number, x_amz_checksum_crc32=CRC32)
    first = shop.ask("GET", f"/b-1/k?uploadId={upload_id}&max-parts=3")
    second = shop.ask("GET", f"/b-1/k?uploadId={upload_id}&max-parts=3&part-number-marker=3")

    assert (["1", "2", "3"], ["true"], ["3"]) == (
        first.text("PartNumber"),
        first.text("IsTruncated"),
        first.text("NextPartNumberMarker"),
    )
    assert (["10"], ["false"], ["CRC32"]) == (
        second.text("PartNumber"),
        second.text("IsTruncated"),
        second.text("ChecksumAlgorithm"),
    )


@pytest.fixture
def many(shop):
    """Uploads of the keys a/1 (twice), a/2, b and c/d, oldest first."""
    ids = [begin(shop, key) for key in ("a/1", "a/1", "a/2", "b", "c/d")]
    return shop, ids


@pytest.mark.parametrize(
    ("query", "keys", "prefixes", "more"),
    [
        ("", ["a/1", "a/1", "a/2", "b", "c/d"], [], "false"),
        ("&prefix=a/", ["a/1", "a/1", "a/2"], [], "false"),
        ("&delimiter=/", ["b"], ["a/", "c/"], "false"),
        ("&max-uploads=2", ["a/1", "a/1"], [], "true"),
        ("&delimiter=/&max-uploads=1", [], ["a/"], "true"),
        ("&delimiter=/&key-marker=a/", ["b"], ["c/"], "false"),
        ("&key-marker=a/1", ["a/2", "b", "c/d"], [], "false"),
        ("&max-uploads=0", [], [], "false"),
        ("&encoding-type=url&prefix=c", ["c/d"], [], "false"),
    ],
)
def test_uploads_are_listed_in_order_folded_and_cut(many, query, keys, prefixes, more):
    shop, _ = many
    answer = shop.ask("GET", f"/b-1?uploads{query}")
    folded = [one for one in answer.text("Prefix") if one.endswith("/")]
    asked = ["a/"] if "prefix=a" in query else []

    assert (keys, asked + prefixes, [more]) == (answer.text("Key"), folded, answer.text("IsTruncated"))


def test_a_page_of_uploads_may_end_between_two_of_one_key(many):
    """The marker of the id tells where."""
    shop, ids = many
    first = shop.ask("GET", "/b-1?uploads&max-uploads=1")
    [key], [upload_id] = first.text("NextKeyMarker"), first.text("NextUploadIdMarker")
    second = shop.ask("GET", f"/b-1?uploads&max-uploads=1&key-marker={key}&upload-id-marker={upload_id}")

    assert [[ids[0]], [ids[1]]] == [first.text("UploadId"), second.text("UploadId")]
