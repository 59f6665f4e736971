"""Dates in headers.

Source: RFC 9110, 5.6.7, IMF-fixdate.
"""

from __future__ import annotations

import time
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(epoch_s: float) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`. As email.utils writes it, which brings fifteen modules."""
    year, month, day, hour, minute, second, weekday = time.gmtime(epoch_s)[:7]
    clock = f"{hour:02}:{minute:02}:{second:02}"
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {clock} GMT"
