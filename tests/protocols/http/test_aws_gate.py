"""One pass over the headers says whose request it is, and whether there is more to look at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.message import Request
from engine.protocols.http.request_gate import RequestGate, marks_of

SIGNED = "AWS4-HMAC-SHA256 Credential=k/20261129/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
NAMES = (
    "host",
    "Host",
    "origin",
    "ORIGIN",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "User-Agent",
    "Authorization",
)
VALUES = ("localhost:4566", "127.0.0.1", "evil.example", "", "http://localhost", "cross-site", "none", SIGNED)
names = st.sampled_from((*NAMES, "X-Amz-Target", "x-other"))
values = st.sampled_from((*VALUES, "https://evil.example", "Mozilla/5.0", "Boto3/1", "AmazonSQS.SendMessage"))


@given(st.lists(st.tuples(names, values), max_size=5))
def test_what_is_passed_on_is_what_the_rule_takes_and_goes_where_it_would(headers):
    """For any headers; and what it remembers is true of the same head."""
    endpoint = AwsRouter({}, str)
    gate = RequestGate("127.0.0.1")
    lines = "".join(f"\r\n{name}: {value}" for name, value in headers)
    request = Request(None, "GET", b"/", b"HTTP/1.1" + lines.encode(), None, b"", "1.1", "", 0.0)
    scope = endpoint.plain_scope(request, gate)

    if scope is not None:
        assert scope == endpoint.scope(request)
        assert gate.judge(marks_of(request)) is None
    else:
        assert not gate.passed(request.head)


def test_clients_of_today_are_passed_on_in_one_pass():
    """Signed or not; the head of an unsigned one is remembered."""
    endpoint, gate = AwsRouter({}, str), RequestGate("127.0.0.1")
    host, agent = (b"Host", b"localhost:4566"), (b"User-Agent", b"Boto3/1.40")
    signed = Request(
        None, "POST", b"/", b"", [host, agent, (b"Authorization", SIGNED.encode())], b"", "1.1", "", 0.0
    )
    plain = Request(
        None, "GET", b"/b/k", b"HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl", None, b"", "1.1", "", 0
    )

    assert "sqs" == endpoint.plain_scope(signed, gate).service
    assert "s3" == endpoint.plain_scope(plain, gate).service
    assert gate.passed(plain.head)
