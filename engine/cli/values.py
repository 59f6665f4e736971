"""Values of options: numbers, seconds and headers, checked before anything starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import click

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
"""By how a time ends; `ms` before `s`."""


class Value(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """An option that `parse` reads; a ValueError of it is the message."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text."""
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"{text} is no number above 0")
    return number


def _seconds(text: str) -> float:
    """`15`, `15s`, `1.5m`, `1h`, `500ms`; 0 too."""
    unit = next((one for one in _UNITS if text.endswith(one)), "")
    try:
        seconds = float(text.removesuffix(unit)) * _UNITS.get(unit, 1.0)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text!r} is no time: write 15, 15s, 1.5m or 1h")
    return seconds


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text} is no whole number from 1")
    return int(text)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip() and name.isascii() and name.isprintable() and value.isprintable()):
        raise ValueError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


NUMBER: Final = Value("number", _number)
SECONDS: Final = Value("seconds", _seconds)
WHOLE: Final = Value("whole", _whole)
HEADER: Final = Value("header", _header)
