"""EventBridge's cron expressions, against the documentation's examples and a slow oracle."""

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.services.schedules.cron import Cron
from engine.services.schedules.expression import moments, parse, zone

BEGAN = datetime(2026, 1, 1)  # noqa: DTZ001  # local, naive
NAMES = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def times(text, count=3, since=BEGAN):
    """The first moments of `cron(text)`, as text."""
    return [moment.strftime("%Y-%m-%d %H:%M") for moment in islice(Cron.parse(text).moments(since), count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 10 * * ? *", ["2026-01-01 10:00", "2026-01-02 10:00", "2026-01-03 10:00"]),
        ("15 12 * * ? *", ["2026-01-01 12:15", "2026-01-02 12:15", "2026-01-03 12:15"]),
        ("0 18 ? * MON-FRI *", ["2026-01-01 18:00", "2026-01-02 18:00", "2026-01-05 18:00"]),
        ("0 8 1 * ? *", ["2026-01-01 08:00", "2026-02-01 08:00", "2026-03-01 08:00"]),
        ("0/15 * * * ? *", ["2026-01-01 00:00", "2026-01-01 00:15", "2026-01-01 00:30"]),
        ("0/10 * ? * mon-fri *", ["2026-01-01 00:00", "2026-01-01 00:10", "2026-01-01 00:20"]),
        ("0/30 20-2 ? * MON-FRI *", ["2026-01-01 00:00", "2026-01-01 00:30", "2026-01-01 01:00"]),
        ("0 9 ? * 2#1 *", ["2026-01-05 09:00", "2026-02-02 09:00", "2026-03-02 09:00"]),
        ("0 9 ? * WED#5 *", ["2026-04-29 09:00", "2026-07-29 09:00", "2026-09-30 09:00"]),
        ("0 9 ? * 6L *", ["2026-01-30 09:00", "2026-02-27 09:00", "2026-03-27 09:00"]),
        ("0 9 ? * L *", ["2026-01-03 09:00", "2026-01-10 09:00", "2026-01-17 09:00"]),
        ("0 9 ? * FRI-MON *", ["2026-01-02 09:00", "2026-01-03 09:00", "2026-01-04 09:00"]),
        ("0 9 L * ? *", ["2026-01-31 09:00", "2026-02-28 09:00", "2026-03-31 09:00"]),
        ("0 9 L-30 * ? *", ["2026-01-01 09:00", "2026-03-01 09:00", "2026-05-01 09:00"]),
        ("0 9 LW * ? *", ["2026-01-30 09:00", "2026-02-27 09:00", "2026-03-31 09:00"]),
        ("0 9 1W * ? *", ["2026-01-01 09:00", "2026-02-02 09:00", "2026-03-02 09:00"]),
        ("0 9 31W * ? *", ["2026-01-30 09:00", "2026-03-31 09:00", "2026-05-29 09:00"]),
        ("0 9 29 FEB ? *", ["2028-02-29 09:00", "2032-02-29 09:00", "2036-02-29 09:00"]),
        ("5,10 0 1 1,7 ? 2026-2027", ["2026-01-01 00:05", "2026-01-01 00:10", "2026-07-01 00:05"]),
        ("0 0 1 1 ? 2030/50", ["2030-01-01 00:00", "2080-01-01 00:00", "2130-01-01 00:00"]),
        ("0 9 31 2 ? *", []),
        ("0 9 1 1 ? 1999", []),
    ],
)
def test_the_moments_of_an_expression(text, expected):
    """Those of the documentation, and the corners of a calendar."""
    assert expected == times(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("* * * * *", "has 5 fields, not 6: minutes, hours, day-of-month, month, day-of-week, year"),
        ("* * * * * *", "one of day-of-month and day-of-week must be '?', and only one"),
        ("* * ? * ? *", "one of day-of-month and day-of-week must be '?', and only one"),
        ("60 * * * ? *", "minutes: 60 is not in 0 to 59"),
        ("* 24 * * ? *", "hours: 24 is not in 0 to 23"),
        ("* * 0 * ? *", "day-of-month: 0 is not in 1 to 31"),
        ("* * 32W * ? *", "day-of-month: 32 is not in 1 to 31"),
        ("* * L-31 * ? *", "day-of-month: 'L-31' is before the month begins"),
        ("* * * 13 ? *", "month: 13 is not in 1 to 12"),
        ("* * * MAI ? *", "month: 'MAI' is no value"),
        ("* * ? * 8 *", "day-of-week: 8 is not in 1 to 7"),
        ("* * ? * 2#6 *", "day-of-week: '#6' is not in 1 to 5"),
        ("* * ? * */2 *", "day-of-week: '/2' cannot be used here (AWS)"),
        ("* * * * ? 1969", "year: 1969 is not in 1970 to 2199"),
        ("* * * * ? 2030-2029", "year: '2030-2029' goes backwards"),
        ("*/0 * * * ? *", "minutes: '/0' is no step: it must be 1 or more"),
        ("5- * * * ? *", "minutes: '5-' is no value, range or step"),
        ("1,,2 * * * ? *", "minutes: '' is no value, range or step"),
        ("² * * * ? *", "minutes: '²' is no value, range or step"),
    ],
)
def test_what_eventbridge_would_not_take_is_refused_in_one_sentence(text, reason):
    """Field, value and bound."""
    with pytest.raises(ValueError, match=r".") as caught:
        Cron.parse(text)

    assert reason == str(caught.value)


# ---------------------------------------------------------------- an oracle that looks at every minute


def lists(low, high):
    """A field of plain values, with what it stands for."""
    return st.sets(st.integers(low, high), min_size=1, max_size=4).map(
        lambda found: (",".join(map(str, sorted(found))), found)
    )


def ranges(low, high):
    """A range with a step."""
    return st.tuples(st.integers(low, high), st.integers(low, high), st.integers(1, 9)).map(
        lambda t: (f"{min(t[:2])}-{max(t[:2])}/{t[2]}", set(range(min(t[:2]), max(t[:2]) + 1, t[2])))
    )


def field(low, high):
    return st.one_of(st.just(("*", set(range(low, high + 1)))), lists(low, high), ranges(low, high))


def last_day(day):
    return calendar.monthrange(day.year, day.month)[1]


def weekday(day):
    return day.isoweekday() % 7 + 1


def nearest(year, month, number):
    """The nearest day of the month from Monday to Friday, found by looking outwards."""
    wanted = date(year, month, number)
    for distance in range(3):
        for day in (wanted - timedelta(distance), wanted + timedelta(distance)):
            if day.month == month and day.isoweekday() <= 5:
                return day
    raise AssertionError


DAY_RULES = st.one_of(
    field(1, 31).map(lambda f: ((f[0], "?"), lambda day: day.day in f[1])),
    st.just((("L", "?"), lambda day: day.day == last_day(day))),
    st.just((("LW", "?"), lambda day: day == nearest(day.year, day.month, last_day(day)))),
    st.integers(1, 31).map(
        lambda n: ((f"{n}W", "?"), lambda day: n <= last_day(day) and day == nearest(day.year, day.month, n))
    ),
    st.integers(0, 30).map(lambda n: ((f"L-{n}", "?"), lambda day: day.day == last_day(day) - n)),
    lists(1, 7).map(lambda f: (("?", f[0]), lambda day: weekday(day) in f[1])),
    st.integers(1, 7).map(
        lambda n: (("?", f"{NAMES[n - 1]}L"), lambda day: weekday(day) == n and day.day > last_day(day) - 7)
    ),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map(
        lambda t: (
            ("?", f"{t[0]}#{t[1]}"),
            lambda day: weekday(day) == t[0] and (day.day - 1) // 7 + 1 == t[1],
        )
    ),
)


@settings(max_examples=25)
@given(field(0, 59), field(0, 23), DAY_RULES, field(1, 12), st.dates(date(2024, 1, 1), date(2032, 1, 1)))
def test_any_expression_agrees_with_looking_at_every_day(minutes, hours, days, months, since):
    """A slow oracle looks at each day of 14 months."""
    (month_days, week_days), matches = days
    cron = Cron.parse(f"{minutes[0]} {hours[0]} {month_days} {months[0]} {week_days} *")
    began = datetime(since.year, since.month, since.day)  # noqa: DTZ001  # local, naive
    until = began + timedelta(days=425)

    found = []
    for moment in cron.moments(began):
        if moment >= until or len(found) > 3000:
            break
        found.append(moment)

    expected = [
        began + timedelta(days=number, hours=hour, minutes=minute)
        for number in range(425)
        if (day := since + timedelta(days=number)).month in months[1] and matches(day)
        for hour in sorted(hours[1])
        for minute in sorted(minutes[1])
    ]
    assert expected[: len(found)] == found
    assert len(found) > 3000 or len(expected) == len(found)


@given(st.text(alphabet="0123456789*?/-,LW#MONSUNJAN ", max_size=40))
def test_no_text_makes_anything_but_a_sentence(text):
    """Whatever somebody types: it is parsed, or refused."""
    try:
        cron = Cron.parse(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017  # either is right
    else:
        next(cron.moments(BEGAN), None)


# ---------------------------------------------------------------- time zones


def local(text, where, since, count):
    after_s = datetime.fromisoformat(since).replace(tzinfo=UTC).timestamp()
    found = islice(moments(parse(text), after_s, zone(where)), count)
    return [datetime.fromtimestamp(moment_s, UTC).strftime("%m-%dT%H:%M") for moment_s in found]


def test_a_local_time_that_is_skipped_is_left_out():
    """Berlin has no 02:30 on 29 March 2026."""
    assert ["03-28T01:30", "03-30T00:30"] == local("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28", 2)


def test_an_at_that_is_skipped_never_fires():
    """As cron leaves that day out."""
    assert [] == local("at(2026-03-29T02:30:00)", "Europe/Berlin", "2026-01-01", 9)
    assert ["03-29T01:00"] == local("at(2026-03-29T03:00:00)", "Europe/Berlin", "2026-01-01", 9)
    assert ["10-25T00:30"] == local("at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-01-01", 9)


def test_a_local_time_that_is_repeated_counts_once():
    """Berlin has two times 02:30 on 25 October 2026; the first one counts, whenever it is asked."""
    assert ["10-25T00:30", "10-26T01:30"] == local("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25", 2)
    assert ["10-26T01:30"] == local("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25T00:30", 1)
    assert ["10-25T02:00"] == local("cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-25T00:45", 1)


def test_at_is_a_local_time_once():
    """And never, if it is over."""
    assert ["06-01T10:00"] == local("at(2026-06-01T12:00:00)", "Europe/Berlin", "2026-01-01", 9)
    assert [] == local("at(2026-06-01T12:00:00)", "Europe/Berlin", "2026-06-01T10:00", 9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rate(1 minutes)", "'rate(1 minutes)': write 1 minute (AWS)"),
        ("rate(5 minute)", "'rate(5 minute)': write 5 minutes (AWS)"),
        ("rate(0 minutes)", "'rate(0 minutes)': must be 1 or more"),
        (
            "rate(10 seconds)",
            "'rate(10 seconds)': is not of the form 'rate(5 minutes)': a number, then minutes, hours or days",
        ),
        ("at(tomorrow)", "'at(tomorrow)': is not of the form 'at(2026-01-01T00:00:00)'"),
        ("at(2026-02-30T00:00:00)", "'at(2026-02-30T00:00:00)': day is out of range for month"),
        ("every day", "'every day' is neither 'rate(...)', 'cron(...)' nor 'at(...)'"),
        ("cron(* * *)", None),
    ],
)
def test_an_expression_that_is_none_is_refused(text, reason):
    """With its text."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse(text)

    assert reason is None or reason in str(caught.value)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "a\0b", "x" * 9999])
def test_a_time_zone_that_is_none_is_refused(name):
    """Whatever the system makes of the name."""
    with pytest.raises(ValueError, match="is no time zone known here"):
        zone(name)
