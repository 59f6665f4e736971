"""What answers with ReportBatchItemFailures mean, and answers of tumbling windows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.streams.batch_answers import WHOLE_BATCH, done_records, window_answer
from engine.core.streams.records import StreamRecord
from engine.core.streams.settings import MAX_STATE_BYTES

BATCH = [StreamRecord(number, str(number), "k", 0.0, 1, None) for number in (98, 99, 100)]


@pytest.mark.parametrize(
    ("body", "done"),
    [
        ("", 3),
        ('""', 3),
        ("[]", 3),
        ("null", 3),
        ("{}", 3),
        (" null ", 3),
        ('{"batchItemFailures": []}', 3),
        ('{"batchItemFailures": null}', 3),
        ('{"batchItemFailures": [{"itemIdentifier": "99"}]}', 1),
        ('{"batchItemFailures": [{"itemIdentifier": "98"}]}', 0),
        ('{"batchItemFailures": [{"itemIdentifier": "100"}, {"itemIdentifier": "99"}]}', 1),
        ('{"batchItemFailures": [{"itemIdentifier": ""}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"itemIdentifier": null}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"itemIdentifier": 123}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"itemIdentifier": 99}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"itemIdentifier": "123"}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"foo": 123}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"foo": null}]}', WHOLE_BATCH),
        ('{"batchItemFailures": [{"itemIdentifier": "99"}, {"foo": 1}]}', WHOLE_BATCH),
        ('{"batchItemFailures": ["99"]}', WHOLE_BATCH),
        ('{"batchItemFailures": "99"}', WHOLE_BATCH),
        ('"done"', 3),
        ("7", 3),
        ("[1]", 3),
        ('{"other": 1}', 3),
        ("no JSON", WHOLE_BATCH),
    ],
)
def test_how_far_an_answer_says_it_went(body: str, done: int) -> None:
    assert done == done_records(body.encode(), BATCH)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ('{"state": {"1": 282}}', '{"1":282}'),
        ('{"state": {}, "batchItemFailures": []}', "{}"),
        ("{}", None),
        ('{"state": null}', None),
        ('{"state": "text"}', None),
        ("null", None),
        ("no JSON", None),
    ],
)
def test_a_window_needs_a_state(body: str, state: str | None) -> None:
    assert state == window_answer(body.encode()).state


def test_a_state_above_a_megabyte_is_too_large() -> None:
    def is_too_large(size_bytes: int) -> bool:
        state = {"": "x" * (size_bytes - len('{"":""}'))}
        return window_answer(json.dumps({"state": state}).encode()).is_too_large

    assert [False, True] == [is_too_large(MAX_STATE_BYTES), is_too_large(MAX_STATE_BYTES + 1)]


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer(body: bytes) -> None:
    assert -1 <= done_records(body, BATCH) <= 3
    assert not window_answer(body).is_too_large
