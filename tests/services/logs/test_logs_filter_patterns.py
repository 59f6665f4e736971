"""Filter patterns: the tables of AWS's guide, and what must hold for any terms and lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.logs.filter_patterns import BadPattern, compiled
from engine.services.logs.filter_patterns.regular_expressions import Search

BAD_REQUEST = "[ERROR 400] BAD REQUEST"
UNAUTHORIZED = "[ERROR 401] UNAUTHORIZED REQUEST"
MISSING = "[ERROR 419] MISSING ARGUMENTS"
INVALID = "[ERROR 420] INVALID ARGUMENTS"
FAILED = "[INFO] REQUEST FAILED"
ERRORS = (BAD_REQUEST, UNAUTHORIZED, MISSING, INVALID)

TRAIL = (
    '{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", '
    '"another value"], "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, '
    '"cluster.name": "c"}'
)
USERS = (
    '{"user": {"id": 1, "email": "John.Stiles@example.com"}, "users": [{"id": 2, "email": '
    '"John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}], "actions": ["GET", "PUT", '
    '"DELETE"], "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]]}'
)
STILES = '$.user.email = "John.Stiles@example.com"'
NO_COORDINATE = '$.coordinates[0][1] = "nonmatch"'
NO_ACTION = '$.actions[2] = "nonmatch"'
REQUEST = '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
INFO = "INFO 09/25/2014 12:00:00 GET /service/resource/67 1200"
PART = "INFO 09/25/2014 12:00:01 POST /service/resource/67/part/111 1310"
WARNING = "WARNING 09/25/2014 12:00:02 Invalid user request"
ERROR = "ERROR 09/25/2014 12:00:02 Failed to process request"


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("", ERRORS),
        ('" "', ERRORS),
        ("ERROR", ERRORS),
        ("error", ()),
        ("ERROR ARGUMENTS", (MISSING, INVALID)),
        ("?BAD ?ARGUMENTS", (BAD_REQUEST, MISSING, INVALID)),
        ("?BAD ?ARGUMENTS REQUEST", (BAD_REQUEST, UNAUTHORIZED)),
        ("ERROR -ARGUMENTS", (BAD_REQUEST, UNAUTHORIZED)),
        ('"BAD REQUEST"', (BAD_REQUEST,)),
        ('-"BAD REQUEST" -MISSING', (UNAUTHORIZED, INVALID)),
        ("%AUTHORIZED%", (UNAUTHORIZED,)),
        (r"%4[0-9]{2}\] (BAD)?%".replace("(BAD)?", "BAD"), (BAD_REQUEST,)),
    ],
)
def test_terms_choose_the_lines_of_the_guide(pattern, matched):
    matches = compiled(pattern)

    assert matched == tuple(line for line in ERRORS if matches(line))


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ('{ $.eventType = "UpdateTrail" }', TRAIL),
        ("{ $.sourceIPAddress != 123.123.* }", TRAIL),
        ('{ $.arrayKey[0] = "value" }', TRAIL),
        ("{ $.eventType = %Trail% }", TRAIL),
        ("{ $.arrayKey[*] = %val.{2}% }", TRAIL),
        (r"{ $.* = %111\.111\.111\.1[0-9]{1,2}% }", TRAIL),
        ("{ $.['cluster.name'] = \"c\" }", TRAIL),
        ("{ $.SomeObject IS NULL }", TRAIL),
        ("{ $.SomeOtherObject NOT EXISTS }", TRAIL),
        ("{ $.objectList[1].id >= 2 }", TRAIL),
        ('{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', USERS),
        (f"{{ {STILES} || {NO_COORDINATE} && {NO_ACTION} }}", USERS),
        ("{ $.number[0] = 1e+3 }", '{"number": [1000]}'),
        ("{ $.number[0] != 1e-3 }", '{"number": [1000]}'),
        ("{$.latency<50}", '{"latency": 49.5}'),
        ("{ $.latency = * }", '{"latency": 0}'),
        ("{ $.ok IS TRUE && $.bad IS FALSE }", '{"ok": true, "bad": false}'),
        ("{ $.status = 4* }", '{"status": 404}'),
        ('{ $.detail-type = "x" }', '{"detail-type": "x"}'),
        ("{ $.event = Ev*ent }", '{"event": "Ev*ent"}'),
        (
            r"[ip=%127\.0\.0\.[1-9]%, user, username, timestamp, request =*.html*, status_code = 4*, bytes]",
            REQUEST,
        ),
        ("[..., request =*.html*, status_code = 4*, bytes]", REQUEST),
        (
            "[ip, user, name, timestamp, request =*.html*, status_code = 404 || status_code = 410, bytes]",
            REQUEST,
        ),
        ('[ip, ..., request="GET /index.html HTTP/1.0", status, bytes > 1000]', REQUEST),
        ("[w1=ERROR, w2]", ERROR),
        ("[w1=ERROR || w1=WARNING, w2]", WARNING),
        ("[w1!=ERROR && w1!=WARNING, w2]", INFO),
        ("[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]", INFO),
        (
            "[logLevel, date, time, method, url=%/service/resource/[0-9]+/part/[0-9]+$%, response_time]",
            PART,
        ),
        ("[]", REQUEST),
    ],
)
def test_patterns_of_the_guide_match_its_lines(pattern, line):
    assert compiled(pattern)(line)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("{ $.users = 1 }", '{"users": [1, 2, 3]}'),
        ("{ $.users != 1 }", '{"users": [1, 2, 3]}'),
        ("{ $.absent != 1 }", TRAIL),
        ("{ $.SomeObject NOT EXISTS }", TRAIL),
        ("{ $.eventType = Update }", TRAIL),
        ("{ $.event = Ev*ent }", '{"event": "Event"}'),
        ('{ $.a = "x" }', "a is x"),
        ('{ $.a = "x" }', '{"a": "x"'),
        ("{ $.latency < 50 }", '{"latency": true}'),
        (f"{{ ({STILES} || {NO_COORDINATE}) && {NO_ACTION} }}", USERS),
        ('{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', USERS),
        ("[w1=ERROR, w2]", "ERROR"),
        ("[w1=ERROR || w1=WARNING, w2]", INFO),
        ("[w1!=ERROR && w1!=WARNING, w2]", ERROR),
        ("[a, b=2*]", "1 2 3"),
        ("[..., status = 5*, bytes]", REQUEST),
        ("[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]", PART),
    ],
)
def test_what_is_not_as_the_pattern_says_does_not_match(pattern, line):
    assert not compiled(pattern)(line)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("email@domain.com", "Invalid character(s) in term '@'"),
        ("?Status: timeout", "Invalid character(s) in term ':'"),
        ("not !(a)", "Invalid character(s) in term '!('"),
        ('""', "Invalid character(s) in term '\"\"'"),
        ('{ $."sc-status" = 5* }', "Invalid character(s) in term '$.\"'"),
        ('{ $.message = "a", $.path = "b" }', "Invalid character(s) in term ','"),
        ("{ $.a = 1", "Invalid filter pattern"),
        ("{ $.a }", "Invalid character(s) in term '}'"),
        ("[a, b", "Invalid filter pattern"),
        ("%a(b)%", "Invalid filter pattern"),
        ("%a[2%", "Invalid filter pattern"),
        ("%a++b%", "Invalid filter pattern"),
        ("%a$b%", "Invalid filter pattern"),
        ("%a{5000}%", "Invalid filter pattern"),
        ("{ $.*.b[*] = 1 }", "Invalid filter pattern"),
        ("{ " + "(" * 500 + "$.a = 1" + ")" * 500 + " }", "Invalid filter pattern"),
    ],
)
def test_what_follows_no_syntax_is_refused(pattern, message):
    with pytest.raises(BadPattern) as caught:
        compiled(pattern)

    assert message == str(caught.value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_pattern_or_is_refused_and_no_line_is_too_odd(pattern, line):
    try:
        matches = compiled(pattern)
    except BadPattern:
        return
    assert matches(line) in (True, False)


TERMS = st.lists(
    st.text(st.characters(exclude_characters='"\\'), min_size=1, max_size=8), min_size=1, max_size=4
)


def quoted(text):
    return f'"{text}"'


@given(TERMS, TERMS)
def test_terms_are_what_python_says_of_substrings(terms, line):
    text = " ".join(line)
    counted = [term for term in terms if term.strip()]
    everything = " ".join(map(quoted, terms))
    anything = " ".join(f"?{quoted(term)}" for term in terms)
    nothing = " ".join(f"-{quoted(term)}" for term in counted)

    assert all(term in text for term in counted) == compiled(everything)(text)
    assert (len(counted) < len(terms) or any(term in text for term in terms)) == compiled(anything)(text)
    assert (not any(term in text for term in counted)) == compiled(nothing)(text)


NUMBERS = st.integers(-(10**6), 10**6)


@given(NUMBERS, NUMBERS)
def test_numbers_compare_as_numbers(value, bound):
    line = f'{{"n": {value}}}'
    found = {sign: compiled(f"{{ $.n {sign} {bound} }}")(line) for sign in ("=", "!=", "<", "<=", ">", ">=")}

    assert {
        "=": value == bound,
        "!=": value != bound,
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
    } == found


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_and_binds_more_than_or(truths):
    line = f'{{"a": {int(truths[0])}, "b": {int(truths[1])}, "c": {int(truths[2])}}}'
    a, b, c = truths

    assert (a or (b and c)) == compiled("{ $.a = 1 || $.b = 1 && $.c = 1 }")(line)
    assert ((a or b) and c) == compiled("{ ($.a = 1 || $.b = 1) && $.c = 1 }")(line)


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\x61", "{", "]", "[]a]", r"\.", r"\ "])
COUNTS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "{0}"])
ALTERNATIVES = st.tuples(
    st.sampled_from(["", "", "^"]),
    st.lists(st.tuples(ATOMS, COUNTS).map("".join), min_size=1, max_size=6).map("".join),
    st.sampled_from(["", "", "$"]),
)


@given(
    st.lists(ALTERNATIVES.map("".join), min_size=1, max_size=3).map("|".join),
    st.text("ab1.]{ \n", max_size=14),
)
def test_a_regular_expression_means_in_a_long_message_what_it_means_in_a_short_one(body, line):
    expected = re.compile(body, re.ASCII).search(line) is not None
    search = Search()
    search.read(body)

    assert expected == compiled(f"%{body}%")(line)
    assert expected == search.finds(line)


@pytest.mark.parametrize(
    "pattern", ["%a*a*a*a*a*a*a*a*b%", "%a*b%", "{ $.x = %a?a*a?a*b% }", "%a{0,9}a{1000}b%"]
)
def test_no_regular_expression_takes_more_than_time_in_proportion_to_a_message(pattern):
    """Each step of the search is one for a character; `re` alone would not end in this test's time."""
    matches, line = compiled(pattern), "a" * 20_000

    assert not matches(line if pattern.startswith("%") else f'{{"x": "{line}"}}')
    assert matches(line + "b" if pattern.startswith("%") else f'{{"x": "{line}b"}}')


def test_of_a_long_message_a_hostile_expression_sees_the_beginning_and_a_plain_one_all():
    line = " " * 1_000_000 + "error"

    assert compiled("%error%")(line)
    assert not compiled("%er*or%")(line)
    assert compiled("%er*or%")("error" + line)
    assert not compiled("%^ *$%")(line), "the end of what it sees is not that of the message"
