"""boto3, unchanged, against a store in memory and one in a folder, on a real socket."""

import hashlib
import io
import random

import anyio.to_thread
import pytest
import requests
from botocore.exceptions import ClientError

from engine.runtime.platform import offload_to_thread
from engine.services.s3.file_blob_store import FileBlobStore

pytestmark = pytest.mark.real_time

MB = 1024 * 1024
BIG = random.Random(7).randbytes(17 * MB)


@pytest.fixture(params=["memory", "folder"])
async def shop(request, serve, new_client, tmp_path):
    """A shop with the bucket `photos`, and boto3 for it: `shop.call("put_object", ...)`, awaited."""
    make = None
    if request.param == "folder":
        make = lambda: FileBlobStore(tmp_path, offload_to_thread)  # noqa: E731
    async with serve(make) as (shop, url):
        client = new_client(url)
        shop.url, shop.client = url, client

        async def run(work):
            return await anyio.to_thread.run_sync(work)

        async def call(operation, **arguments):
            def work():
                answer = getattr(client, operation)(**arguments)
                if hasattr(answer.get("Body"), "read"):
                    answer["Body"] = answer["Body"].read()
                return answer

            return await run(work)

        shop.run, shop.call = run, call
        await call("create_bucket", Bucket="photos")
        yield shop
        client.close()


async def failure(awaitable):
    """The error a call ends in: status and code."""
    with pytest.raises(ClientError) as caught:
        await awaitable
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


async def test_an_object_comes_back_as_it_was_put(shop):
    put = await shop.call(
        "put_object",
        Bucket="photos",
        Key="in/ä b+c.txt",
        Body=b"hello",
        ContentType="text/plain",
        CacheControl="no-store",
        Metadata={"origin": "test"},
        Tagging="team=shop&x=y%20z",
    )
    got = await shop.call("get_object", Bucket="photos", Key="in/ä b+c.txt")
    tags = await shop.call("get_object_tagging", Bucket="photos", Key="in/ä b+c.txt")

    assert '"5d41402abc4b2a76b9719d911017c592"' == put["ETag"] == got["ETag"]
    assert (b"hello", "text/plain", "no-store", {"origin": "test"}) == (
        got["Body"],
        got["ContentType"],
        got["CacheControl"],
        got["Metadata"],
    )
    assert "NhCmhg==" == put["ChecksumCRC32"] == got["ChecksumCRC32"]
    assert [{"Key": "team", "Value": "shop"}, {"Key": "x", "Value": "y z"}] == tags["TagSet"]
    assert 2 == got["TagCount"]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
async def test_every_checksum_is_checked_kept_and_given_back(shop, algorithm):
    put = await shop.call(
        "put_object", Bucket="photos", Key="k", Body=b"123456789", ChecksumAlgorithm=algorithm
    )
    head = await shop.call("head_object", Bucket="photos", Key="k", ChecksumMode="ENABLED")
    got = await shop.call("get_object", Bucket="photos", Key="k", ChecksumMode="ENABLED")

    member = f"Checksum{algorithm}"
    assert put[member] == head[member] == got[member]
    assert ("FULL_OBJECT", 9) == (head["ChecksumType"], head["ContentLength"])
    if algorithm == "CRC64NVME":
        assert "rosUhgp5mIg=" == put[member]


async def test_a_range_is_a_piece(shop):
    """From one byte to another, to the end, or the last ones; a range that begins behind the end is 416."""
    await shop.call("put_object", Bucket="photos", Key="k", Body=b"0123456789")
    pieces = {
        asked: (await shop.call("get_object", Bucket="photos", Key="k", Range=asked))
        for asked in ("bytes=2-4", "bytes=7-", "bytes=-2", "bytes=5-99")
    }

    assert [b"234", b"789", b"89", b"56789"] == [answer["Body"] for answer in pieces.values()]
    assert "bytes 2-4/10" == pieces["bytes=2-4"]["ContentRange"]
    assert (416, "InvalidRange") == await failure(
        shop.call("get_object", Bucket="photos", Key="k", Range="bytes=10-")
    )


async def test_large_files_go_up_and_down_in_parts(shop):
    def work():
        shop.client.upload_fileobj(io.BytesIO(BIG), "photos", "big")
        got = io.BytesIO()
        shop.client.download_fileobj("photos", "big", got)
        return got.getvalue()

    assert BIG == await shop.run(work)
    head = await shop.call("head_object", Bucket="photos", Key="big")
    part = await shop.call("get_object", Bucket="photos", Key="big", PartNumber=3)
    assert (len(BIG), True) == (head["ContentLength"], head["ETag"].endswith('-3"'))
    assert (3, BIG[16 * MB :]) == (part["PartsCount"], part["Body"])


async def test_copies_of_large_objects_are_whole(shop):
    """In parts, as boto3 copies them, and in one piece."""

    def work():
        shop.client.upload_fileobj(io.BytesIO(BIG), "photos", "big")
        shop.client.copy({"Bucket": "photos", "Key": "big"}, "photos", "parts")
        return shop.client.copy_object(Bucket="photos", Key="one", CopySource="photos/big")

    copied = await shop.run(work)
    whole = await shop.call("get_object", Bucket="photos", Key="parts")

    assert f'"{hashlib.md5(BIG).hexdigest()}"' == copied["CopyObjectResult"]["ETag"]
    assert BIG == whole["Body"]


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "SHA256"])
async def test_a_multipart_upload_has_the_checksum_of_its_kind(shop, algorithm):
    names = {"Bucket": "photos", "Key": "k"}
    begun = await shop.call("create_multipart_upload", **names, ChecksumAlgorithm=algorithm)
    upload = {**names, "UploadId": begun["UploadId"]}
    parts = []
    for number, data in enumerate((BIG[: 5 * MB], b"tail"), 1):
        done = await shop.call(
            "upload_part", **upload, PartNumber=number, Body=data, ChecksumAlgorithm=algorithm
        )
        member = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": done["ETag"], member: done[member]})
    listed = await shop.call("list_parts", **upload)
    done = await shop.call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})

    assert [1, 2] == [part["PartNumber"] for part in listed["Parts"]]
    assert ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE") == done["ChecksumType"]
    if algorithm == "CRC64NVME":
        put = await shop.call(
            "put_object", Bucket="photos", Key="x", Body=BIG[: 5 * MB] + b"tail", ChecksumAlgorithm=algorithm
        )
        assert put["ChecksumCRC64NVME"] == done["ChecksumCRC64NVME"]
    else:
        assert done["ChecksumSHA256"].endswith("-2")


async def test_multipart_mistakes_are_told_in_awss_words(shop):
    names = {"Bucket": "photos", "Key": "k"}
    upload = {**names, "UploadId": (await shop.call("create_multipart_upload", **names))["UploadId"]}
    tags = [
        (await shop.call("upload_part", **upload, PartNumber=number, Body=b"small"))["ETag"]
        for number in (1, 2)
    ]

    async def complete(*parts):
        listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return await failure(
            shop.call("complete_multipart_upload", **upload, MultipartUpload={"Parts": listed})
        )

    assert (400, "EntityTooSmall") == await complete((1, tags[0]), (2, tags[1]))
    assert (400, "InvalidPart") == await complete((3, tags[0]))
    assert (400, "InvalidPart") == await complete((1, '"00000000000000000000000000000000"'))
    assert (400, "InvalidPartOrder") == await complete((2, tags[1]), (1, tags[0]))
    await shop.call("abort_multipart_upload", **upload)
    assert (404, "NoSuchUpload") == await complete((1, tags[0]))
    assert (404, "NoSuchKey") == await failure(shop.call("get_object", **names))


async def test_deleting_many_keys_takes_one_request(shop):
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        await shop.call("put_object", Bucket="photos", Key=key, Body=b"x")
    listed = [{"Key": key} for key in (*keys, "never")]
    done = await shop.call("delete_objects", Bucket="photos", Delete={"Objects": listed})

    assert (*keys, "never") == tuple(one["Key"] for one in done["Deleted"])
    assert "Contents" not in await shop.call("list_objects_v2", Bucket="photos")


async def test_what_is_not_there_is_told(shop):
    """As error of its kind; to delete a key that is not there is no error."""
    assert (404, "NoSuchBucket") == await failure(shop.call("list_objects_v2", Bucket="no-such-bucket"))
    assert (404, "NoSuchKey") == await failure(shop.call("get_object", Bucket="photos", Key="no"))
    assert (404, "404") == await failure(shop.call("head_object", Bucket="photos", Key="no"))
    await shop.call("put_object", Bucket="photos", Key="k", Body=b"")
    assert (409, "BucketNotEmpty") == await failure(shop.call("delete_bucket", Bucket="photos"))
    assert (
        204
        == (await shop.call("delete_object", Bucket="photos", Key="no"))["ResponseMetadata"]["HTTPStatusCode"]
    )


async def test_conditions_hold(shop):
    """If-Match and If-None-Match, of reads and writes."""
    names = {"Bucket": "photos", "Key": "k"}
    put = await shop.call("put_object", **names, Body=b"1", IfNoneMatch="*")

    assert (412, "PreconditionFailed") == await failure(
        shop.call("put_object", **names, Body=b"2", IfNoneMatch="*")
    )
    assert (412, "PreconditionFailed") == await failure(
        shop.call("put_object", **names, Body=b"2", IfMatch='"00"')
    )
    assert (304, "304") == await failure(shop.call("get_object", **names, IfNoneMatch=put["ETag"]))
    assert (412, "PreconditionFailed") == await failure(shop.call("get_object", **names, IfMatch='"0"'))
    await shop.call("put_object", **names, Body=b"2", IfMatch=put["ETag"])


async def test_a_presigned_url_needs_no_credentials(shop, new_client):
    for version in ("s3", "s3v4"):
        signer = new_client(shop.url, signature_version=version)
        names = {"Bucket": "photos", "Key": "a b"}
        put = signer.generate_presigned_url("put_object", Params=names)
        get = signer.generate_presigned_url("get_object", Params=names)

        def work(put=put, get=get):
            return requests.put(put, data=b"signed", timeout=60), requests.get(get, timeout=60)

        answers = await shop.run(work)
        assert [(200, b""), (200, b"signed")] == [(a.status_code, a.content) for a in answers]


async def test_a_form_upload_is_an_object(shop):
    """With the name of the file in its key, and only within the sizes of the policy."""
    form = shop.client.generate_presigned_post(
        "photos",
        "in/${filename}",
        Fields={"success_action_status": "201", "x-amz-meta-origin": "form"},
        Conditions=[
            ["content-length-range", 1, 100],
            {"success_action_status": "201"},
            {"x-amz-meta-origin": "form"},
        ],
    )

    def post(data):
        return requests.post(
            form["url"], data=form["fields"], files={"file": ("cat.jpg", data, "image/jpeg")}, timeout=60
        )

    done = await shop.run(lambda: post(b"\r\n--meow\r\n"))
    refused = await shop.run(lambda: post(b"x" * 101))
    got = await shop.call("get_object", Bucket="photos", Key="in/cat.jpg")

    assert (201, True) == (done.status_code, "<Key>in/cat.jpg</Key>" in done.text)
    assert (b"\r\n--meow\r\n", {"origin": "form"}) == (got["Body"], got["Metadata"])
    assert (400, True) == (refused.status_code, "EntityTooLarge" in refused.text)


async def test_listings_come_in_pages(shop):
    for number in range(7):
        await shop.call("put_object", Bucket="photos", Key=f"a/{number}", Body=b"")
    await shop.call("put_object", Bucket="photos", Key="z", Body=b"")

    def walk(operation, **more):
        pages = shop.client.get_paginator(operation).paginate(
            Bucket="photos", PaginationConfig={"PageSize": 3}, **more
        )
        return [[one["Key"] for one in page.get("Contents", ())] for page in pages]

    expected = [["a/0", "a/1", "a/2"], ["a/3", "a/4", "a/5"], ["a/6", "z"]]
    assert expected == await shop.run(lambda: walk("list_objects_v2"))
    assert expected == await shop.run(lambda: walk("list_objects"))
    folded = await shop.call("list_objects_v2", Bucket="photos", Delimiter="/", MaxKeys=1)
    assert [{"Prefix": "a/"}] == folded["CommonPrefixes"]


async def test_https_style_uploads_in_aws_chunks_are_read(shop):
    """What boto3 does over https, framed by hand: trailing checksum, no digest of the whole."""
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    headers = {
        "content-encoding": "gzip,aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "5",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    done = await shop.run(
        lambda: requests.put(f"{shop.url}/photos/k", data=iter([body]), headers=headers, timeout=60)
    )
    got = await shop.call("head_object", Bucket="photos", Key="k", ChecksumMode="ENABLED")

    assert 200 == done.status_code
    assert (5, "gzip", "NhCmhg==") == (got["ContentLength"], got["ContentEncoding"], got["ChecksumCRC32"])


async def test_the_bucket_may_stand_in_the_host(shop):
    port = shop.url.rpartition(":")[2]

    def work():
        headers = {"host": f"photos.localhost:{port}"}
        put = requests.put(f"{shop.url}/a/k", data=b"virtual", headers=headers, timeout=60)
        return put, requests.get(f"{shop.url}/?list-type=2", headers=headers, timeout=60)

    put, listed = await shop.run(work)
    got = await shop.call("get_object", Bucket="photos", Key="a/k")

    assert (200, b"virtual") == (put.status_code, got["Body"])
    assert "<Key>a/k</Key>" in listed.text
