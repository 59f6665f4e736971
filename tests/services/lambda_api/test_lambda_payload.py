"""What callers are told of a payload that is not JSON, in the words of AWS's parser."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import error_body
from engine.services.lambda_api.invoke_payload import document_of

PREFIX = "Could not parse request body into json: Could not parse payload into json: "
SOURCE = (
    "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]"
)
ESCAPE = "has to be escaped using backslash to be included in string value"
VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.mark.parametrize(
    ("payload", "text", "line", "column"),
    [
        (b"hello", f"Unrecognized token 'hello': was expecting {VALUES}", 1, 6),
        (
            b"{'a': 1}",
            "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
            1,
            2,
        ),
        (
            b"{a: 1}",
            "Unexpected character ('a' (code 97)): was expecting double-quote to start field name",
            1,
            2,
        ),
        (
            b'{"a" 1}',
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
            1,
            6,
        ),
        (
            b'{"a": 1 "b"}',
            "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries",
            1,
            9,
        ),
        (
            b'{"a[": [1\n2]}',
            "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
            2,
            1,
        ),
        (b"[1, ]", f"Unexpected character (']' (code 93)): expected a valid value {VALUES}", 1, 5),
        (
            "[€]".encode(),
            f"Unexpected character ('€' (code 8364 / 0x20ac)): expected a valid value {VALUES}",
            1,
            2,
        ),
        (b"{} x", f"Unrecognized token 'x': was expecting {VALUES}", 1, 5),
        (b"{", "Unexpected end-of-input: expected close marker for Object", 1, 2),
        (b'"abc', "Unexpected end-of-input: was expecting closing quote for a string value", 1, 5),
        (
            b'"a\nb"',
            "Illegal unquoted character ((CTRL-CHAR, code 10)): " + ESCAPE,
            1,
            3,
        ),
        (b'"\\q"', "Unrecognized character escape 'q' (code 113)", 1, 2),
        (b'{"a": \xa7}', f"Unexpected character ('\xa7' (code 167)): expected a valid value {VALUES}", 1, 7),
        (
            b"\x99\xeb,",
            f"Unexpected character ((CTRL-CHAR, code 153)): expected a valid value {VALUES}",
            1,
            1,
        ),
        (b"n\x87r\x9e", "Invalid UTF-8 start byte 0x87", 1, 3),
        (b'[\n"\xc3("]', "Invalid UTF-8 middle byte 0x28", 2, 4),
    ],
)
def test_the_refusal_names_token_character_and_place(payload, text, line, column):
    with pytest.raises(ServiceError) as caught:
        document_of(payload)

    assert PREFIX + text + SOURCE % (line, column) == caught.value.message


def refuse_constant(name):
    """`NaN` and infinities, which Python's parser would take."""
    raise ValueError(name)


@given(payload=st.text('{}[]":,\\ntrue1.-\n é', max_size=30).map(str.encode) | st.binary(max_size=30))
def test_every_payload_is_a_document_or_a_refusal(payload):
    try:
        expected = json.loads(payload.decode("utf-8-sig"), parse_constant=refuse_constant)
    except ValueError:
        with pytest.raises(ServiceError, match=PREFIX) as caught:
            document_of(payload)

        assert {"Type", "message"} == set(json.loads(error_body(caught.value)))
    else:
        assert expected == document_of(payload)
