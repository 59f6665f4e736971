"""Whatever is sent to the Lambda API, it answers once, in AWS's shape, and goes on serving."""

import json

from hypothesis import given
from hypothesis import strategies as st

from engine.core.function import Function

SCOPE = (
    b"AWS4-HMAC-SHA256 Credential=k/20261121/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
)
NAMES = (
    b"X-Amz-Invocation-Type",
    b"x-amz-log-type",
    b"X-Amz-Client-Context",
    b"X-Amzn-Trace-Id",
    b"x-amz-tenant-id",
    b"Content-Type",
)
PIECES = (
    b"/ 2015-03-31 2021-11-15 2019-09-30 functions hello invocations configuration concurrency "
    b"response-streaming-invocations : %3A %24LATEST $LATEST arn:aws:lambda: eu-west-1: 123456789012: "
    b"function: ? & = Qualifier Marker MaxItems % \xff"
).split()
VALUES = st.sampled_from(
    [b"Event", b"DryRun", b"RequestResponse", b"Tail", b"e30=", b"Root=1-a-b"]
) | st.binary(max_size=30)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES) | st.binary(max_size=20), VALUES), max_size=6)
TARGETS = (
    st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
    | st.binary(max_size=60)
    | st.binary(max_size=20).map(lambda raw: b"/2015-03-31/functions/" + raw + b"/invocations")
    | st.just(b"/2015-03-31/functions/hello/invocations")
    | st.just(b"/2021-11-15/functions/hello/response-streaming-invocations")
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
    target=TARGETS,
    headers=HEADERS,
    body=st.binary(max_size=40) | st.just(b"{}"),
    too_large=st.sampled_from([0, 0, 0, 10**9]),
)
def test_any_request_is_answered_once_in_awss_shape(any_bench, method, target, headers, body, too_large):
    answer = any_bench.ask(method, target, [(b"Authorization", SCOPE), *headers], body, too_large)

    assert "x-amzn-requestid" in answer.headers
    assert 1 == [name for name, _ in answer.pairs].count("x-amzn-RequestId")
    if answer.status >= 400:
        assert {"Type", "message", "Message"} & set(answer.document)
        assert "x-amzn-errortype" in answer.headers
    elif answer.headers["content-type"] == "application/json" and answer.body:
        json.loads(answer.body)
    assert 200 == any_bench.invoke(b"{}").status


def test_a_name_in_another_script_is_refused_in_its_own_letters(make_bench):
    bench = make_bench([Function("hello", handler="a.b")])
    answer = bench.ask("POST", "/2015-03-31/functions/%E5%87%BD%E6%95%B0/invocations")

    assert 400 == answer.status
    assert "Value '函数' at 'functionName'" in answer.document["message"]
