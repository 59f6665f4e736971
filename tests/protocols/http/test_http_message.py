"""Header blocks cannot forge anything; a request's headers are found whatever their case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.http.server import Request, header_block


class Connection:
    peer = "192.0.2.1"

    def __init__(self):
        self.answers = []

    def answer(self, request, status, head, body):
        self.answers.append((status, head, body))


def a_request(connection=None, head=b"HTTP/1.1\r\nHost: a\r\nX-One:  1 \r\nx-one: 2\r\nEmpty:\r\nLast: z"):
    return Request(connection, "GET", b"/", head, None, b"", "1.1", "192.0.2.1", 1.0)


def test_a_header_block_keeps_order_case_and_repetition():
    """Each pair is one line ended by CRLF."""
    pairs = [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X", "")]

    assert b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nX: \r\n" == header_block(pairs)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "a\x00", " a", "a\t"])
def test_a_name_that_is_no_token_is_refused(name):
    """A header name is an RFC 9110 token."""
    with pytest.raises(ValueError, match="not a header name"):
        header_block([(name, "v")])


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\rb", "a\nb", "a\x00b", "\x7f", "\x0b"])
def test_a_value_that_would_forge_a_header_is_refused(value):
    """CR, LF, NUL and other control characters are never sent."""
    with pytest.raises(ValueError, match="control character"):
        header_block([("X", value)])


def test_a_value_beyond_latin_1_is_sent_as_utf_8():
    """Only its own line changes the encoding."""
    assert b"A: \xe9\r\nB: \xe2\x82\xac\r\n" == header_block([("A", "é"), ("B", "€")])


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=5))
def test_a_header_block_is_refused_or_has_a_line_for_each_pair(pairs):
    """Whatever the text, no line appears that was not asked for."""
    try:
        block = header_block(pairs)
    except ValueError:
        return

    assert len(pairs) == block.count(b"\n") == block.count(b"\r")
    assert b"\x00" not in block


def test_headers_are_as_sent_without_the_spaces_around():
    """Order, case and repetition stay."""
    expected = [(b"Host", b"a"), (b"X-One", b"1"), (b"x-one", b"2"), (b"Empty", b""), (b"Last", b"z")]

    assert expected == a_request().headers


@pytest.mark.parametrize(
    ("name", "value"), [(b"host", b"a"), (b"x-one", b"1"), (b"empty", b""), (b"last", b"z"), (b"one", None)]
)
def test_a_header_is_found_by_its_lower_case_name(name, value):
    """The first one counts, parsed or not."""
    lazy = a_request()
    parsed = Request.parsed(Connection(), "GET", b"/", a_request().headers, b"", 1.0, "1.1", 0)

    assert (value, value) == (lazy.header(name), parsed.header(name))


def test_a_second_answer_is_ignored():
    """The first answer is the answer."""
    connection = Connection()
    request = a_request(connection)
    request.respond(200, b"", b"first")
    request.respond(500, b"", b"second")

    assert [(200, b"", b"first")] == connection.answers
