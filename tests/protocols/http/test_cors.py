"""Which origins a configuration names, and what it says to them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.http.cors import Cors, Preflight, is_named
from engine.protocols.http.message import Request


@pytest.mark.parametrize(
    ("pattern", "origin", "named", "taken"),
    [
        ("https://a.test", "https://a.test", True, True),
        ("https://a.test", "HTTPS://A.test", True, True),
        ("https://a.test", "https://a.test:8443", False, False),
        ("https://a.test", "https://a.test.evil.example", False, False),
        ("https://*.a.test", "https://x.a.test", True, True),
        ("https://*.a.test", "https://x.y.a.test", True, True),
        ("https://*.a.test", "https://xa.test", False, False),
        ("https://*.a.test", "https://a.test", False, False),
        ("*", "https://a.test", False, True),
        ("https://*", "https://a.test", False, True),
        ("https://*.com", "https://evil.com", False, True),
        ("https://*test", "https://eviltest", False, True),
        ("*.a.test", "https://x.a.test", False, True),
        ("https://a.*", "https://a.evil", False, True),
        ("https://*.*.test", "https://a.evil.test", False, True),
        ("null", "null", False, True),
        ("NULL", "null", False, True),
    ],
)
def test_an_origin_is_named_where_somebody_chose_a_site(pattern, origin, named, taken):
    """`*`, a whole domain of the web, and `null`, which any page can be, are nobody's."""
    cors = Cors(origins=(pattern,))

    assert (named, taken) == (cors.names(origin), cors.takes(origin, "GET"))


def test_methods_and_headers_are_held_against_the_rule():
    """A header may have one `*`."""
    cors = Cors(origins=("https://a.test",), methods=("PUT",), headers=("x-amz-*", "Content-Type"))

    assert cors.takes("https://a.test", "PUT", ("x-amz-date", "content-type"))
    assert not cors.takes("https://a.test", "POST", ())
    assert not cors.takes("https://a.test", "PUT", ("authorization",))


def test_any_origin_is_told_so_unless_cookies_are_sent():
    """Browsers refuse `*` with credentials."""
    asked = Preflight("https://a.test", "PUT", ("x-a",))
    open_to_all = Cors(origins=("*",), headers=("*",), max_age_s=5).preflight_head(asked)
    with_cookies = Cors(origins=("*",), credentials=True).head("https://a.test")

    assert b"access-control-allow-origin: *\r\naccess-control-allow-methods: PUT\r\n" in open_to_all
    assert b"access-control-allow-headers: x-a\r\n" in open_to_all
    assert b"access-control-allow-origin: https://a.test\r\n" in with_cookies
    assert b"access-control-allow-credentials: true\r\n" in with_cookies


@pytest.mark.parametrize(
    "pattern", ["https://a.test", "https://*.a.test", "http://localhost:5173", "app://shop"]
)
def test_what_a_person_would_write_is_a_name(pattern):
    """With or without a star before its domain."""
    assert is_named(pattern)


def test_lines_are_added_to_an_answer_and_stand_for_others():
    """Those of the handler that begin so are left out, in any spelling."""

    class Client:
        peer = ""

        def answer(self, request, status, head, body):
            self.head = head

        def awaits(self, request):
            return True

    for instead, expected in (
        (b"", b"A: 1\r\nAccess-Control-X: 2\r\nb: 3\r\n"),
        (b"access-", b"A: 1\r\nb: 3\r\n"),
    ):
        client = Client()
        request = Request(client, "GET", b"/", b"", [], b"", "1.1", "", 0.0)
        request.add_to_answer(b"b: 3\r\n", instead_of=instead)
        assert request.awaited is True
        request.respond(200, b"A: 1\r\nAccess-Control-X: 2\r\n", b"")

        assert expected == client.head


PIECES = st.text("aB*:/", max_size=8)


@given(PIECES, st.text("Ab:/", max_size=10))
def test_each_asterisk_of_an_origin_stands_for_any_text(pattern, origin):
    expected = re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), origin, re.IGNORECASE) is not None

    assert expected == Cors(origins=(pattern,)).takes(origin, "GET")


def test_an_origin_with_many_asterisks_is_looked_at_once():
    """Tried in all ways, they would hold the event loop for hours."""
    assert not Cors(origins=("*a" * 100 + "*b",)).takes("a" * 5000, "GET")
