"""Schedule expressions: `rate(5 minutes)`, `cron(0 12 * * ? *)`, `at(2026-01-01T00:00:00)`.

Source: EventBridge User Guide, "Setting a schedule pattern for scheduled rules (legacy)"; EventBridge
Scheduler User Guide, "Schedule types" (time zones, daylight saving time).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.services.schedules.cron import Cron

_KINDS: Final = re.compile(r"(rate|cron|at)\((.*)\)")
_RATE: Final = re.compile(r"([0-9]+) (minute|hour|day)(s?)")
_UNITS_S: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_AT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
_MAX_DIGITS: Final = 9


class RateExpression(NamedTuple):
    """Once every `period_s` seconds, counted from the start."""

    period_s: int


class At(NamedTuple):
    """Once, at a local time."""

    moment: datetime


Expression = RateExpression | Cron | At


def parse(text: str) -> Expression:
    """Parse an expression. Raises ValueError, with one sentence, for what EventBridge rejects."""
    found = _KINDS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is neither 'rate(...)', 'cron(...)' nor 'at(...)'")
    kind, inner = found.groups()
    try:
        if kind == "cron":
            return Cron.parse(inner)
        return _rate(inner) if kind == "rate" else _at(inner)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, or too long a name
        raise ValueError(
            f"{name!r} is no time zone known here, such as 'Europe/Berlin' (without the system's time zone "
            "data, install the package tzdata)"
        ) from None


def moments(expression: Cron | At, after_s: float, where: tzinfo) -> Iterator[float]:
    """All moments after `after_s`, in order, in seconds since the Unix epoch.

    A local time that daylight saving time skips is left out, and one that it repeats counts once, the
    first time. That AWS leaves out an `at` is not confirmed by a primary source: for cron it is.
    """
    if isinstance(expression, At):
        moment_s = _moment_s(expression.moment, where)
        if moment_s is not None and moment_s > after_s:
            yield moment_s
        return
    after = datetime.fromtimestamp(after_s, where)
    for moment in expression.moments(after.replace(tzinfo=None, second=0, microsecond=0, fold=0)):
        moment_s = _moment_s(moment, where)
        if moment_s is not None and moment_s > after_s:
            yield moment_s


def _moment_s(local: datetime, where: tzinfo) -> float | None:
    """The moment of a local time, the first one if there are two; None if it is skipped."""
    moment_s = local.replace(tzinfo=where).timestamp()
    return moment_s if datetime.fromtimestamp(moment_s, where).replace(tzinfo=None) == local else None


def _rate(text: str) -> RateExpression:
    found = _RATE.fullmatch(text.strip())
    if found is None or len(found[1]) > _MAX_DIGITS:
        raise ValueError("is not of the form 'rate(5 minutes)': a number, then minutes, hours or days")
    number, unit, plural = int(found[1]), found[2], found[3]
    if number < 1:
        raise ValueError("must be 1 or more")
    if (number == 1) == bool(plural):
        raise ValueError(f"write {number} {unit if number == 1 else unit + 's'} (AWS)")
    return RateExpression(number * _UNITS_S[unit])


def _at(text: str) -> At:
    if not _AT.fullmatch(text.strip()):
        raise ValueError("is not of the form 'at(2026-01-01T00:00:00)'")
    return At(datetime.fromisoformat(text.strip()))


def timestamp(wall_s: float) -> str:
    """`2026-01-01T00:00:00Z`."""
    return datetime.fromtimestamp(int(wall_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
