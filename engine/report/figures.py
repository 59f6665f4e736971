"""Numbers as text, the same in every report: milliseconds and money."""

from __future__ import annotations

from decimal import Decimal


def milliseconds(value: float) -> str:
    """Format milliseconds with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def dollars(usd: str, digits: int) -> str:
    """Rounded once, here."""
    return f"${round(Decimal(usd), digits):,.{digits}f}"


def plain(usd: Decimal) -> str:
    """All digits, no exponent, no trailing zeros."""
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
