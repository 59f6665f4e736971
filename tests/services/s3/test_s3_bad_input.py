"""Bad input: S3's error for each, never a 500, and nothing changed."""

import base64
import hashlib
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.services.s3.operation_context import S3Limits

HELLO_MD5 = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
HELLO_CRC32 = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()
HELLO_SHA256 = hashlib.sha256(b"hello").hexdigest()
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CREDENTIAL = "X-Amz-Credential=AK/20200313/us-east-1/s3/aws4_request"
SIGNATURE = "X-Amz-SignedHeaders=host&X-Amz-Signature=0"
MARK = "chunk-signature=" + "0" * 64


ORIGIN, METHOD = "<AllowedOrigin>*</AllowedOrigin>", "<AllowedMethod>GET</AllowedMethod>"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("", "MalformedXML"),
        (ORIGIN, "MalformedXML"),
        (METHOD, "MalformedXML"),
        (ORIGIN + "<AllowedMethod>PATCH</AllowedMethod>", "InvalidRequest"),
        (METHOD + "<AllowedOrigin>http://*.*.test</AllowedOrigin>", "InvalidRequest"),
        (METHOD + ORIGIN + "<AllowedHeader>x-*-*</AllowedHeader>", "InvalidRequest"),
        (METHOD + ORIGIN + "<ExposeHeader>a\nb</ExposeHeader>", "MalformedXML"),
        (METHOD + ORIGIN + "<MaxAgeSeconds>-1</MaxAgeSeconds>", "MalformedXML"),
        (METHOD + ORIGIN + "<MaxAgeSeconds>soon</MaxAgeSeconds>", "MalformedXML"),
    ],
)
def test_a_cors_rule_that_cannot_be_changes_nothing(shop, rule, code):
    good = f"<CORSConfiguration><CORSRule>{METHOD}{ORIGIN}</CORSRule></CORSConfiguration>".encode()
    shop.ask("PUT", "/b-1?cors", good)
    before = shop.store.buckets["b-1"].cors
    bad = f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>"

    answer = shop.ask("PUT", "/b-1?cors", bad.encode())

    assert (400, code) == (answer.status, answer.code)
    assert before == shop.store.buckets["b-1"].cors


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-md5": HELLO_MD5}, (200, None)),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, (400, "BadDigest")),
        ({"content-md5": "nonsense"}, (400, "InvalidDigest")),
        ({"content-md5": ""}, (400, "InvalidDigest")),
        ({"x-amz-content-sha256": HELLO_SHA256}, (200, None)),
        ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, (200, None)),
        ({"x-amz-content-sha256": "0" * 64}, (400, "XAmzContentSHA256Mismatch")),
        ({"x-amz-content-sha256": "nonsense"}, (400, "InvalidArgument")),
        ({"x-amz-checksum-crc32": HELLO_CRC32}, (200, None)),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, (400, "BadDigest")),
        ({"x-amz-checksum-crc32": "AAAA"}, (400, "InvalidRequest")),
        ({"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, (400, "BadDigest")),
        ({"x-amz-checksum-sha1": "?"}, (400, "InvalidRequest")),
        (
            {"x-amz-checksum-crc32": HELLO_CRC32, "x-amz-checksum-crc32c": "AAAAAA=="},
            (400, "InvalidRequest"),
        ),
        ({"x-amz-checksum-sha512": "AAAA"}, (501, "NotImplemented")),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, (400, "InvalidRequest")),
        (
            {"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": HELLO_CRC32},
            (400, "InvalidRequest"),
        ),
        ({"content-length": None}, (411, "MissingContentLength")),
        ({"x-amz-storage-class": "CHEAP"}, (400, "InvalidStorageClass")),
        ({"x-amz-tagging": "a=1&a=2"}, (400, "InvalidArgument")),
        ({"x-amz-tagging": "a=%ff"}, (400, "InvalidArgument")),
        ({"x-amz-tagging": "&".join(f"k{n}=v" for n in range(11))}, (400, "BadRequest")),
        ({"x-amz-meta-long": "x" * 2048}, (400, "MetadataTooLarge")),
        ({"x-amz-object-lock-mode": "GOVERNANCE"}, (400, "InvalidArgument")),
        ({"x-amz-object-lock-legal-hold": "ON"}, (400, "InvalidRequest")),
        ({"if-none-match": '"abc"'}, (501, "NotImplemented")),
        ({"if-match": '"abc"'}, (404, "NoSuchKey")),
        ({"x-amz-copy-source": "b-1"}, (400, "InvalidArgument")),
        ({"x-amz-copy-source": "/b-1/none"}, (404, "NoSuchKey")),
        ({"x-amz-copy-source": "nowhere/none"}, (404, "NoSuchBucket")),
        ({"x-amz-copy-source": "b-1/%ff"}, (400, "InvalidURI")),
    ],
)
def test_a_put_is_taken_only_if_it_is_sound(shop, headers, expected):
    answer = shop.ask("PUT", "/b-1/k", b"hello", headers)

    assert expected == (answer.status, answer.code)
    assert (expected[0] == 200) == ("k" in shop.store.buckets["b-1"].keys)


@pytest.mark.parametrize(
    ("kind", "length", "body", "expected"),
    [
        (SIGNED, "5", f"5;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (200, None)),
        (SIGNED, "5", f"2;{MARK}\r\nhe\r\n3;{MARK}\r\nllo\r\n0;{MARK}\r\n\r\n", (200, None)),
        (SIGNED, "5", "5\r\nhello\r\n0\r\n\r\n", (403, "SignatureDoesNotMatch")),
        (SIGNED, "5", f"5;chunk-signature=12\r\nhello\r\n0;{MARK}\r\n\r\n", (403, "SignatureDoesNotMatch")),
        (SIGNED, "6", f"5;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (400, "IncompleteBody")),
        (SIGNED, "4", f"5;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (400, "IncompleteBody")),
        (SIGNED, "5", f"6;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (400, "IncompleteBody")),
        (SIGNED, "5", f"5;{MARK}\r\nhello\r\n", (400, "IncompleteBody")),
        (SIGNED, "5", f"-5;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (400, "IncompleteBody")),
        (SIGNED, "5", f"ffffffffffffffffff;{MARK}\r\nhello", (400, "IncompleteBody")),
        (SIGNED, "5", f"5;{MARK}\r\nhello\r\n0;{MARK}\r\nx-a:b\r\n\r\n", (400, "MalformedTrailerError")),
        (SIGNED, None, f"5;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (411, "MissingContentLength")),
        (SIGNED, "five", f"5;{MARK}\r\nhello\r\n0;{MARK}\r\n\r\n", (411, "MissingContentLength")),
        (SIGNED, "5", "", (400, "IncompleteBody")),
        (UNSIGNED, "5", f"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{HELLO_CRC32}\r\n\r\n", (200, None)),
        (UNSIGNED, "5", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", (400, "BadDigest")),
        (UNSIGNED, "5", "5\r\nhello\r\n0\r\n\r\n", (400, "MalformedTrailerError")),
        (UNSIGNED, "5", "5\r\nhello\r\n0\r\nno colon\r\n\r\n", (400, "MalformedTrailerError")),
    ],
)
def test_framed_bodies_are_taken_only_if_they_are_sound(shop, kind, length, body, expected):
    """Nothing of the others is stored."""
    headers = {"x-amz-content-sha256": kind, "x-amz-decoded-content-length": length}
    if kind == UNSIGNED:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    answer = shop.ask("PUT", "/b-1/k", body.encode(), headers)

    assert expected == (answer.status, answer.code)
    kept = shop.store.buckets["b-1"].latest("k")
    assert (b"hello" if expected[0] == 200 else None) == (kept and kept.content.read())


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("PUT", "/No_Such", b"", (400, "InvalidBucketName")),
        ("PUT", "/ab", b"", (400, "InvalidBucketName")),
        ("PUT", "/127.0.0.1", b"", (400, "InvalidBucketName")),
        ("PUT", "/a..b", b"", (400, "InvalidBucketName")),
        ("PUT", "/new-bucket", b"<nonsense", (400, "MalformedXML")),
        ("PUT", "/new-bucket", b"<Other/>", (400, "MalformedXML")),
        ("PUT", "/b-1?versioning", b"", (400, "MissingRequestBodyError")),
        (
            "PUT",
            "/b-1?versioning",
            b"<VersioningConfiguration/>",
            (400, "IllegalVersioningConfigurationException"),
        ),
        (
            "PUT",
            "/b-1?versioning",
            b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
            (400, "MalformedXML"),
        ),
        ("PUT", "/b-1?tagging", b"<Tagging/>", (400, "MalformedXML")),
        ("PUT", "/b-1?notification", b"<NotificationConfiguration>", (400, "MalformedXML")),
        (
            "PUT",
            "/b-1?tagging",
            b'<!DOCTYPE x [<!ENTITY a "b">]><Tagging><TagSet/></Tagging>',
            (400, "MalformedXML"),
        ),
        ("PUT", "/b-1?tagging", b"<a>" * 50_000, (400, "MalformedXML")),
        (
            "PUT",
            "/b-1?tagging",
            b'<?xml version="1.0" encoding="klingon"?><Tagging/>',
            (400, "MalformedXML"),
        ),
        ("POST", "/b-1?delete", b"<Delete/>", (400, "InvalidRequest")),
        ("POST", "/b-1", b"", (412, "PreconditionFailed")),
        ("POST", "/b-1/k?uploadId=none", b"", (404, "NoSuchUpload")),
        ("PUT", "/b-1/k?uploadId=none&partNumber=1", b"", (404, "NoSuchUpload")),
        ("PUT", "/b-1/k?uploadId=none", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?max-keys=many", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?max-keys=-1", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?encoding-type=rot13", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?list-type=2&continuation-token=zzz", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?versions&version-id-marker=x", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?prefix=%ff", b"", (400, "InvalidURI")),
        ("GET", "/b-1/%ff", b"", (400, "InvalidURI")),
        ("GET", "/b-1/" + "k" * 1025, b"", (400, "KeyTooLongError")),
        ("GET", "/b-1/k?versionId=none", b"", (400, "InvalidArgument")),
        ("GET", f"/b-1/k?versionId={'a' * 32}", b"", (404, "NoSuchVersion")),
        ("GET", "/b-1/k?versionId=", b"", (400, "InvalidArgument")),
        ("GET", "/b-1?policy", b"", (404, "NoSuchBucketPolicy")),
        ("GET", "/b-1?lifecycle", b"", (404, "NoSuchLifecycleConfiguration")),
        ("PUT", "/b-1?lifecycle", b"<x/>", (400, "MalformedXML")),
        ("PUT", "/b-1/k?renameObject", b"", (501, "NotImplemented")),
        ("POST", "/b-1/k?select&select-type=2", b"", (501, "NotImplemented")),
        ("GET", "/b-1/k?torrent", b"", (501, "NotImplemented")),
        ("GET", "/b-1?metadataTable", b"", (501, "NotImplemented")),
        ("PATCH", "/b-1/k", b"", (405, "MethodNotAllowed")),
        ("DELETE", "/", b"", (405, "MethodNotAllowed")),
        ("GET", "/nowhere", b"", (404, "NoSuchBucket")),
    ],
)
def test_each_mistake_has_its_error(shop, method, target, body, expected):
    answer = shop.ask(method, target, body)

    assert expected == (answer.status, answer.code)
    assert ["b-1"] == list(shop.store.buckets)
    assert [answer.headers["x-amz-request-id"]] == answer.text("RequestId")


def test_a_body_over_the_limit_is_refused_in_s3s_words(make_shop):
    shop = make_shop(limits=S3Limits(put_bytes=10))
    shop.ask("PUT", "/b-1")
    over = shop.ask("PUT", "/b-1/k", b"x" * 11)
    unread = shop.ask("PUT", "/b-1/k", b"", {"content-length": "9999"}, too_large=9999)
    framed = f"a;{MARK}\r\n0123456789\r\n0;{MARK}\r\n\r\n".encode()
    just = shop.ask(
        "PUT",
        "/b-1/k",
        framed,
        {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "10"},
    )

    assert (400, "EntityTooLarge", ["11"], ["10"]) == (
        over.status,
        over.code,
        over.text("ProposedSize"),
        over.text("MaxSizeAllowed"),
    )
    assert (400, "EntityTooLarge") == (unread.status, unread.code)
    assert 200 == just.status


def test_an_answer_over_the_limit_must_be_asked_for_in_ranges(make_shop):
    """Its headers and its pieces can be had."""
    shop = make_shop(limits=S3Limits(get_bytes=10))
    shop.ask("PUT", "/b-1")
    shop.ask("PUT", "/b-1/k", b"x" * 11)

    assert (501, "NotImplemented") == (shop.ask("GET", "/b-1/k").status, shop.ask("GET", "/b-1/k").code)
    assert 11 == len(shop.ask("HEAD", "/b-1/k").body)
    assert b"xx" == shop.ask("GET", "/b-1/k", headers={"range": "bytes=9-"}).body


@pytest.mark.parametrize(
    "query",
    [
        "?AWSAccessKeyId=AK&Signature=x&Expires=1584083199",
        f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&{CREDENTIAL}&X-Amz-Date=20200313T070000Z&X-Amz-Expires=60&{SIGNATURE}",
    ],
)
def test_an_expired_url_is_refused(shop, query):
    shop.ask("PUT", "/b-1/k", b"1")

    assert (403, "AccessDenied", "Request has expired") == shop.ask("GET", f"/b-1/k{query}").error


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("X-Amz-Expires=604801", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=-1", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=soon", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60&X-Amz-Date=today", "AuthorizationQueryParametersError"),
    ],
)
def test_a_url_signed_wrongly_is_refused(shop, query, expected):
    rest = "X-Amz-Algorithm=a&X-Amz-Credential=AK/1/us-east-1/s3/aws4_request&X-Amz-Signature=0"
    date = "" if "Date" in query else "&X-Amz-Date=20200313T070000Z"

    assert (400, expected) == shop.ask("GET", f"/b-1/k?{rest}&{query}{date}").error[:2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("X-Amz-Signature=0", (400, "AuthorizationQueryParametersError")),
        ("AWSAccessKeyId=AK&Signature=x", (403, "AccessDenied")),
        ("AWSAccessKeyId=AK&Signature=x&Expires=soon", (403, "AccessDenied")),
        ("AWSAccessKeyId=AK&Signature=x&Expires=1584083201", (200, None)),
        ("Signature=x", (200, None)),
    ],
)
def test_what_makes_a_url_a_signed_one_must_be_whole(shop, query, expected):
    """It has not expired either; `Signature` alone is a parameter like any other."""
    shop.ask("PUT", "/b-1/k", b"1")
    answer = shop.ask("GET", f"/b-1/k?{query}")

    assert expected == (answer.status, answer.code)


def form(*fields, boundary="XX"):
    """A form, its fields as given, the file last."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    return ("".join(parts) + f"--{boundary}--\r\n").encode(), {
        "content-type": f"multipart/form-data; boundary={boundary}"
    }


def policy(document):
    return base64.b64encode(document.encode()).decode()


def test_a_field_that_the_policy_does_not_name_is_refused(shop):
    """But for those that are to be ignored."""
    allowed = policy('{"expiration":"2030-01-01T00:00:00Z","conditions":[{"key":"k"}]}')
    answers = [
        shop.ask("POST", "/b-1", *form(("key", "k"), ("policy", allowed), (name, "x"), ("file", "x")))
        for name in ("x-amz-meta-a", "x-ignore-a", "X-Amz-Signature")
    ]

    assert [403, 204, 204] == [answer.status for answer in answers]
    assert "Invalid according to Policy: Extra input fields: x-amz-meta-a" == answers[0].error[2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("key", "k"), ("file", "x")], (204, None)),
        ([("file", "x")], (400, "InvalidArgument")),
        ([("key", "k")], (400, "InvalidArgument")),
        ([("key", "k" * 1025), ("file", "x")], (400, "KeyTooLongError")),
        ([("key", "k"), ("policy", "???"), ("file", "x")], (400, "InvalidPolicyDocument")),
        ([("key", "k"), ("policy", policy("[]")), ("file", "x")], (400, "InvalidPolicyDocument")),
        (
            [
                ("key", "k"),
                ("policy", policy('{"expiration":"2020-03-13T07:00:00Z","conditions":[]}')),
                ("file", "x"),
            ],
            (403, "AccessDenied"),
        ),
        (
            [
                ("key", "k"),
                (
                    "policy",
                    policy(
                        '{"expiration":"2030-01-01T00:00:00Z","conditions":[["starts-with","$key","in/"]]}'
                    ),
                ),
                ("file", "x"),
            ],
            (403, "AccessDenied"),
        ),
        (
            [
                ("key", "k"),
                (
                    "policy",
                    policy(
                        '{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b-1"},{"key":"k"}]}'
                    ),
                ),
                ("file", "x"),
            ],
            (204, None),
        ),
    ],
)
def test_a_form_is_held_against_its_policy(shop, fields, expected):
    """It can be read, has not expired, and its conditions hold; key and file are needed."""
    body, headers = form(*fields)
    answer = shop.ask("POST", "/b-1", body, headers)

    assert expected == (answer.status, answer.code)


methods = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"])
targets = st.one_of(
    st.binary(max_size=40).map(lambda raw: b"/" + raw),
    st.builds(
        lambda key, query: b"/b-1" + key + b"?" + query,
        st.sampled_from([b"", b"/", b"/k", b"/%41"]),
        st.lists(
            st.sampled_from(
                [
                    b"uploads",
                    b"uploadId=x",
                    b"partNumber=1",
                    b"delete",
                    b"versioning",
                    b"versions",
                    b"tagging",
                    b"acl",
                    b"notification",
                    b"list-type=2",
                    b"max-keys=0",
                    b"versionId=null",
                    b"location",
                    b"attributes",
                    b"prefix=%41",
                    b"delimiter=/",
                    b"marker=z",
                    b"x=%zz",
                    b"policy",
                    b"cors",
                ]
            ),
            max_size=4,
        ).map(b"&".join),
    ),
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"<Delete/>", b"<Tagging><TagSet><Tag/></TagSet></Tagging>", b"<Tagging><TagSet/></Tagging>",
         b"<NotificationConfiguration/>", b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
         b"<NotificationConfiguration><QueueConfiguration/></NotificationConfiguration>",
         b"<Delete><Object><Key>k</Key></Object></Delete>",
         b"<CORSConfiguration><CORSRule/></CORSConfiguration>"]
    ),
)  # fmt: skip
header_values = st.dictionaries(
    st.sampled_from(
        ["range", "if-match", "x-amz-meta-a", "cache-control",
         "if-none-match", "if-modified-since", "x-amz-copy-source", "content-md5",
         "x-amz-content-sha256", "x-amz-tagging", "x-amz-checksum-crc32", "x-amz-checksum-algorithm",
         "x-amz-trailer", "x-amz-decoded-content-length", "content-type", "host", "x-amz-object-attributes",
         "x-amz-copy-source-range", "x-amz-checksum-type", "x-amz-mp-object-size"]
    ),
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        st.sampled_from(["b-1/k", "bytes=0-", "bytes=-1", SIGNED, UNSIGNED, "CRC32",
                         "multipart/form-data; boundary=X"]),
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=300)
@given(method=methods, target=targets, body=bodies, headers=header_values)
def test_no_request_is_a_bug(make_shop, method, target, body, headers):
    """Any method, target, headers and body: an answer below 500, or 501; the store goes on."""
    shop = make_shop()
    shop.ask("PUT", "/b-1")
    shop.ask("PUT", "/b-1/k", b"hello")
    if any(byte <= 32 or byte > 126 for byte in target):
        return  # no HTTP server hands on such a target
    answer = shop.ask(method, target, body, headers)
    after = [shop.ask("GET", "/b-1?versions&encoding-type=url"), shop.ask("GET", "/b-1/k")]

    assert 200 <= answer.status < 500 or 501 == answer.status
    assert "b-1" in shop.store.buckets or "DELETE" == method
    assert {one.status for one in after} <= {200, 404}


names = st.sampled_from(
    ["key", "policy", "tagging", "success_action_status", "success_action_redirect",
     "x-amz-checksum-crc32", "acl",
     "x-amz-storage-class", "x-amz-meta-a", "content-type", "x-amz-algorithm"]
)  # fmt: skip
values = st.text(max_size=8) | st.sampled_from(
    ["k", "${filename}", "201", "http://x/?a=b", "http://[", "<Tagging><TagSet/></Tagging>", policy("{}"),
     policy('{"expiration":"2030-01-01T00:00:00Z","conditions":[["eq","$key","k"],{"a":1}]}'),
     policy('{"expiration":"2030-01-01T00:00:00Z","conditions":[["content-length-range",0,"x"]]}'),
     policy('{"expiration":"never","conditions":7}')]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(st.tuples(names, values), max_size=4), st.integers(0, 400), st.binary(max_size=3))
def test_no_form_is_a_bug(make_shop, fields, at, junk):
    """Whole, or with some bytes overwritten."""
    shop = make_shop()
    shop.ask("PUT", "/b-1")
    body, headers = form(*fields, ("file", "x"))
    answers = [shop.ask("POST", "/b-1", one, headers) for one in (body, body[:at] + junk + body[at + 1 :])]
    answers += [shop.ask("GET", "/b-1/k"), shop.ask("GET", "/b-1?versions&encoding-type=url")]

    assert all(one.status < 500 for one in answers)


@pytest.mark.parametrize("value", ["ä\u20ac", "a\nb", "a\r\nx-evil: 1", "\x00", "x" * 3000])
@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "content-type", "x-amz-meta-\u20ac", "cache-control", "x-amz-tagging"]
)
def test_a_form_cannot_say_what_no_header_could(shop, name, value):
    """Or else the object could never be read again."""
    body, headers = form(("key", "k"), (name, value), ("file", "x"))
    posted = shop.ask("POST", "/b-1", body, headers)
    got = shop.ask("GET", "/b-1/k")
    listed = shop.ask("GET", "/b-1")

    assert posted.status in (204, 400)
    assert (200 if posted.status == 204 else 404, 200) == (got.status, listed.status)
    assert "x-evil" not in got.headers


def test_a_query_string_cannot_say_what_no_header_could(shop):
    """A line break in it would end the header it becomes."""
    put = shop.ask("PUT", "/b-1/k?x-amz-meta-a=1%0D%0Ax-evil:%201", b"")
    fine = shop.ask("PUT", "/b-1/k?x-amz-meta-a=1", b"")

    assert [(400, "InvalidArgument"), (200, None)] == [(one.status, one.code) for one in (put, fine)]
    assert "1" == shop.ask("HEAD", "/b-1/k").headers["x-amz-meta-a"]
