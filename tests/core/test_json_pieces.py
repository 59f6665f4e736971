"""Large JSON text is read a piece at a time, with the value and the errors of reading it at once."""

import json
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.core.json_document import NotJson, loads
from engine.core.json_pieces import loads_in_pieces, take_all

NAMES = st.sampled_from(["", "a", "key", 'q"', "[,", "\\"])
SCALARS = NAMES | st.sampled_from([None, True, 0, -2.5, 10**25, "é", "\ud83d", "x" * 70])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.lists(VALUES, max_size=5) | st.dictionaries(NAMES, VALUES, max_size=5)
WINDOWS = st.integers(min_value=2, max_value=60)
CHANGES = st.lists(
    st.tuples(
        st.integers(min_value=0),
        st.integers(min_value=0, max_value=2),
        st.sampled_from(
            [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b" ", b"0", b"NaN", b"\xff", b"\x00"]
        ),
    ),
    max_size=2,
)


def what_becomes_of(read, payload):
    """The value, or what stands in the error."""
    try:
        return repr(read(payload))
    except NotJson as error:
        return error.reason, error.text, error.position


@given(
    document=DOCUMENTS, indent=st.sampled_from([None, 1]), changes=CHANGES, mark=st.booleans(), window=WINDOWS
)
@example(document=[1, 2], indent=None, changes=[(1, 0, b",")], mark=False, window=2)
def test_whatever_the_pieces_the_value_and_the_errors_are_those_of_the_whole(
    document, indent, changes, mark, window
):
    """Of text with mistakes too."""
    payload = json.dumps(document, indent=indent).encode()
    for at, removed, inserted in changes:
        at %= len(payload) + 1
        payload = payload[:at] + inserted + payload[at + removed :]
    if mark:
        payload = b"\xef\xbb\xbf" + payload

    assert what_becomes_of(loads, payload) == what_becomes_of(
        lambda payload: take_all(loads_in_pieces(payload, window)), payload
    )


def nested(depth):
    return [1] if depth == 0 else [nested(depth - 1), {"name": nested(depth - 1)}]


LARGE = {
    "small objects": [{"name": "x" * 20, "n": number} for number in range(20_000)],
    "one member": {
        "Records": [{"key": f"{number}", "of": [{}, {"a": [number]}]} for number in range(10_000)]
    },
    "members": {f"key {number}": number for number in range(40_000)},
    "deep": nested(14),
    "a string": {"body": 'a "quoted" word \\ ' * 40_000},
    "spaces": json.loads("[" + " " * 400_000 + "1]"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_no_step_reads_more_than_twice_the_window(kind):
    """What the parser is given at a time; strings, which it copies, are the exception."""
    payload = json.dumps(LARGE[kind]).encode()
    steps, taken = loads_in_pieces(payload), count()
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            document = stop.value
            break
        next(taken)

    assert LARGE[kind] == document
    assert next(taken) >= len(payload) // 131_072


def test_text_nested_deeper_than_parsers_go_is_refused():
    payload = b"[0," * 200_000 + b"0" + b"]" * 200_000

    with pytest.raises(NotJson, match="Nested too deeply"):
        take_all(loads_in_pieces(payload, 16))


@pytest.mark.parametrize(
    ("payload", "open_container"), [(b'[[1], {"a": 1 "b"}]', "{"), (b'{"a": {}, "b": [1 2]}', "[")]
)
@pytest.mark.parametrize("window", [4, 1_000])
def test_an_error_knows_which_container_is_open_where_it_is(payload, open_container, window):
    with pytest.raises(NotJson) as caught:
        take_all(loads_in_pieces(payload, window))

    before = caught.value.before
    assert open_container == max("[{", key=before.rfind)
