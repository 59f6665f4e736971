"""Conditions on one value, `= 4*`, `> 1000`, `!= %regex%`: the same in JSON and in columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from engine.services.logs.filter_patterns.scanner import Scanner

Scalar = str | int | float | bool
Condition = Callable[[Scalar], bool]

_OPERATOR: Final = re.compile(r"!=|<=|>=|=|<|>")
_BARE: Final = re.compile(r"(?:[^\s\"%,&|()\[\]{}=<>!]|&(?!&)|\|(?!\|))+")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
}


def condition(scanner: Scanner) -> Condition | None:
    """Read an operator and what it compares with; None if there is no operator.

    Raises:
        BadPattern: Nothing follows that can be compared with.
    """
    operator = scanner.match(_OPERATOR)
    if operator is None:
        return None
    if operator in _COMPARISONS:
        return _comparison(scanner, _COMPARISONS[operator])
    equals = _equality(scanner)
    return equals if operator == "=" else lambda value: not equals(value)


def _comparison(scanner: Scanner, holds: Callable[[float, float], bool]) -> Condition:
    text = scanner.match(_BARE)
    bound = None if text is None else number(text)
    if bound is None:
        raise scanner.unexpected()
    limit = bound

    def compare(value: Scalar) -> bool:
        found = number(value)
        return found is not None and holds(found, limit)

    return compare


def _equality(scanner: Scanner) -> Condition:
    if (regex := scanner.regex()) is not None:
        return lambda value: regex(_text(value))
    text = scanner.quoted()
    if text is not None:
        return _like(text)
    text = scanner.match(_BARE)
    if text is None:
        raise scanner.unexpected()
    like, wanted = _like(text), number(text)
    if wanted is None:
        return like

    def equals(value: Scalar) -> bool:
        return like(value) or number(value) == wanted

    return equals


def _like(text: str) -> Condition:
    """Equality with a text; an asterisk at its begin or end stands for anything."""
    if text == "*":
        return lambda _value: True
    body, opens, closes = text.strip("*"), text.startswith("*"), text.endswith("*")
    if opens and closes:
        return lambda value: body in _text(value)
    if opens:
        return lambda value: _text(value).endswith(body)
    if closes:
        return lambda value: _text(value).startswith(body)
    return lambda value: _text(value) == text


def number(value: Scalar) -> float | None:
    """The number that a value is, or that its text reads as; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _text(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
