"""The shared JSON decoder reads what Python's json reads, NaN and infinities refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.json_document import NotJson, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def same(one: object, other: object) -> bool:
    """Equal, and of the same types throughout (1 == 1.0, but they are not the same)."""
    return repr(one) == repr(other)


@given(value=VALUES, ascii_only=st.booleans())
def test_whatever_json_writes_is_read_as_json_reads_it(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    payload = text.encode("utf-8", "surrogatepass" if ascii_only else "replace")

    assert same(json.loads(payload), loads(payload))


@given(
    payload=st.binary(max_size=60)
    | st.text('{}[]",:0123456789.eE+-truefalsn \\u', max_size=40).map(str.encode)
)
def test_bytes_are_read_as_json_reads_them_or_refused(payload: bytes) -> None:
    try:
        expected = json.loads(payload.decode("utf-8-sig"))
    except ValueError:
        with pytest.raises(NotJson):
            loads(payload)
        return
    if any(word in payload for word in (b"NaN", b"Infinity")):
        return

    assert same(expected, loads(payload))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"18446744073709551616", 18446744073709551616),
        (b"-9223372036854775809", -9223372036854775809),
        (b'{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
        (b"1e400", math.inf),
        (b'"\\ud800"', "\ud800"),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b' \t\r\n"\xc3\xa9" ', "é"),
    ],
)
def test_what_the_fast_parser_cannot_do_is_done(payload: bytes, expected: object) -> None:
    assert same(expected, loads(payload))


@pytest.mark.parametrize(
    ("payload", "reason", "position"),
    [
        (b"", "Expecting value", 0),
        (b"[1, x]", "Expecting value", 4),
        (b"[1,]", "Expecting value", 3),
        (b"{} {}", "Extra data", 3),
        (b'{"a" 1}', "Expecting ':' delimiter", 5),
        (b'"\xff"', "Invalid UTF-8", 1),
        ('{"a": 1}'.encode("utf-16"), "Invalid UTF-8", 0),
        (b"NaN", "Non-standard token 'NaN'", -1),
        (b"[-Infinity]", "Non-standard token '-Infinity'", -1),
        (b"[" * 100_000, "Nested too deeply", -1),
    ],
)
def test_a_refusal_names_reason_and_place(payload: bytes, reason: str, position: int) -> None:
    with pytest.raises(NotJson) as caught:
        loads(payload)

    assert (reason, position) == (caught.value.reason, caught.value.position)


def test_an_integer_beyond_pythons_digits_is_refused() -> None:
    with pytest.raises(NotJson, match="digits"):
        loads(b"1" * 5000)


def test_each_call_gives_a_value_of_its_own() -> None:
    payload = b'{"list": []}'
    first = loads(payload)
    first["list"].append(1)

    assert {"list": []} == loads(payload)
