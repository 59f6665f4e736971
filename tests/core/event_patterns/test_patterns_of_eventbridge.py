"""Rule patterns of EventBridge: recorded verdicts, the places of errors, and what holds for all."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.event_patterns.dialects import Dialect
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.pattern import compile_pattern, pattern_text

RECORDED = [
    json.loads(line) for line in Path(__file__).with_name("recorded_verdicts.jsonl").read_text().splitlines()
]
"""TestEventPattern, 2025-10: `p` held against `e` gave `r`, a verdict or why `p` is refused."""


def verdict(pattern, document, dialect=Dialect.EVENTBRIDGE):
    """Whether it matches, or the reason why the pattern is none."""
    try:
        return compile_pattern(pattern, dialect).matches(document)
    except PatternError as error:
        return error.reason


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: json.dumps(row["p"])[:60])
def test_what_aws_answered_is_answered(row):
    """Below `detail`, where it was recorded, and at the top."""
    expected = row["r"]

    assert expected == verdict(row["p"], row["e"])
    assert expected == verdict({"detail": row["p"]}, {"detail": row["e"]})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        ('{"a":[[1]]}', "Match value must be String, number, true, false, or null"),
        ('{"a":[{}]}', "Match expression name not found"),
        ('{"a":[{"exists":1}]}', "exists match pattern must be either true or false."),
        ('{"a":[{"prefix":"a","suffix":"b"}]}', "Only one key allowed in match expression"),
        (
            '{"a":[{"anything-but":["x",1]}]}',
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        ),
        ('{"a":[{"anything-but":{"numeric":1}}]}', "Unsupported anything-but pattern: numeric"),
        ('{"a":[{"cidr":"1.2.3.4/9/8"}]}', "Malformed CIDR, one '/' required"),
        ('{"a":[{"cidr":"x/8"}]}', "Nonstandard IP address: x"),
        ('{"a":[{"numeric":["=","1"]}]}', "Value of equals must be numeric"),
        ('{"a":[{"numeric":["=",1,"<",2]}]}', "Too many elements in numeric expression"),
        ('{"a":[{"numeric":[">",2,"<",1]}]}', "Bottom must be less than top"),
        ('{"a":[{"wildcard":"a\\\\b"}]}', "Invalid escape character at pos 1"),
        ('{"$or":[{"a":[1]}]}', "There must have at least 2 Objects in $or relationship."),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(pattern, expected):
    """The first thing that is wrong is told."""
    assert expected == verdict(pattern, {})


@pytest.mark.parametrize(
    ("pattern", "line", "column"),
    [
        ('{"a":"x"}', 1, 7),
        ('{"a":12}', 1, 8),
        ('{"a": []}', 1, 9),
        ('{"a":\n [{"EXISTS":true}]}', 2, 17),
        ('{"k":["]"],"a":["x",["y"]]}', 1, 22),
        ('{"a":[{"exists":true,"prefix":"x"}]}', 1, 32),
        ('{"a":[{"numeric":[">",2,"<",1]}]}', 1, 31),
        ('{"a":[1],"a":[{"numeric":[">"]}]}', 1, 31),
        ('{"a":[{"wildcard":"**"}]}', 1, 23),
        ('{"\\u0061":[{"cidr":"x"}]}', 1, 23),
    ],
)
def test_an_error_names_the_line_and_the_column(pattern, line, column):
    """The column is one beyond what has been read of the text."""
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern, Dialect.EVENTBRIDGE)

    assert caught.value.located(pattern) == (
        f'{caught.value.reason}\n at [Source: (String)"{pattern}"; line: {line}, column: {column}]'
    )


def test_of_a_long_pattern_the_error_shows_the_beginning():
    """500 characters of it."""
    pattern = '{"' + "k" * 600 + '":1}'
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern, Dialect.EVENTBRIDGE)

    assert f'"{pattern[:500]}"[truncated 106 chars]; line: 1, column: 606]' in caught.value.located(pattern)


def test_a_field_may_be_called_or():
    """If what it wants are no objects, or conditions."""
    assert verdict({"$or": ["x"]}, {"$or": "x"}) is True
    assert verdict({"$or": [{"prefix": "x"}, {"suffix": "y"}]}, {"$or": "xz"}) is True


# ---------------------------------------------------------------- properties

leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["", "x", "a*b"])
names = st.sampled_from(
    ["a", "b", "a.b", "$or", "exists", "prefix", "anything-but", "numeric", "cidr", "wildcard", ">", "<="]
)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
flat_documents = st.dictionaries(st.sampled_from("abc"), leaves, min_size=1)


@given(documents, documents, st.sampled_from(Dialect))
def test_whatever_is_given_is_a_pattern_or_refused_with_a_place_and_matches_anything(
    pattern, document, dialect
):
    """Nothing else is ever raised, and the place is within the text."""
    text = json.dumps(pattern, indent=1)
    try:
        matched = compile_pattern(text, dialect).matches(document)
    except PatternError as error:
        refused = error
    else:
        assert matched in (True, False)
        return
    located = refused.located(text)

    assert located.startswith(refused.reason)
    assert (refused.path is None) or "; line: " in located


@given(flat_documents)
def test_a_document_matches_the_pattern_made_of_it(document):
    """Each value is equal to itself."""
    pattern = {key: [value] for key, value in document.items()}

    assert verdict(pattern, document) is True


@given(flat_documents, st.sampled_from("abc"), leaves)
def test_anything_but_is_the_opposite_of_equal_where_something_is(document, key, value):
    """Of null and booleans nothing can be said."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return
    there = key in document

    assert verdict({key: [{"anything-but": value}]}, document) is (
        there and not verdict({key: [value]}, document)
    )


@given(st.lists(flat_documents, min_size=2, max_size=4), flat_documents)
def test_or_is_true_if_one_of_its_ways_is(ways, document):
    """And a list of values is a list of ways, too."""
    patterns = [{key: [value] for key, value in way.items()} for way in ways]

    assert verdict({"$or": patterns}, document) is any(verdict(way, document) for way in patterns)


@given(flat_documents)
def test_dots_and_nesting_are_the_same_in_patterns_and_documents(document):
    """Each way round."""
    pattern = {key: [value] for key, value in document.items()}
    nested, dotted = {"o": document}, {f"o.{key}": value for key, value in document.items()}

    for wanted in ({"o": pattern}, {f"o.{key}": value for key, value in pattern.items()}):
        assert [True, True] == [verdict(wanted, nested), verdict(wanted, dotted)]


def test_the_text_of_a_table_is_its_json():
    """Errors are located in it."""
    assert '{"a":[1]}' == pattern_text({"a": [1]})


@pytest.mark.parametrize("dialect", Dialect)
def test_dots_in_a_key_are_levels_of_nesting(dialect):
    """A long key is refused when it is read: no document could make the match end in a RecursionError."""
    deepest = ".".join(["a"] * 65)

    assert verdict({deepest: [1]}, {"a": {"b": 1}}, dialect) is False
    assert "nested deeper than 64 levels" == verdict({deepest + ".a": [1]}, {}, dialect)
    assert "nested deeper than 64 levels" == verdict({"b": {deepest: [1]}}, {}, dialect)
