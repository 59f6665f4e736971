"""How old prices are, from what is known of the date of their list."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import Final

STALE_DAYS: Final = 90
"""Older prices are told to be old."""

_DATE: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def age_days(published: str, today: date) -> int | None:
    """How many days old a list of that date is at least; None if the date cannot be read.

    It counts from the last day that `published` may mean: 2026-09-19, 2025-01, 2024 or 2024-08..2025-01.
    """
    found = _DATE.fullmatch(published.rpartition("..")[2])
    if found is None:
        return None
    year, month, day = (0 if part is None else int(part) for part in found.groups())
    try:
        last = day or monthrange(year, month or 12)[1]
        return (today - date(year, month or 12, last)).days
    except ValueError:
        return None
