from __future__ import annotations

import copy
import functools
import json
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.durable.conformance.matching import (
    Bindings,
    callback_is_for,
    event_problems,
    log_problems,
    result_problems,
)

EXPECTED: dict[str, Any] = {
    "EventType": "StepFailed",
    "EventId": 2,
    "Id": "${ID1}",
    "Name": "${NAME}",
    "EventTimestamp": "*",
    "StepFailedDetails": {
        "Error": {"Payload": {"ErrorMessage": 'no "${NAME}"', "ErrorType": "${/Error$/}"}},
        "RetryDetails": {"CurrentAttempt": 1},
        "Tags": ["a", "*"],
        "More": {},
    },
}
ACTUAL: dict[str, Any] = {
    "EventType": "StepFailed",
    "EventId": 2,
    "Id": "an id",
    "Name": "reserve",
    "EventTimestamp": 1.5,
    "SubType": "Step",
    "StepFailedDetails": {
        "Error": {"Payload": {"ErrorMessage": 'no "reserve"', "ErrorType": "ValueError"}, "Truncated": False},
        "RetryDetails": {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 1},
        "Tags": ["a", "b"],
        "More": None,
    },
}


def bindings() -> Bindings:
    return Bindings({"NAME": "reserve", "ID1": "an id"})


def paths(document: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """To each member of it, and of what is in it."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from paths(value, *above, key)


def within(document: Any, path: Sequence[Any]) -> Any:
    return functools.reduce(operator.getitem, path, document)


def test_what_is_as_expected_matches_and_more_members_do_no_harm() -> None:
    assert [] == event_problems([EXPECTED], [ACTUAL, {"EventType": "More", "EventId": 3}], bindings())


@pytest.mark.parametrize("path", [path for path in paths(EXPECTED) if path != ("EventId",)], ids=str)
def test_each_member_that_is_expected_must_be_there(path: tuple[Any, ...]) -> None:
    actual = copy.deepcopy(ACTUAL)
    del within(actual, path[:-1])[path[-1]]
    assert event_problems([EXPECTED], [actual], bindings())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("Id",), "another id"),
        (("EventType",), "StepSucceeded"),
        (("StepFailedDetails", "Error", "Payload", "ErrorMessage"), 'no "other"'),
        (("StepFailedDetails", "Error", "Payload", "ErrorType"), "ValueErrors"),
        (("StepFailedDetails", "RetryDetails", "CurrentAttempt"), 2),
        (("StepFailedDetails", "Tags"), ["a", "b", "c"]),
        (("StepFailedDetails", "Error"), "a text"),
    ],
)
def test_a_value_that_differs_is_a_problem(path: tuple[Any, ...], value: Any) -> None:
    actual = copy.deepcopy(ACTUAL)
    within(actual, path[:-1])[path[-1]] = value
    assert 1 == len(event_problems([EXPECTED], [actual], bindings()))


def test_a_name_met_for_the_first_time_is_bound_and_must_agree_from_then_on() -> None:
    expected = [{"EventId": number, "EventType": "StepStarted", "Id": "${ID1}"} for number in (1, 2)]
    same = [{**event, "Id": "x"} for event in expected]
    assert [] == event_problems(expected, same, Bindings())
    assert ["event 2.Id: 'x' before, now 'y'"] == event_problems(
        expected, [same[0], {**same[1], "Id": "y"}], Bindings()
    )


def test_names_are_generated_as_long_as_told_and_replaced_where_they_are_known() -> None:
    bound = Bindings.of({"A": "${GEN_STR:8}", "B": "text"}, "a seed")
    assert 8 == len(bound["A"])
    assert {"a": [f"<{bound['A']}>", "text ${C}", 1]} == bound.substituted({"a": ["<${A}>", "${B} ${C}", 1]})


def test_a_result_is_compared_after_a_success_alone() -> None:
    wanted = {"ExecutionStatus": "SUCCEEDED", "Result": {"a": 1}}
    assert [] == result_problems(wanted, {"Status": "SUCCEEDED", "Result": '{"a": 1}'}, Bindings())
    assert result_problems(wanted, {"Status": "SUCCEEDED", "Result": '{"a": 2}'}, Bindings())
    assert result_problems(wanted, {"Status": "SUCCEEDED"}, Bindings())
    assert result_problems(wanted, {"Status": "FAILED"}, Bindings())
    assert [] == result_problems({"ExecutionStatus": "FAILED"}, {"Status": "FAILED"}, Bindings())


def test_an_action_is_for_callbacks_of_its_name() -> None:
    assert callback_is_for("*", {}, Bindings())
    assert callback_is_for("${N}", {"Name": "a"}, Bindings({"N": "a"}))
    assert callback_is_for("${/^a/}", {"Name": "abc"}, Bindings())
    assert not callback_is_for("a", {"Name": "ab"}, Bindings())


def logged(*messages: Any) -> list[dict[str, Any]]:
    return [
        {"timestamp": number, "message": message if isinstance(message, str) else json.dumps(message)}
        for number, message in enumerate(messages)
    ]


@pytest.mark.parametrize(
    ("entry", "problems"),
    [
        ({"match": {"message": "/ell/"}}, 0),
        ({"match": {"message": "hello"}, "count": 1}, 0),
        ({"match": {"message": "hello"}, "count": 2}, 1),
        ({"match": {"message": "/o/"}, "max_count": 1}, 0),
        ({"match": {"message": "bye"}}, 1),
        ({"match": {"n": 1, "first": True}}, 0),
        ({"match": {"n": 1, "first": 1}}, 1),
        ({"match": {"n": 1}, "after": [{"message": "hello"}]}, 0),
        ({"match": {"n": 1}, "before": {"message": "hello"}}, 1),
        ({"match": {"n": 1}, "after": {"message": "bye"}}, 1),
    ],
)
def test_records_are_counted_and_put_in_order(entry: dict[str, Any], problems: int) -> None:
    lines = logged("hello", {"n": 1, "first": True})
    assert problems == len(log_problems([entry], lines, Bindings()))
