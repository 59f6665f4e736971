"""EventBridge's cron expressions: six fields, `?`, `L`, `W`, `#`; the moments they stand for.

Source: EventBridge User Guide, "Setting a schedule pattern for scheduled rules (legacy)"; EventBridge
Scheduler User Guide, "Schedule types".
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

FIRST_YEAR, LAST_YEAR = 1970, 2199
_MONTHS: Final = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS: Final = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_SATURDAY: Final = 7
_PART: Final = re.compile(r"(\*|([0-9A-Z]+)(?:-([0-9A-Z]+))?)(?:/([0-9]+))?")

Days = Callable[[int, int], Sequence[int]]
"""The days of a month (year, month) on which something is, rising."""


class Field(NamedTuple):
    """What a field may hold: its name, its bounds, and names for its values."""

    name: str
    low: int
    high: int
    words: dict[str, int]


_MINUTE: Final = Field("minutes", 0, 59, {})
_HOUR: Final = Field("hours", 0, 23, {})
_DAY: Final = Field("day-of-month", 1, 31, {})
_MONTH: Final = Field("month", 1, 12, _MONTHS)
_WEEKDAY: Final = Field("day-of-week", 1, 7, _DAYS)
_YEAR: Final = Field("year", FIRST_YEAR, LAST_YEAR, {})


class Cron(NamedTuple):
    """A parsed cron expression. Times are local and naive: callers apply the time zone."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: Days
    months: tuple[int, ...]
    years: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Parse what is between the brackets of `cron(...)`. Raises ValueError with one sentence."""
        fields = text.upper().split()
        if len(fields) != 6:
            raise ValueError(
                f"has {len(fields)} fields, not 6: minutes, hours, day-of-month, month, day-of-week, year"
            )
        minute, hour, day, month, weekday, year = fields
        if (day == "?") == (weekday == "?"):
            raise ValueError("one of day-of-month and day-of-week must be '?', and only one")
        return cls(
            _values(minute, _MINUTE),
            _values(hour, _HOUR),
            _weekdays(weekday) if day == "?" else _days_of_month(day),
            _values(month, _MONTH),
            _values(year, _YEAR),
        )

    def moments(self, since: datetime) -> Iterator[datetime]:
        """All moments at or after `since`, in order; none after the last year."""
        for year in self.years:
            for month in self.months:
                if (year, month) < (since.year, since.month):
                    continue
                for day in self.days(year, month):
                    if (year, month, day) < (since.year, since.month, since.day):
                        continue
                    yield from self._on(date(year, month, day), since)

    def _on(self, day: date, since: datetime) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                moment = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # local, naive
                if moment >= since:
                    yield moment


def _values(text: str, field: Field) -> tuple[int, ...]:
    """`*`, numbers, words, ranges (that may go round), steps, and lists of them."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{field.name}: {part!r} is no value, range or step")
        everything, first, last, step = match.groups()
        low, high = field.low, field.high
        if everything != "*":
            low = _value(first, field)
            high = low if last is None else _value(last, field)
            if last is None and step is not None:
                high = field.high
        if step is not None and (int(step) == 0 or field is _WEEKDAY):
            wrong = "cannot be used here (AWS)" if field is _WEEKDAY else "is no step: it must be 1 or more"
            raise ValueError(f"{field.name}: '/{step}' {wrong}")
        if high < low and field is _YEAR:
            raise ValueError(f"{field.name}: {part!r} goes backwards")
        size = field.high - field.low + 1
        count = (high - low) % size if everything != "*" else high - low
        found.update(
            field.low + (low - field.low + offset) % size for offset in range(0, count + 1, int(step or 1))
        )
    return tuple(sorted(found))


def _value(text: str, field: Field) -> int:
    if text in field.words:
        return field.words[text]
    if not text.isdecimal():
        raise ValueError(f"{field.name}: {text!r} is no value")
    number = int(text)
    if not field.low <= number <= field.high:
        raise ValueError(f"{field.name}: {number} is not in {field.low} to {field.high}")
    return number


# ---------------------------------------------------------------- day-of-month


def _days_of_month(text: str) -> Days:
    if text in ("LW", "WL"):
        return lambda year, month: [_nearest_weekday(year, month, _last_day(year, month))]
    if found := re.fullmatch(r"L(?:-([0-9]+))?", text):
        before = int(found[1] or 0)
        if before > 30:
            raise ValueError(f"{_DAY.name}: {text!r} is before the month begins")
        return lambda year, month: _days_in(year, month, [_last_day(year, month) - before])
    if found := re.fullmatch(r"([0-9]+)W", text):
        wanted = _value(found[1], _DAY)
        return lambda year, month: [
            _nearest_weekday(year, month, day) for day in _days_in(year, month, [wanted])
        ]
    days = _values(text, _DAY)
    return lambda year, month: _days_in(year, month, days)


def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _days_in(year: int, month: int, days: Sequence[int]) -> list[int]:
    last = _last_day(year, month)
    return [day for day in days if 1 <= day <= last]


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Monday to Friday, in the same month."""
    weekday = calendar.weekday(year, month, day)  # Monday is 0
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < _last_day(year, month) else day - 2
    return day


# ---------------------------------------------------------------- day-of-week


def _weekdays(text: str) -> Days:
    if text == "L":
        text = str(_SATURDAY)  # the last day of the week
    if found := re.fullmatch(r"([0-9A-Z]+)#([0-9]+)", text):
        wanted, nth = _value(found[1], _WEEKDAY), int(found[2])
        if not 1 <= nth <= 5:
            raise ValueError(f"{_WEEKDAY.name}: '#{nth}' is not in 1 to 5")
        return lambda year, month: _on_weekdays(year, month, (wanted,))[nth - 1 : nth]
    if (found := re.fullmatch(r"([0-9]|[A-Z]{3})L", text)) is not None:
        wanted = _value(found[1], _WEEKDAY)
        return lambda year, month: _on_weekdays(year, month, (wanted,))[-1:]
    wanted_days = _values(text, _WEEKDAY)
    return lambda year, month: _on_weekdays(year, month, wanted_days)


def _on_weekdays(year: int, month: int, weekdays: Sequence[int]) -> list[int]:
    """Days of the month that are one of `weekdays` (Sunday is 1)."""
    first, last = calendar.monthrange(year, month)  # Monday is 0
    return [day for day in range(1, last + 1) if (first + day) % 7 + 1 in weekdays]
