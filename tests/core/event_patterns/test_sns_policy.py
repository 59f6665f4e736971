"""Filter policies of SNS: both scopes, limits, and AWS's words for what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.sns_policy import FilterPolicy, PolicyScope


def attributes(policy, given):
    """Whether these attributes pass."""
    return FilterPolicy(policy, PolicyScope.ATTRIBUTES).matches_attributes(given)


def body(policy, text):
    """Whether this body passes."""
    return FilterPolicy(policy, PolicyScope.BODY).matches_body(text)


@pytest.mark.parametrize(
    ("policy", "good", "bad"),
    [
        ('{"a":["x"]}', [{"a": "x"}, {"a": ["y", "x"]}], [{}, {"a": "y"}, {"a": 1}]),
        ('{"a":[1]}', [{"a": 1}, {"a": 1.0}], [{"a": "1"}]),
        ('{"a":[{"anything-but":["x",1]}]}', [{"a": "y"}, {"a": 2}], [{}, {"a": "x"}, {"a": 1}]),
        ('{"a":[{"anything-but":{"prefix":"x"}}]}', [{"a": "y"}], [{}, {"a": "xy"}]),
        ('{"a":[{"equals-ignore-case":"X"}]}', [{"a": "x"}], [{"a": "y"}]),
        ('{"a":[{"numeric":[">=",1,"<",2]}]}', [{"a": 1}, {"a": 1.9}], [{"a": 2}, {"a": "1"}]),
        ('{"a":[{"exists":false}]}', [{}], [{"a": "x"}]),
        ('{"a":[{"cidr":"10.0.0.0/8"}]}', [{"a": "10.1.1.1"}], [{"a": "11.1.1.1"}]),
        ('{"$or":[{"a":["x"]},{"b":["y"]}]}', [{"a": "x"}, {"b": "y"}], [{}, {"a": "y"}]),
        ("{}", [{}, {"a": "x"}], []),
    ],
)
def test_attributes_match_by_their_type(policy, good, bad):
    """Of a list one element is enough."""
    assert [True] * len(good) + [False] * len(bad) == [attributes(policy, one) for one in good + bad]


@pytest.mark.parametrize(
    ("policy", "good", "bad"),
    [
        ('{"a":{"b":["x"]}}', ['{"a":{"b":"x"}}', '{"a":[{"b":"x"}]}'], ['{"a":"x"}', "x", "", "[1]"]),
        ('{"a":[{"exists":false}]}', ["{}"], ['{"a":1}', "text", '[{"b":1}]']),
        ("{}", ["text"], []),
    ],
)
def test_a_body_matches_if_it_is_an_object_that_does(policy, good, bad):
    """At any depth."""
    assert [True] * len(good) + [False] * len(bad) == [body(policy, one) for one in good + bad]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{", "failed to parse JSON."),
        ('{"a":[{"suffix":1}]}', "suffix match pattern must be a string"),
        ('{"a":[{"anything-but":{"suffix":"x"}}]}', "Unsupported anything-but pattern: suffix"),
        ('{"a":[{"anything-but":{"prefix":false}}]}', "prefix match pattern must be a string"),
        ('{"a":{"b":"x"}}', '"b" must be an object or an array'),
        ('{"a":[{"wildcard":"*"}]}', "Unrecognized match type wildcard"),
        ('{"a":[{"numeric":[">",1,">",2]}]}', "Bad numeric range operator: >"),
        ('{"a":[{"cidr":1}]}', "prefix match pattern must be a string"),
        ('{"a":[{"cidr":"10.0.0.0"}]}', "Malformed CIDR, one '/' required"),
        (
            '{"a":{"b":["x"]}}',
            "Filter policy scope MessageAttributes does not support nested filter policy",
        ),
        (
            '{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}',
            "Filter policy can not have more than 5 keys",
        ),
        ('{"a":["' + '","'.join("abcdefghijklm") + '"],"b":[1,2,3,4,5,6,7,8,9,10,11,12]}', "too complex"),
    ],
)
def test_what_is_no_policy_is_refused(policy, expected):
    """In AWS's words; the place in the text is the same as with EventBridge."""
    with pytest.raises(PatternError) as caught:
        FilterPolicy(policy, PolicyScope.ATTRIBUTES)

    assert caught.value.reason.endswith(expected)


def test_values_count_by_the_level_they_stand_at():
    """The example of the guide: 4 values at level 3, 3 at level 2 and 3 at level 1 are 216."""
    nested = '{"a":{"b":{"c":[1,2,3,4]}},"d":{"e":[1,2,3]},"f":[1,2,3]}'
    with pytest.raises(PatternError) as caught:
        FilterPolicy(nested, PolicyScope.BODY)

    assert "Filter policy is too complex" == caught.value.reason
    assert body('{"a":{"b":{"c":[1,2]}},"f":[1,2,3]}', '{"a":{"b":{"c":1}},"f":3}')
    many = ",".join(str(number) for number in range(75))
    assert attributes(f'{{"$or":[{{"a":[{many}]}},{{"b":[{many}]}}]}}', {"b": 74})


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), min_size=1
    ),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz")),
)
def test_every_key_must_have_one_of_its_values(policy, given):
    """As the plain words of the guide say."""
    text = str(policy).replace("'", '"')
    expected = all(given.get(key) in values for key, values in policy.items())

    assert expected is attributes(text, given)
