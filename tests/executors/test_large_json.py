"""Results of megabytes are written in steps, as they are written at once."""

import math

import pytest

from engine.core.json_pieces import take_all
from engine.executors.large_json import encode_in_pieces
from engine.executors.marshal import MarshalError, encode

RECORDS = [{"name": f"n {number}", "n": number, "of": [1.5, None, {}]} for number in range(15_000)]

RESULTS = {
    "a list": RECORDS,
    "a tuple": tuple(RECORDS),
    "a member": {"statusCode": 200, "items": RECORDS, "next": [], "é": {"": "\n"}},
    "members": {f"key {number}": {"n": number} for number in range(40_000)},
    "one long text": {"body": 'a "text", ' * 100_000},
    "one text": "é" * 600_000,
    "after small ones": [*range(100), RECORDS, *range(100)],
    "not a number": [*RECORDS, math.nan, math.inf, 1e-7],
    "nested": [[[[RECORDS]], ()]],
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_written_in_steps_is_the_same(kind):
    """And there are about as many steps as there are pieces."""
    result = RESULTS[kind]
    expected, steps, count = encode(result), encode_in_pieces(result), 0
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            written = stop.value
            break
        count += 1

    assert expected == written
    assert "text" in kind or count > len(expected[0]) // 100_000


def test_a_result_that_changes_meanwhile_is_written_as_it_is_then():
    """Never half as it was before, half as it is afterwards."""
    result = [dict(record) for record in RECORDS]
    steps = encode_in_pieces(result)
    for _ in range(8):
        next(steps)
    result[0]["n"], result[-1]["n"] = "changed", "changed"

    assert encode(result) == take_all(steps)


def test_a_result_that_ceases_to_be_json_is_refused():
    result = [dict(record) for record in RECORDS]
    steps = encode_in_pieces(result)
    next(steps)
    next(steps)
    result[-1]["n"] = object()

    with pytest.raises(MarshalError, match="object is not JSON serializable"):
        take_all(steps)
