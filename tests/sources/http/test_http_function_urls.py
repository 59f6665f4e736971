"""Function URLs by host name and by path, over raw connections to a listener."""

import json
import re

import pytest

from engine.errors import FunctionNotFound

pytestmark = pytest.mark.real_time

ID = "abcdefghij0123456789abcdefghij01"
UNKNOWN = (403, b'{"Message":null}', "AccessDeniedException", "application/json")
CORS = {"AllowOrigins": ["https://app.example"], "AllowMethods": ["GET"], "MaxAge": 5}


def outcome(answer):
    status, headers, body = answer
    return status, body, headers.get("x-amzn-errortype"), headers["content-type"]


@pytest.mark.parametrize("suffix", ["eu-west-1.localhost:3000", "eu-west-1.localhost", "eu-west-1.on.aws"])
async def test_a_function_url_is_served_at_a_host_of_its_own(serving, suffix):
    """Its events have that host as the domain name, and the path as it was sent, from the root."""
    host = f"{ID}.lambda-url.{suffix}"
    async with serving({"other": {"path": "/x"}}) as (wire, sink):
        sink.source.open(ID, "f", "live")
        status, headers, _ = await wire.ask(b"GET /x/a%20b/?q=1", host=host)
        await wire.ask(b"GET /x/a%20b/?q=1", host=host)
    (function, document), _ = sink.events
    context = document["requestContext"]

    assert ("f", 200) == (function, status)
    assert ("/x/a%20b/", "/x/a b/") == (document["rawPath"], context["http"]["path"])
    assert (host, host) == (document["headers"]["host"], context["domainName"])
    assert (ID, ID, "$default") == (context["domainPrefix"], context["apiId"], document["routeKey"])
    assert context["requestId"] == headers["x-amzn-requestid"]


async def test_the_catch_all_of_a_listener_is_a_function_url_of_the_configuration(serving):
    """Its address is the listener's own; routes of APIs are none."""
    settings = {"response_stream": True, "cors": {"origins": ["*"], "max_age_s": 5}}
    async with serving({"f": settings, "api": {"path": "/x"}}) as (wire, sink):
        (url,) = sink.source.configured()
        status, _, _ = await wire.ask(b"GET /y", host=f"{url.id}.lambda-url.eu-west-1.localhost")
        address = sink.source.address(url.id)

    assert ("f", None, 200) == (url.function, url.qualifier, status)
    assert ("NONE", "RESPONSE_STREAM") == (url.config["AuthType"], url.config["InvokeMode"])
    assert {"AllowOrigins": ["*"], "AllowMethods": ["*"], "MaxAge": 5} == url.config["Cors"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)


async def test_the_url_of_an_alias_that_is_gone_refuses_access(serving):
    async with serving({}) as (wire, sink):
        sink.source.open(ID, "f", "gone")
        sink.result = FunctionNotFound("f")
        status, headers, body = await wire.ask(b"GET /", host=f"{ID}.lambda-url.eu-west-1.localhost")

    assert (403, "AccessDeniedException") == (status, headers["x-amzn-errortype"])
    assert json.loads(body)["Message"].startswith("Forbidden. For troubleshooting Function URL")


async def test_events_of_a_function_url_have_the_headers_that_aws_adds(serving):
    async with serving({}) as (wire, sink):
        sink.source.open(ID, "f", None)
        await wire.ask(
            b"GET /", [("X-Forwarded-Proto", "gopher")], host=f"{ID}.lambda-url.eu-west-1.localhost"
        )
    headers = sink.document["headers"]

    assert headers["x-amzn-trace-id"].startswith("Root=1-")
    assert ("127.0.0.1", "http") == (headers["x-forwarded-for"], headers["x-forwarded-proto"])
    assert headers["x-forwarded-port"].isdecimal()


@pytest.mark.parametrize("joined", ["/path", "//path", "///path"])
async def test_a_path_joined_to_the_url_is_the_path_of_the_event(serving, joined):
    """Clients put it behind the slash at the end of the URL; the host is then the one of the URL."""
    async with serving({}) as (wire, sink):
        sink.source.open(ID, "f", None)
        await wire.ask(f"GET /_url/{ID}{joined}?q=1".encode())
    document = sink.document

    assert ("/path", "q=1") == (document["rawPath"], document["rawQueryString"])
    assert document["headers"]["host"] == document["requestContext"]["domainName"]
    assert document["headers"]["host"].startswith(f"{ID}.lambda-url.eu-west-1.localhost:")
    assert "pathParameters" not in document


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/", "nobody.lambda-url.eu-west-1.localhost"),
        (b"/a/b?c", "NOBODY.lambda-url.eu-west-1.on.aws"),
        (b"/_url/nobody", "localhost"),
        (b"/_url/nobody/", "localhost"),
        (b"/_url/nobody/a/b", "localhost"),
    ],
)
async def test_a_function_url_that_nobody_has_is_access_denied(serving, target, name):
    """Though there is a route for all paths; and again once a URL is deleted."""
    async with serving({"all": {}}) as (wire, sink):
        sink.source.open("nobody", "f", None)
        before = await wire.ask(b"GET " + target, host=name)
        sink.source.close("nobody")
        after = await wire.ask(b"POST " + target, body=b"{}", host=name)

    assert (200, UNKNOWN) == (before[0], outcome(after))
    assert ["f"] == [function for function, _ in sink.events]


async def test_the_catch_all_of_a_configuration_has_a_host_too(serving):
    """The API id of its events is the id of its URL."""
    async with serving({"all": {}}) as (wire, sink):
        await wire.ask(b"GET /a")
        url_id = sink.document["requestContext"]["apiId"]
        await wire.ask(b"GET /_url/b", host=f"{url_id}.lambda-url.eu-west-1.localhost")

    assert ["/a", "/_url/b"] == [document["rawPath"] for _, document in sink.events]
    assert ["localhost", f"{url_id}.lambda-url.eu-west-1.localhost"] == [
        document["requestContext"]["domainName"] for _, document in sink.events
    ]


@pytest.mark.parametrize(
    ("target", "name"),
    [(b"/a", f"{ID}.lambda-url.eu-west-1.localhost"), (f"/_url/{ID}/a".encode(), "localhost")],
)
async def test_the_cors_of_a_function_url_is_applied(serving, target, name):
    """A preflight is answered by the front, and answers get headers; a page of another site is refused."""
    origin = ("Origin", "https://app.example")
    async with serving({}) as (wire, sink):
        sink.source.open(ID, "f", None, CORS)
        asked = [origin, ("Access-Control-Request-Method", "GET")]
        preflight = await wire.ask(b"OPTIONS " + target, asked, host=name)
        answer = await wire.ask(b"GET " + target, [origin], host=name)
        refused = await wire.ask(b"GET " + target, [("Origin", "https://else.example")], host=name)

    assert (200, 200, 403) == (preflight[0], answer[0], refused[0])
    assert ("GET", "5") == (
        preflight[1]["access-control-allow-methods"],
        preflight[1]["access-control-max-age"],
    )
    assert "https://app.example" == answer[1]["access-control-allow-origin"]
    assert 1 == len(sink.events)


async def test_in_mode_response_stream_a_result_is_sent_as_it_is(serving):
    """It is not taken for a response, as it is in mode BUFFERED."""
    result = {"statusCode": 201, "body": "b"}
    async with serving({}, result) as (wire, sink):
        sink.source.open("streams", "f", None, None, "RESPONSE_STREAM")
        sink.source.open("buffers", "f", None)
        streamed = await wire.ask(b"GET /", host="streams.lambda-url.eu-west-1.localhost")
        buffered = await wire.ask(b"GET /_url/buffers/")

    assert (200, b'{"statusCode": 201, "body": "b"}') == (streamed[0], streamed[2])
    assert (201, b"b") == (buffered[0], buffered[2])


async def test_a_client_that_asks_before_it_sends_a_body_is_told_by_the_limit_of_its_host(serving):
    """Not by that of another route that would take the path."""
    expecting = [("Content-Length", str(2 * 1024 * 1024)), ("Expect", "100-continue")]
    statuses = []
    for name in ("localhost", f"{ID}.lambda-url.eu-west-1.localhost"):
        async with serving({"alb": {"payload_format": "alb"}}) as (wire, sink):
            sink.source.open(ID, "f", None)
            status, _, _ = await wire.ask(b"POST /", expecting, host=name)
            statuses.append(status)

    assert [413, 100] == statuses
