"""What API Gateway does to requests and answers of its own accord, over raw connections to a listener.

The rules are those of API Gateway's "important notes" and "Call an API method with a compressed payload".
"""

import gzip
import zlib

import pytest

pytestmark = pytest.mark.real_time

REST = {"payload_format": "1.0"}


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
)
async def test_a_rest_api_undoes_the_coding_of_a_request_body(serving, coding, encode):
    """The header stays, as it does on AWS."""
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        status, _, _ = await wire.ask(b"POST /a", [("Content-Encoding", coding)], encode('{"é": 1}'.encode()))

    assert 200 == status
    assert ('{"é": 1}', False) == (sink.document["body"], sink.document["isBase64Encoded"])
    assert coding == sink.document["headers"]["Content-Encoding"]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"plain"),
        ("gzip", gzip.compress(b"cut off", mtime=0)[:-4]),
        ("br", b"x"),
        ("gzip, gzip", b"x"),
    ],
)
async def test_a_rest_api_refuses_a_body_that_is_not_in_the_coding_it_names(serving, coding, body):
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        status, headers, answer = await wire.ask(b"POST /a", [("Content-Encoding", coding)], body)

    assert (415, b'{"message":"Unsupported Media Type"}') == (status, answer)
    assert "UnsupportedMediaTypeException" == headers["x-amzn-errortype"]
    assert [] == sink.events


async def test_a_decoded_body_is_held_to_the_limit_of_bodies(serving):
    """What a small body unpacks to is not unpacked beyond the limit."""
    bomb = gzip.compress(bytes(11 * 1024 * 1024))
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        status, _, _ = await wire.ask(b"POST /a", [("Content-Encoding", "gzip")], bomb)

    assert 413 == status
    assert [] == sink.events


async def test_a_body_of_very_many_members_is_not_unpacked(serving):
    """Each of them costs, though nothing is in it: they would hold the event loop for minutes."""
    members = gzip.compress(b"", mtime=0) * 400_000
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        many, _, _ = await wire.ask(b"POST /a", [("Content-Encoding", "gzip")], members)
        await wire.ask(b"POST /a", [("Content-Encoding", "gzip")], gzip.compress(b"a" * 50_000) * 20)

    assert 413 == many
    assert "a" * 1_000_000 == sink.document["body"]


async def test_a_binary_body_is_decoded_before_it_is_base64(serving):
    async with serving({"f": REST | {"path": "/a", "binary_media_types": ["*/*"]}}) as (wire, sink):
        await wire.ask(b"POST /a", [("Content-Encoding", "gzip")], gzip.compress(b"test"))

    assert ("dGVzdA==", True) == (sink.document["body"], sink.document["isBase64Encoded"])


async def test_an_http_api_and_a_url_pass_a_coded_body_on(serving):
    body = gzip.compress(b"{}")
    async with serving({"f": {"path": "/a"}}) as (wire, sink):
        await wire.ask(b"POST /a", [("Content-Encoding", "gzip"), ("Content-Type", "application/json")], body)

    assert sink.document["isBase64Encoded"] is True


TWO = {"items": REST | {"path": "/items"}, "rest": REST | {"path": "/{proxy+}"}}


@pytest.mark.parametrize(
    ("target", "function", "path", "context_path"),
    [
        (b"/items/", "items", "/items/", "/Prod/items/"),
        (b"//items", "items", "/items", "/Prod//items"),
        (b"///items/", "items", "/items/", "/Prod///items/"),
        (b"/other/", "rest", "/other/", "/Prod/other/"),
        (b"/a//b", "rest", "/a//b", "/Prod/a//b"),
    ],
)
async def test_a_rest_api_finds_the_resource_without_slashes_around_it(
    serving, target, function, path, context_path
):
    """Before any that takes the rest of a path; slashes inside stay."""
    async with serving(TWO) as (wire, sink):
        await wire.ask(b"GET " + target)
    [(found, document)] = sink.events

    assert (function, path) == (found, document["path"])
    assert context_path == document["requestContext"]["path"]


async def test_an_http_api_tells_a_path_with_a_slash_at_its_end_from_one_without(serving):
    async with serving({"items": {"path": "/items"}, "rest": {"path": "/{proxy+}"}}) as (wire, sink):
        await wire.ask(b"GET /items/")

    assert "rest" == sink.events[0][0]


async def test_a_rest_api_remaps_headers_of_answers(serving):
    """Those in its table; what belongs to the connection goes."""
    names = (
        *("WWW-Authenticate", "Authorization", "Connection", "Content-MD5", "Date", "Max-Forwards"),
        *("Server", "User-Agent", "Proxy-Authenticate", "Host", "Via", "Expect", "Age", "X-Own"),
    )
    result = {"statusCode": 401, "headers": dict.fromkeys(names, "v")}
    async with serving({"f": REST | {"path": "/a"}}, result) as (wire, _):
        status, headers, _ = await wire.ask(b"GET /a")
    remapped = [name.removeprefix("x-amzn-remapped-") for name in headers if "remapped" in name]

    assert 401 == status
    assert [name.lower() for name in names[:8]] == remapped
    assert ("v", "v") == (headers["age"], headers["x-own"])
    assert not headers.keys() & {"www-authenticate", "authorization", "server", "via", "host", "expect"}
    assert "GMT" in headers["date"]


@pytest.mark.parametrize("settings", [{"path": "/a"}, REST | {"path": "/a", "api": "http"}])
async def test_an_http_api_remaps_no_headers(serving, settings):
    result = {"statusCode": 401, "headers": {"WWW-Authenticate": "Basic"}}
    async with serving({"f": settings}, result) as (wire, _):
        _, headers, _ = await wire.ask(b"GET /a")

    assert "Basic" == headers["www-authenticate"]


async def test_events_of_a_rest_api_lack_the_headers_that_it_drops(serving):
    dropped = ("Content-MD5", "Max-Forwards", "Proxy-Authenticate", "Server", "WWW-Authenticate", "TE")
    signature = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c"
    sent = [*((name, "v") for name in dropped), ("Authorization", signature), ("X-Own", "v")]
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        await wire.ask(b"POST /a", sent, b"{}")
    names = {name.lower() for name in sink.document["headers"]}

    assert names == {name.lower() for name in sink.document["multiValueHeaders"]}
    assert "x-own" in names
    assert not names & {"content-length", "authorization", *(name.lower() for name in dropped)}


async def test_a_rest_api_spells_some_headers_in_its_own_way(serving):
    sent = [("aUThorization", "Bearer 1"), ("user-Agent", "me"), ("tEsT-HEADeR", "aValUE")]
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        await wire.ask(b"GET /a", sent)
    headers = sink.document["headers"]

    assert {
        "Authorization": "Bearer 1",
        "User-Agent": "me",
        "tEsT-HEADeR": "aValUE",
    }.items() <= headers.items()
    assert headers.keys() == sink.document["multiValueHeaders"].keys()


@pytest.mark.parametrize("settings", [{"path": "/a"}, {}, REST | {"path": "/a", "api": "http"}])
async def test_events_of_other_fronts_have_the_length_of_the_body(serving, settings):
    async with serving({"f": settings}) as (wire, sink):
        await wire.ask(b"POST /a", [("Authorization", "AWS4-HMAC-SHA256 x")], b"{}")
    headers = {name.lower(): value for name, value in sink.document["headers"].items()}

    assert ("2", "AWS4-HMAC-SHA256 x") == (headers["content-length"], headers["authorization"])


async def test_a_semicolon_divides_the_query_of_a_rest_api(serving):
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        await wire.ask(b"GET /a?x=1;y=2&z=3%3B4")

    assert {"x": "1", "y": "2", "z": "3;4"} == sink.document["queryStringParameters"]


@pytest.mark.parametrize("character", [b"|", b"{", b"}"])
async def test_a_rest_api_refuses_a_query_with_what_has_to_be_encoded(serving, character):
    async with serving({"f": REST | {"path": "/a"}}) as (wire, sink):
        refused = await wire.ask(b"GET /a?x=" + character)
        taken = await wire.ask(b"GET /a?x=%" + character.hex().encode())

    assert (400, 200) == (refused[0], taken[0])
    assert {"x": character.decode()} == sink.document["queryStringParameters"]


@pytest.mark.parametrize(
    ("settings", "member", "path"),
    [
        (REST, "path", "/caf%C3%A9"),
        ({}, "rawPath", "/caf%C3%A9"),
        ({"path": "/{name}"}, "rawPath", "/café"),
        ({"payload_format": "alb"}, "path", "/caf%C3%A9"),
    ],
)
async def test_utf_8_in_a_path_is_taken_for_its_percent_encoding(serving, settings, member, path):
    async with serving({"f": settings}) as (wire, sink):
        status, _, _ = await wire.ask("GET /café?q=ä".encode())

    assert (200, path) == (status, sink.document[member])


async def test_a_client_that_asks_before_it_sends_a_body_too_large_is_told_413_at_once(serving):
    """Whatever other routes take: not `100 Continue` before."""
    routes = {"small": {"payload_format": "alb", "path": "/small"}, "large": REST | {"path": "/large"}}
    expecting = [("Content-Length", str(2 * 1024 * 1024)), ("Expect", "100-continue")]
    async with serving(routes) as (wire, _):
        status, _, _ = await wire.ask(b"POST /small", expecting)
    async with serving(routes) as (wire, _):
        goes_on, _, _ = await wire.ask(b"POST /large", expecting)

    assert (413, 100) == (status, goes_on)


@pytest.mark.parametrize(
    ("settings", "member", "path"),
    [
        ({"path": "/{proxy+}"}, "rawPath", "/a b"),
        (REST | {"path": "/{proxy+}", "api": "http"}, "path", "/a b"),
        (REST, "path", "/a%20b%3Fc"),
        ({}, "rawPath", "/a%20b%3Fc"),
    ],
)
async def test_an_http_api_cuts_the_path_of_an_event_at_an_encoded_question_mark(
    serving, settings, member, path
):
    """Others show it encoded."""
    async with serving({"f": settings}) as (wire, sink):
        await wire.ask(b"GET /a%20b%3Fc?x=1")

    assert (path, {"x": "1"}) == (sink.document[member], sink.document["queryStringParameters"])
