"""Numbers as people write them: 3000000, 3e6, 2.5k, 3M or 1G."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_UNITS: Final = {"k": 10**3, "M": 10**6, "G": 10**9}
_MAX_DIGITS: Final = 30


def in_digits(text: str) -> str:
    """Return the number without k, M, G or exponent; a text that is no such number stays as it is."""
    unit = _UNITS.get(text[-1:], 1)
    try:
        value = Decimal(text if unit == 1 else text[:-1]) * unit
    except ArithmeticError:
        return text
    if not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
        return text
    return f"{value.normalize():f}" if value else "0"
