"""Which service a request is for, and what callers of a service that is not there are told."""

import json
from dataclasses import dataclass, field
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.aws.router import AwsRouter, CredentialScope, FieldNames
from engine.protocols.http.message import Request
from tests.reachable import reachable

SIGNED = b"AWS4-HMAC-SHA256 Credential=%b, SignedHeaders=host;x-amz-date, Signature=00ff"
FORM = (b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8")


@dataclass
class Client:
    """The connection of a request: keeps the answers."""

    answers: list[tuple[int, bytes, bytes]] = field(default_factory=list)

    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        self.answers.append((status, head, body))

    peer: str = "127.0.0.1"

    def request(
        self, target: bytes, *headers: tuple[bytes, bytes], method: str = "POST", body: bytes = b""
    ) -> Request:
        return Request.parsed(self, method, target, list(headers), body, 0.0, "1.1", 0)


@dataclass
class Service:
    """Remembers the scopes it was called with."""

    scopes: list[CredentialScope] = field(default_factory=list)

    def handle(self, request: Request, scope: CredentialScope) -> None:
        self.scopes.append(scope)
        request.respond(200, b"", b"")


def endpoint(**handlers: Service) -> AwsRouter:
    names = {"lambda_": "lambda"}
    return AwsRouter({names.get(n, n): s.handle for n, s in handlers.items()}, lambda: "the-id")


def signed(credential: bytes, name: bytes = b"Authorization") -> tuple[bytes, bytes]:
    return name, SIGNED % credential


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (b"test/20261121/us-east-1/lambda/aws4_request", CredentialScope("lambda", "us-east-1")),
        (b"AKIA/20261121/eu-west-3/sqs/aws4_request", CredentialScope("sqs", "eu-west-3")),
        (
            b"123456789012/20261121/us-east-1/s3/aws4_request",
            CredentialScope("s3", "us-east-1", "123456789012"),
        ),
        (b"key/with/slash/20261121/us-east-1/s3/aws4_request", CredentialScope("s3", "us-east-1")),
    ],
)
def test_the_credential_scope_names_the_service(credential: bytes, expected: CredentialScope) -> None:
    made = endpoint()

    for name in (b"Authorization", b"authorization", b"AUTHORIZATION"):
        assert expected == made.scope(Client().request(b"/", signed(credential, name)))


def test_a_scope_signed_for_several_regions_has_none() -> None:
    value = (
        b"AWS4-ECDSA-P256-SHA256 Credential=AKIA/20261121/s3/aws4_request, SignedHeaders=host, Signature=0"
    )

    assert CredentialScope("s3") == endpoint().scope(Client().request(b"/b/k", (b"Authorization", value)))


def test_the_credential_scope_wins_over_target_and_path() -> None:
    request = Client().request(
        b"/2015-03-31/functions/f/invocations",
        (b"X-Amz-Target", b"AmazonSQS.SendMessage"),
        signed(b"test/20261121/us-east-1/s3/aws4_request"),
    )

    assert CredentialScope("s3", "us-east-1") == endpoint().scope(request)


def test_a_presigned_url_carries_its_scope_in_the_query() -> None:
    target = b"/b/k?X-Amz-Expires=60&X-Amz-Credential=AK%2F20261121%2Fus-west-2%2Fs3%2Faws4_request"

    assert CredentialScope("s3", "us-west-2") == endpoint().scope(Client().request(target, method="GET"))


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Bearer token",
        b"AWS AKIA:signature",
        SIGNED % b"nonsense",
        SIGNED % b"a/b/c//aws4_request",
        b"Credential=",
    ],
)
def test_an_authorization_of_another_kind_says_nothing(authorization: bytes) -> None:
    request = Client().request(b"/2015-03-31/functions/", (b"Authorization", authorization))

    assert CredentialScope("lambda") == endpoint().scope(request)


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "service"),
    [
        ("POST", b"/", [(b"x-amz-target", b"AmazonSQS.SendMessage")], b"{}", "sqs"),
        ("POST", b"/", [(b"X-Amz-Target", b"DynamoDB_20120810.ListTables")], b"{}", "dynamodb"),
        ("POST", b"/", [(b"X-Amz-Target", b"Other_20120810.ListTables")], b"{}", "Other_20120810"),
        ("POST", b"/", [FORM], b"Action=GetCallerIdentity&Version=2011-06-15", "sts"),
        ("POST", b"/", [FORM], b"Action=ListQueues&Version=2012-11-05", "sqs"),
        ("POST", b"/000000000000/q", [FORM], b"Version=2012-11-05&Action=SendMessage", "sqs"),
        ("GET", b"/000000000000/q?Action=ReceiveMessage", [], b"", "sqs"),
        ("GET", b"/?Action=ListQueues", [], b"", "sqs"),
        ("GET", b"/000000000000/q", [], b"", "sqs"),
        ("POST", b"/2015-03-31/functions/f/invocations", [FORM], b'{"q": "a&Action=Stop"}', "lambda"),
        ("GET", b"/2016-08-19/account-settings", [], b"", "lambda"),
        ("GET", b"/2015-03-31/functions?MaxItems=1", [], b"", "lambda"),
        ("PUT", b"/bucket/key", [], b"x&Action=List", "s3"),
        ("GET", b"/", [], b"", "s3"),
        ("GET", b"/2015-03-31", [], b"", "s3"),
    ],
)
def test_an_unsigned_request_is_told_by_its_shape(
    method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes, service: str
) -> None:
    request = Client().request(target, *headers, method=method, body=body)

    assert CredentialScope(service) == endpoint().scope(request)


def test_the_service_gets_the_request_with_its_scope() -> None:
    functions, client = Service(), Client()
    made = endpoint(lambda_=functions)
    for _ in range(2):
        made.handle(client.request(b"/", signed(b"test/20261121/eu-west-1/lambda/aws4_request")))

    assert [CredentialScope("lambda", "eu-west-1")] * 2 == functions.scopes
    assert [(200, b"", b"")] * 2 == client.answers


MESSAGE = (
    "This endpoint does not serve 'sqs'; it serves lambda. For a function that needs it: "
    "`endpoint_url = false` leaves AWS's own addresses to it, and "
    "AWS_ENDPOINT_URL_<SERVICE> in its `environment` names another server."
)


def refused(
    *headers: tuple[bytes, bytes], body: bytes = b"", target: bytes = b"/"
) -> tuple[int, bytes, bytes]:
    client = Client()
    endpoint(lambda_=Service()).handle(client.request(target, *headers, body=body))
    [answer] = client.answers
    return answer


def head(content_type: str) -> bytes:
    lines = (
        f"Content-Type: {content_type}",
        "x-amzn-RequestId: the-id",
        "x-amzn-ErrorType: NotImplementedException",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def test_a_service_that_is_not_there_answers_json_in_json() -> None:
    status, lines, body = refused((b"X-Amz-Target", b"AmazonSQS.SendMessage"))

    assert (501, head("application/x-amz-json-1.0")) == (status, lines)
    assert {"__type": "NotImplementedException", "message": MESSAGE} == json.loads(body)


def test_it_answers_the_query_protocol_in_xml() -> None:
    status, lines, body = refused(FORM, body=b"Action=ListQueues")
    tree = ElementTree.fromstring(body)

    assert (501, head("text/xml")) == (status, lines)
    assert ["NotImplementedException", MESSAGE] == [
        tree.findtext("Error/Code"),
        tree.findtext("Error/Message"),
    ]


def test_it_answers_s3_in_xml_and_other_rest_services_in_json() -> None:
    _, s3_head, s3_body = refused(target=b"/bucket/key")
    _, other_head, other_body = refused(signed(b"k/20261121/us-east-1/kafka/aws4_request"))

    assert head("application/xml") == s3_head
    assert "NotImplementedException" == ElementTree.fromstring(s3_body).findtext("Code")
    assert head("application/json") == other_head
    assert "does not serve 'kafka'" in json.loads(other_body)["message"]


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"Authorization", b"x-amz-target", b"Host", b"content-type"])
        | st.binary(max_size=80),
        st.binary(max_size=80)
        | st.binary(max_size=40).map(lambda raw: SIGNED % raw)
        | st.binary(max_size=20).map(lambda raw: SIGNED % (b"k/20261121/r/" + raw + b"/aws4_request")),
    ),
    max_size=6,
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD"]),
    target=st.binary(max_size=60)
    | st.binary(max_size=30).map(lambda raw: b"/?X-Amz-Credential=" + raw)
    | st.binary(max_size=30).map(lambda raw: b"/?Action=" + raw),
    headers=HEADERS,
    body=st.binary(max_size=60),
)
def test_any_request_is_answered_once(
    method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    client = Client()
    endpoint().handle(client.request(target, *headers, method=method, body=body))
    [(status, lines, answer)] = client.answers

    assert 501 == status
    assert b"x-amzn-RequestId: the-id\r\n" in lines
    if b"xml" in lines:
        ElementTree.fromstring(answer)
    else:
        json.loads(answer)


def test_what_is_remembered_of_clients_is_bounded() -> None:
    names = FieldNames(b"authorization")
    made = endpoint()
    sizes = []
    for most in (1_000, 5_000):
        for number in range(most):
            names[b"X-%d" % number]
            made.scope(Client().request(b"/", signed(b"k%d/20261121/us-east-1/s3/aws4_request" % number)))
        sizes.append(reachable(made))

    assert len(names) <= 1024
    assert sizes[1] <= sizes[0] * 1.1
    assert 1 == names[b"AUTHORIZATION"]


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        (b"/2015-03-31/functions/f/invocations", (), b'"Type":"Server","message":"The engine has failed'),
        (b"/", ((b"X-Amz-Target", b"AmazonSQS.SendMessage"),), b'"__type":"InternalFailure"'),
        (b"/?Action=SendMessage", (), b"<Type>Receiver</Type><Code>InternalFailure</Code>"),
        (b"/bucket/key", (), b"<Error><Code>InternalError</Code>"),
    ],
)
def test_a_bug_in_a_service_is_answered_in_its_protocol_and_logged(target, headers, expected, caplog) -> None:
    """By each of the ways that a request can take, the one of known heads too."""

    def fail(_request: Request, _scope: CredentialScope) -> None:
        raise ValueError("a bug")

    made = AwsRouter(dict.fromkeys(("lambda", "sqs", "s3"), fail), lambda: "the-id")
    client = Client()
    for _ in range(2):
        request = client.request(target, *headers)
        request.head = b" HTTP/1.1\r\nHost: x" if not headers else b""
        made.handle(request)

    assert [500, 500] == [status for status, _, _ in client.answers]
    assert all(expected in body for _, _, body in client.answers)
    assert ["a bug", "a bug"] == [str(record.exc_info[1]) for record in caplog.records]
