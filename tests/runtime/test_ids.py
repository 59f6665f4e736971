"""Request ids look like UUIDs of version 4 and never repeat."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.ids import _ids, request_ids


def test_an_id_is_a_version_4_uuid_in_its_usual_text():
    """Clients parse it."""
    new = request_ids()
    for _ in range(5000):
        text = new()
        parsed = uuid.UUID(text)

        assert text == str(parsed)
        assert (4, uuid.RFC_4122) == (parsed.version, parsed.variant)


def test_a_hundred_thousand_ids_differ():
    """Of one source, and of another beside it."""
    one, other = request_ids(), request_ids()

    assert 200_000 == len({one() for _ in range(100_000)} | {other() for _ in range(100_000)})


@given(st.uuids(version=4))
def test_the_counter_passes_its_largest_value(seed):
    """It goes on from zero, within the same digits."""
    highest = str(seed)[:24] + "fffffffff" + str(seed)[33:]
    ids = _ids(highest)
    seen = [next(ids) for _ in range(4096 + 1)]

    assert str(seed)[:24] + "fffffffff" + "fff" == seen[4095]
    assert str(seed)[:24] + "000000000" + "000" == seen[4096]
