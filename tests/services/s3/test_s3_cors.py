"""CORS of buckets as PutBucketCors sets it: preflights, and the headers of other answers."""

import pytest

SHOP = "https://www.shop.example"
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
NOT_ENABLED = "CORSResponse: CORS is not enabled for this bucket."
NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, "
    "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted "
    "by the resource's CORS spec."
)


@pytest.fixture
def pages(shop):
    """`b-1` lets pages of a shop write, and any page read."""
    shop.ask(
        "PUT",
        "/b-1?cors",
        b"<CORSConfiguration><CORSRule><AllowedOrigin>https://*.shop.example</AllowedOrigin>"
        b"<AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod>"
        b"<AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-a</ExposeHeader>"
        b"<MaxAgeSeconds>60</MaxAgeSeconds></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin>"
        b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
    )
    shop.ask("PUT", "/b-1/k", b"hello")
    return shop


def cors_headers(answer):
    names = (name for name in answer.headers if name.startswith("access-control") or name == "vary")
    return {name.removeprefix("access-control-"): answer.headers[name] for name in names}


def preflight(shop, origin, method, headers=None, target="/b-1/k"):
    asked = {"origin": origin, "access-control-request-method": method}
    if headers:
        asked["access-control-request-headers"] = headers
    return shop.ask("OPTIONS", target, headers=asked)


def test_a_preflight_is_answered_by_the_first_rule_that_allows_it(pages):
    put = preflight(pages, SHOP, "PUT", "X-Amz-Date, x-amz-acl")
    get = preflight(pages, "https://evil.example", "GET")

    assert {
        "allow-origin": SHOP,
        "allow-credentials": "true",
        "allow-methods": "PUT, POST",
        "allow-headers": "x-amz-date, x-amz-acl",
        "expose-headers": "ETag, x-a",
        "max-age": "60",
        "vary": VARY,
    } == cors_headers(put)
    assert {"allow-origin": "*", "allow-methods": "GET", "vary": VARY} == cors_headers(get)
    assert (200, 200, b"") == (put.status, get.status, put.body)


def test_other_answers_have_the_same_headers_errors_too(pages):
    put = pages.ask("PUT", "/b-1/k", b"x", {"origin": SHOP})
    get = pages.ask("GET", "/b-1/k", headers={"origin": "https://evil.example"})
    missing = pages.ask("GET", "/b-1/none", headers={"origin": SHOP})
    plain = pages.ask("GET", "/b-1/k")
    foreign = pages.ask("DELETE", "/b-1/k", headers={"origin": SHOP})

    assert cors_headers(preflight(pages, SHOP, "PUT")) == cors_headers(put)
    assert {"allow-origin": "*", "allow-methods": "GET", "vary": VARY} == cors_headers(get)
    assert cors_headers(get) == cors_headers(missing)
    assert {} == cors_headers(plain) == cors_headers(foreign)


@pytest.mark.parametrize(
    ("origin", "method", "headers", "target", "expected"),
    [
        ("https://evil.example", "PUT", None, "/b-1/k", (403, "AccessForbidden", NOT_ALLOWED)),
        (SHOP, "DELETE", None, "/b-1/k", (403, "AccessForbidden", NOT_ALLOWED)),
        (SHOP, "PUT", "x-other", "/b-1/k", (403, "AccessForbidden", NOT_ALLOWED)),
        (
            SHOP,
            "GET",
            None,
            "/b-2/k",
            (403, "AccessForbidden", NOT_ENABLED),
        ),
        (SHOP, "GET", None, "/none/k", (403, "AccessForbidden", "CORSResponse: Bucket not found")),
        (SHOP, "PATCH", None, "/b-1/k", (400, "BadRequest", "Invalid Access-Control-Request-Method: PATCH")),
    ],
)
def test_a_preflight_that_no_rule_allows_is_refused(pages, origin, method, headers, target, expected):
    pages.ask("PUT", "/b-2")
    answer = preflight(pages, origin, method, headers, target)

    assert expected == answer.error
    assert {} == cors_headers(answer)
    if answer.status == 403:
        assert [method] == answer.text("Method")
