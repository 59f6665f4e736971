"""Request targets: path and query, sent and decoded."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from engine.sources.http.target import decoded_pairs, decoded_path, grouped, joined, sent_pairs, split_target

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/", ("/", "")),
        (b"/a/b?x=1&y=2", ("/a/b", "x=1&y=2")),
        (b"/a?", ("/a", "")),
        (b"/a?x?y", ("/a", "x?y")),
        (b"/a?x=1#part", ("/a", "x=1")),
        (b"//double//slash/", ("//double//slash/", "")),
        (b"/caf%C3%A9%2B", ("/caf%C3%A9%2B", "")),
        (b"http://host:1/a?b=c", ("/a", "b=c")),
        (b"http://host", ("/", "")),
        (b"http://host?x=1", ("/", "x=1")),
        (b"/see?u=http://x/", ("/see", "u=http://x/")),
        (b"*", ("*", "")),
        (b"host:443", ("host:443", "")),
        (b"/\xff\xfe?\xc3\xa9", ("/%FF%FE", "%C3%A9")),
        (b"", ("", "")),
    ],
)
def test_a_target_is_split_as_it_was_sent(target, parts):
    """Origin form, absolute form, and what is neither."""
    assert parts == split_target(target)


@pytest.mark.parametrize(
    ("query", "sent", "decoded"),
    [
        ("", [], []),
        ("a", [("a", "")], [("a", "")]),
        ("a=", [("a", "")], [("a", "")]),
        ("=b", [("", "b")], [("", "b")]),
        ("a=b=c", [("a", "b=c")], [("a", "b=c")]),
        ("&&a=1&", [("a", "1")], [("a", "1")]),
        ("a;b=1", [("a;b", "1")], [("a;b", "1")]),
        ("q=x+y%20z%2B", [("q", "x+y%20z%2B")], [("q", "x y z+")]),
        ("%C3%A9=%FF", [("%C3%A9", "%FF")], [("é", "\ufffd")]),
        ("a=%zz%", [("a", "%zz%")], [("a", "%zz%")]),
    ],
)
def test_query_pairs(query, sent, decoded):
    """Order and repetition are kept; only `&` separates."""
    assert sent == sent_pairs(query)
    assert decoded == decoded_pairs(query)


def test_repeated_names_are_joined_or_grouped():
    """Payload 2.0 joins by commas, 1.0 lists."""
    pairs = [("p", "1"), ("q", "v"), ("p", "2")]

    assert {"p": "1,2", "q": "v"} == joined(pairs)
    assert {"p": ["1", "2"], "q": ["v"]} == grouped(pairs)


@run_with(deadline=None)
@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=8))
def test_any_query_survives_encoding(pairs):
    """What a client encodes is what the event holds."""
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)

    assert pairs == decoded_pairs(query)


@run_with(deadline=None)
@given(TEXT)
def test_any_path_survives_encoding(path):
    """A plus is no space in a path."""
    assert path == decoded_path(quote(path))


@run_with(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_target(target):
    """Splitting never raises."""
    path, query = split_target(target)

    assert "?" not in path
    assert isinstance(decoded_pairs(query), list)
