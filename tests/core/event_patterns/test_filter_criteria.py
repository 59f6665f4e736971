"""Filter criteria: EventBridge patterns, held against the record of a message."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.event_patterns.filter_criteria import FilterError, compile_filter, filter_criteria

RECORD = {
    "messageId": "m",
    "body": "",
    "attributes": {"ApproximateReceiveCount": "1", "SenderId": "me"},
    "messageAttributes": {"kind": {"stringValue": "order", "dataType": "String"}},
    "eventSource": "aws:sqs",
    "awsRegion": "us-east-1",
}


def passes(body, *patterns):
    """Whether a message with this body (text, or what becomes JSON) passes."""
    text = body if isinstance(body, str) else json.dumps(body)
    return filter_criteria(patterns, "body").passes(text, lambda: {**RECORD, "body": text})


def inside(*conditions):
    """The pattern that wants one of these of the key `a` within the body."""
    return {"body": {"a": list(conditions)}}


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("body", "pattern", "expected"),
    [
        ('{"a": 1}', {"body": {"a": [1]}}, True),
        ("plain", {"body": {"a": [1]}}, False),
        ("{broken", {"body": {"a": [1]}}, False),
        ('"a"', {"body": {"a": [1]}}, False),
        ("plain", {"body": ["plain"]}, True),
        ("other", {"body": ["plain"]}, False),
        ("plain text", {"body": [{"prefix": "plain"}]}, True),
        ('{"a": 1}', {"body": [{"prefix": "{"}]}, False),
        ("[1]", {"body": ["[1]"]}, False),
        ("12", {"body": ["12"]}, True),
        ("anything", {"eventSource": ["aws:sqs"]}, True),
        ('{"a": 1}', {"eventSource": ["aws:sqs"]}, True),
        ('{"a": 1}', {"eventSource": ["aws:s3"]}, False),
        ('{"a": 1}', {"eventSource": ["aws:sqs"], "body": {"a": [2]}}, False),
        ('{"a": 1}', {"messageAttributes": {"kind": {"stringValue": ["order"]}}}, True),
        ('{"a": 1}', {"body.a": [1]}, True),
        ('{"a": {"b": 1}}', {"body": {"a.b": [1]}}, True),
        ('[{"a": 1}]', {"body": {"a": [1]}}, True),
    ],
)
def test_a_pattern_for_json_drops_plain_text_and_the_other_way_round(body, pattern, expected):
    """Without a word on the body nothing is said of its format."""
    assert expected == passes(body, pattern)


def test_filters_are_alternatives_keys_are_not():
    """A message passes if one filter matches, all keys of it."""
    patterns = {"body": {"a": [1], "b": [1]}}, {"body": {"c": [1]}}

    assert [True, False, True, False] == [
        passes(body, *patterns) for body in ({"a": 1, "b": 1}, {"a": 1}, {"c": 1}, {})
    ]
    assert passes("anything")


def test_a_pattern_is_text_or_a_table():
    """Of duplicate keys in a text the last one counts."""
    assert passes({"a": 2}, '{"body": {"a": [1], "a": [2]}}')
    assert passes({"a": 2}, {"body": {"a": [2]}})


# ---------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("conditions", "good", "bad"),
    [
        (["x"], ["x"], ["X", "", None, 1, True]),
        ([1], [1, 1.0], ["1", True, 2]),
        ([True], [True], [1, "true", False]),
        ([None], [None], ["", 0, "null"]),
        ([""], [""], [None, " "]),
        (["x", 5], ["x", 5], ["y"]),
        ([{"prefix": "ab"}], ["ab", "abc"], ["a", "AB", 5]),
        ([{"prefix": {"equals-ignore-case": "aB"}}], ["AB", "abc"], ["b"]),
        ([{"suffix": "yz"}], ["yz", "xyz"], ["y", "YZ"]),
        ([{"suffix": {"equals-ignore-case": "yZ"}}], ["YZ", "xyz"], ["z"]),
        ([{"equals-ignore-case": "Ab"}], ["ab", "AB"], ["abc", 1]),
        ([{"wildcard": "a*c"}], ["ac", "abc", "abcc"], ["ab", "bac", ""]),
        ([{"wildcard": "*b*d*"}], ["bd", "abcde"], ["db", "b"]),
        ([{"wildcard": r"a\*"}], ["a*"], ["ab", "a"]),
        ([{"wildcard": "ab*ba"}], ["abba", "abxba"], ["aba"]),
        ([{"anything-but": "x"}], ["y", 1], ["x"]),
        ([{"anything-but": ["x", 1]}], ["y", 2], ["x", 1]),
        ([{"anything-but": {"prefix": "x"}}], ["y", 1], ["xy"]),
        ([{"anything-but": {"suffix": ["x", "y"]}}], ["z"], ["ax", "by"]),
        ([{"anything-but": {"equals-ignore-case": "x"}}], ["y"], ["X"]),
        ([{"anything-but": {"wildcard": "*x*"}}], ["y"], ["axb"]),
        ([{"numeric": ["=", 5]}], [5, 5.0], ["5", 6, True]),
        ([{"numeric": [">", 0, "<=", 5]}], [0.1, 5], [0, 5.1]),
        ([{"numeric": [">=", 0.1]}], [0.1, 7], [0.09]),
        ([{"cidr": "10.0.0.0/24"}], ["10.0.0.0", "10.0.0.255"], ["10.0.1.0", "text", 5]),
        ([{"cidr": "2001:db8::/32"}], ["2001:db8::1"], ["2001:db9::1", "10.0.0.1"]),
        ([{"exists": True}], ["", None, 0, ["x"]], [{"b": 1}, []]),
    ],
)
def test_conditions_hold_for_what_they_say(conditions, good, bad):
    """Text is exact and case-sensitive, numbers are numbers."""
    pattern = inside(*conditions)

    assert [True] * len(good) == [passes({"a": value}, pattern) for value in good]
    assert [False] * len(bad) == [passes({"a": value}, pattern) for value in bad]
    assert not passes({}, pattern)


def test_what_is_to_be_absent_must_be_absent():
    """Alone, or as an alternative."""
    assert [True, False] == [passes(body, inside({"exists": False})) for body in ({}, {"a": None})]
    assert [True, True, False] == [
        passes(body, inside({"exists": False}, "x")) for body in ({}, {"a": "x"}, {"a": "y"})
    ]


def test_arrays_match_if_one_element_does():
    """Of an array of objects the same element must have all fields."""
    assert passes({"a": ["x", "y"]}, inside("y"))
    assert passes({"a": [["x"], "y"]}, inside("x"))
    assert not passes({"a": []}, inside("x"))
    both = {"body": {"a": {"b": [1], "c": [2]}}}
    assert passes({"a": [{"b": 1, "c": 2}]}, both)
    assert not passes({"a": [{"b": 1}, {"c": 2}]}, both)


def test_or_gives_alternatives_within_a_level():
    """Anywhere: around the body, too. Something else under that name is a field."""
    pattern = {"body": {"$or": [{"a": [1]}, {"b": [1]}], "c": [1]}}
    assert [True, True, False, False] == [
        passes(body, pattern) for body in ({"a": 1, "c": 1}, {"b": 1, "c": 1}, {"a": 1}, {"c": 1})
    ]
    around = {"$or": [{"body": {"a": [1]}}, {"body": ["plain"]}], "awsRegion": ["us-east-1"]}
    assert [True, True, False] == [passes(body, around) for body in ({"a": 1}, "plain", "other")]
    assert passes({"$or": "x"}, {"body": {"$or": ["x"]}})


# ---------------------------------------------------------------- what is no pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "null",
        "text",
        '"text"',
        "[]",
        "{}",
        "{",
        '{"eventSource":"aws:sqs"}',
        '{"eventSource":[]}',
        '{"body":null}',
        '{"body":{}}',
        '{"body":{"a":{}}}',
        '{"body":{"a":[["x"]]}}',
        '{"body":{"a":[{}]}}',
        '{"body":{"a":[{"prefix":"x","suffix":"y"}]}}',
        '{"body":{"a":[{"what":"x"}]}}',
        '{"body":{"a":[{"prefix":1}]}}',
        '{"body":{"a":[{"prefix":{"suffix":"x"}}]}}',
        '{"body":{"a":[{"wildcard":"a**b"}]}}',
        '{"body":{"a":[{"wildcard":"a\\\\b"}]}}',
        '{"body":{"a":[{"exists":"yes"}]}}',
        '{"body":{"a":[{"anything-but":[]}]}}',
        '{"body":{"a":[{"anything-but":[["x"]]}]}}',
        '{"body":{"a":[{"anything-but":{"numeric":["=",1]}}]}}',
        '{"body":{"a":[{"anything-but":{"prefix":[]}}]}}',
        '{"body":{"a":[{"anything-but":{"prefix":"x","suffix":"y"}}]}}',
        '{"body":{"a":[{"numeric":[]}]}}',
        '{"body":{"a":[{"numeric":["~",1]}]}}',
        '{"body":{"a":[{"numeric":["=","1"]}]}}',
        '{"body":{"a":[{"numeric":["<",1,">",0]}]}}',
        '{"body":{"a":[{"numeric":[">",1,"<",1]}]}}',
        '{"body":{"a":[{"numeric":[{},1]}]}}',
        '{"body":{"a":[{"cidr":"10.0.0.0"}]}}',
        '{"body":{"a":[{"cidr":"10.0.0.0/99"}]}}',
        '{"$or":[{"body":{}}]}',
        '{"$or":[{}, {"body":["x"]}]}',
        '{"body":' + '{"a":' * 100 + '["x"]' + "}" * 101,
        '{"body":["' + "x" * 4096 + '"]}',
        {"body": {"a": [object()]}},
    ],
)
def test_what_is_no_pattern_is_refused(pattern):
    """With a reason; AWS gives none."""
    with pytest.raises(FilterError) as caught:
        compile_filter(pattern, "body")

    assert str(caught.value).startswith("Invalid filter pattern definition: ")
    assert caught.value.reason


# ---------------------------------------------------------------- properties

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from(["", "x", "xy"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab."), inner, max_size=3),
    max_leaves=12,
)
texts = st.sampled_from(["", "x", "a*b", "$or", "exists", "prefix", "numeric", ">", "body", "10.0.0.0/8"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(["body", "anything-but", "wildcard"]), inner, max_size=3)
    ),
    max_leaves=15,
)


@given(anything, documents)
def test_whatever_is_given_is_a_pattern_or_refused_and_then_matches_anything(pattern, body):
    """Nothing else is ever raised."""
    try:
        filters = filter_criteria([json.dumps(pattern)], "body")
    except FilterError:
        return
    assert filters.passes(json.dumps(body), lambda: RECORD) in (True, False)


@given(st.text("ab*", max_size=8).filter(lambda text: "**" not in text), st.text("ab", max_size=8))
def test_wildcards_are_what_a_regular_expression_says(pattern, text):
    """`*` is any run of characters."""
    expected = re.fullmatch(pattern.replace("*", ".*"), text) is not None

    assert expected == passes({"a": text}, inside({"wildcard": pattern}))
