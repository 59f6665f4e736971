"""Bodies in `aws-chunked` framing: what was framed comes out, and what is damaged is told by S3's errors."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.s3.body import decode
from engine.services.s3.errors import S3Error

MARK = b";chunk-signature=" + b"0" * 64
REFUSALS = {"IncompleteBody", "SignatureDoesNotMatch", "MalformedTrailerError"}
pieces = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
trailers = st.dictionaries(
    st.from_regex(r"x-amz-[a-z0-9-]{1,12}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    max_size=3,
)


def framed(chunks, mark=b"", trailing=(), end=b"\r\n"):
    """The chunks as a client sends them."""
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), mark, chunk) for chunk in chunks)
    lines = b"".join(f"{name}:{value}\r\n".encode() for name, value in dict(trailing).items())
    return body + b"0" + mark + b"\r\n" + lines + end


def outcome(body, length, **options):
    """How many bytes came out, or the error's code."""
    try:
        return len(decode(body, length, **options).data)
    except S3Error as error:
        return error.code


@given(pieces, trailers, st.booleans(), st.sampled_from([b"", b"\r\n"]))
def test_what_was_framed_comes_out(chunks, trailing, signed, end):
    data = b"".join(chunks)
    body = framed(chunks, MARK if signed else b"", trailing, end)

    assert (data, trailing) == decode(body, len(data), signed=signed, trailing=True)


@given(pieces, st.integers(0, 300), st.binary(max_size=3), st.booleans())
def test_damage_is_told_or_harmless(chunks, at, junk, signed):
    """Whatever is cut out or put in, the answer is the declared number of bytes or a refusal of S3's."""
    body, length = framed(chunks, MARK if signed else b""), sum(map(len, chunks))
    damaged = body[:at] + junk + body[at + len(junk) + 1 :]

    assert outcome(damaged, length, signed=signed, trailing=True) in {*REFUSALS, length}


@given(st.binary(max_size=100), st.integers(0, 50), st.booleans(), st.booleans())
def test_no_bytes_are_a_bug(body, length, signed, trailing):
    assert outcome(body, length, signed=signed, trailing=trailing) in {*REFUSALS, length}


def test_awss_own_example_is_read():
    """The 66,560 bytes in two chunks of "Transferring payload in multiple chunks", signed by its key."""
    key = b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for part in (b"20130524", b"us-east-1", b"s3", b"aws4_request"):
        key = hmac.digest(key, part, "sha256")
    signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    body, empty = b"", hashlib.sha256(b"").hexdigest()
    for chunk in (b"a" * 65_536, b"a" * 1024, b""):
        lines = ["AWS4-HMAC-SHA256-PAYLOAD", "20130524T000000Z", "20130524/us-east-1/s3/aws4_request"]
        lines += [signature, empty, hashlib.sha256(chunk).hexdigest()]
        signature = hmac.digest(key, "\n".join(lines).encode(), "sha256").hex()
        body += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), signature.encode(), chunk)

    assert "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9" == signature
    assert (b"a" * 66_560, {}) == decode(body, 66_560, signed=True, trailing=False)


@pytest.mark.parametrize(
    "body",
    [
        b"0\n\r\n",
        b"0x0\r\n\r\n",
        b" 0\r\n\r\n",
        b"+0\r\n\r\n",
        b"0;chunk-signature=\r\n\r\n",
        b"0;x=y\r\n\r\n",
    ],
)
def test_a_size_is_hexadecimal_digits_and_nothing_else(body):
    with pytest.raises(S3Error):
        decode(body, 0, signed=False, trailing=False)
