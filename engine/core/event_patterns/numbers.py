"""Numeric conditions of patterns: `["=", 5]`, one bound, or a lower and an upper one.

Source: EventBridge User Guide, "Comparison operators for use in event patterns"; recorded refusals.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from engine.core.event_patterns.errors import Mark, Path, PatternError

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LOWER: Final = (">", ">=")
_UPPER: Final = ("<", "<=")


def is_number(value: Any) -> bool:
    """Whether it is a number of JSON."""
    kind = type(value)
    return kind is int or kind is float


def numeric(argument: Any, path: Path) -> Callable[[Any], bool]:
    """Compile the value of `numeric`, which `path` leads to. Numbers are compared as they are written.

    Raises:
        PatternError: It is no array of one or two pairs of a comparison and a number.
    """
    if not isinstance(argument, list):
        raise PatternError("Value of numeric must be an array.", path)
    bounds = _bounds(argument, path)
    tests = [(_COMPARISONS[sign], _exact(number)) for sign, number in bounds]
    if len(tests) == 2 and tests[0][1] >= tests[1][1]:
        raise PatternError("Bottom must be less than top", path, Mark.ENDED)
    whole = all(isinstance(number, int) for _, number in tests)

    def matches(value: Any) -> bool:
        kind = type(value)
        if kind is not int and kind is not float:
            return False
        exact = value if whole else _exact(value)
        return all(compare(exact, number) for compare, number in tests)

    return matches


def _bounds(argument: list[Any], path: Path) -> list[tuple[str, float]]:
    bounds = [_bound(argument, 0, path)]
    sign = bounds[0][0]
    if len(argument) > 2:
        if sign not in _LOWER:
            raise PatternError("Too many elements in numeric expression", (*path, 2))
        if not isinstance(argument[2], str):
            raise PatternError(f"Bad value in numeric range: {_shown(argument[2])}", (*path, 2))
        if argument[2] not in _UPPER:
            raise PatternError(f"Bad numeric range operator: {argument[2]}", (*path, 3))
        bounds.append(_bound(argument, 2, path))
    if len(argument) > 4:
        raise PatternError("Too many terms in numeric range", (*path, 4))
    return bounds


def _bound(argument: list[Any], index: int, path: Path) -> tuple[str, float]:
    """The comparison at that index and the number after it."""
    sign = argument[index] if len(argument) > index else None
    if not isinstance(sign, str):
        shown = _shown(sign) if argument else "]"
        raise PatternError(f"Invalid member in numeric match: {shown}", (*path, index))
    if sign not in _COMPARISONS:
        raise PatternError(f"Unrecognized numeric range operator: {sign}", (*path, index + 1))
    number = argument[index + 1] if len(argument) > index + 1 else None
    if not isinstance(number, int | float) or isinstance(number, bool):
        word = "equals" if sign == "=" else sign
        raise PatternError(f"Value of {word} must be numeric", (*path, index + 1))
    return sign, number


def _shown(value: Any) -> str:
    """What of a value the reason shows: its first token."""
    if isinstance(value, dict):
        return "{"
    if isinstance(value, list):
        return "["
    return {True: "true", False: "false", None: "null"}.get(value, str(value))


def _exact(number: float) -> int | Decimal:
    """The number as it is written: 0.1 is exactly a tenth."""
    return number if isinstance(number, int) else Decimal(repr(number))
