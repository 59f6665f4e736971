"""The conditions of EventBridge patterns: what may stand in the arrays of a pattern.

Source: EventBridge User Guide, "Comparison operators for use in event patterns".
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

Condition = Callable[[Any], bool]
"""Whether one value of a document, no object and no array, is as wanted."""

Refuse = Callable[[str], Exception]
"""Makes the exception for a condition that is none."""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LOWER: Final = (">", ">=")
_IGNORE_CASE: Final = "equals-ignore-case"


def condition(wanted: Any, refuse: Refuse) -> Condition | None:
    """Compile one element of an array of a pattern; None is `{"exists": false}`, which wants no value.

    Raises:
        Exception: What `refuse` makes.
    """
    if isinstance(wanted, list):
        raise refuse("an array within an array")
    if not isinstance(wanted, dict):
        return _equals(wanted)
    if len(wanted) != 1:
        raise refuse(f"{len(wanted)} match types in one object, where 1 is wanted")
    [(name, argument)] = wanted.items()
    if name == "exists":
        if not isinstance(argument, bool):
            raise refuse("exists must be true or false")
        return _anything if argument else None
    if name == "anything-but":
        return _anything_but(argument, refuse)
    if name == "numeric":
        return _numeric(argument, refuse)
    if name == "cidr":
        return _cidr(argument, refuse)
    return _textual(name, argument, refuse)


def _anything(_value: Any) -> bool:
    return True


def _equals(wanted: Any) -> Condition:
    """The same type and value; numbers are compared as numbers."""
    if _is_number(wanted):
        return lambda value: _is_number(value) and value == wanted
    kind = type(wanted)
    return lambda value: type(value) is kind and value == wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- text


def _textual(name: str, argument: Any, refuse: Refuse) -> Condition:
    """`prefix`, `suffix`, `equals-ignore-case` and `wildcard`: only text matches."""
    fold = False
    if name in ("prefix", "suffix") and isinstance(argument, dict):
        if list(argument) != [_IGNORE_CASE]:
            raise refuse(f"{name} of an unrecognized match type")
        argument, fold = argument[_IGNORE_CASE], True
    make = _TEXTUAL.get(name)
    if make is None:
        raise refuse(f"Unrecognized match type {name}")
    if not isinstance(argument, str):
        raise refuse(f"{name} match pattern must be a string")
    test = make(argument.lower() if fold or name == _IGNORE_CASE else argument, refuse)
    if fold or name == _IGNORE_CASE:
        return lambda value: isinstance(value, str) and test(value.lower())
    return lambda value: isinstance(value, str) and test(value)


def _wildcard(pattern: str, refuse: Refuse) -> Callable[[str], bool]:
    """`*` is any run of characters; a backslash makes `*` and itself plain. Linear, whatever the text."""
    pieces: list[str] = []
    piece, characters = "", iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("*", "\\"):
                raise refuse("Invalid escape character in wildcard")
            piece += escaped
        elif character == "*":
            if not piece and pieces:
                raise refuse("Consecutive wildcard characters")
            pieces.append(piece)
            piece = ""
        else:
            piece += character
    if not pieces:
        return lambda value: value == piece
    first, *middle = pieces
    last = piece

    def matches(value: str) -> bool:
        if len(value) < len(first) + len(last) or not (value.startswith(first) and value.endswith(last)):
            return False
        position, end = len(first), len(value) - len(last)
        for part in middle:
            found = value.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True

    return matches


_TEXTUAL: Final[Mapping[str, Callable[[str, Refuse], Callable[[str], bool]]]] = {
    "prefix": lambda argument, _: lambda value: value.startswith(argument),
    "suffix": lambda argument, _: lambda value: value.endswith(argument),
    _IGNORE_CASE: lambda argument, _: lambda value: value == argument,
    "wildcard": _wildcard,
}


# --- the others


def _anything_but(argument: Any, refuse: Refuse) -> Condition:
    """Matches any value but these. With a match type: a value that matches none of them."""
    if isinstance(argument, dict):
        if len(argument) != 1:
            raise refuse("anything-but of several match types")
        [(name, inner)] = argument.items()
        given = inner if isinstance(inner, list) else [inner]
        if not given:
            raise refuse("anything-but of an empty array")
        if name not in _TEXTUAL:
            raise refuse(f"Unsupported anything-but pattern: {name}")
        tests = [_textual(name, value, refuse) for value in given]
        return lambda value: not any(test(value) for test in tests)
    values = argument if isinstance(argument, list) else [argument]
    if not values:
        raise refuse("anything-but of an empty array")
    if any(isinstance(value, dict | list) for value in values):
        raise refuse("anything-but wants texts and numbers")
    equal = [_equals(value) for value in values]
    return lambda value: not any(test(value) for test in equal)


def _numeric(argument: Any, refuse: Refuse) -> Condition:
    """`["=", 5]`, or one bound, or a lower and an upper one."""
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise refuse("numeric wants one or two pairs of a comparison and a number")
    bounds = list(zip(argument[::2], argument[1::2], strict=True))
    for sign, number in bounds:
        if not isinstance(sign, str) or sign not in _COMPARISONS:
            raise refuse(f"Unrecognized numeric range operator: {sign}")
        if not _is_number(number):
            raise refuse(f"Value of {sign} must be numeric")
    if len(bounds) == 2:
        (low_sign, low), (high_sign, high) = bounds
        if low_sign not in _LOWER or high_sign in (*_LOWER, "="):
            raise refuse("a numeric range is a lower bound and then an upper one")
        if low >= high:
            raise refuse("Bottom must be less than top")
    tests = [(_COMPARISONS[sign], _exact(number)) for sign, number in bounds]

    def matches(value: Any) -> bool:
        if not _is_number(value):
            return False
        exact = _exact(value)
        return all(compare(exact, number) for compare, number in tests)

    return matches


def _exact(number: float) -> int | Decimal:
    """The number as it is written: 0.1 is exactly a tenth."""
    return number if isinstance(number, int) else Decimal(repr(number))


def _cidr(argument: Any, refuse: Refuse) -> Condition:
    if not isinstance(argument, str) or "/" not in argument:
        raise refuse("cidr wants an address, a slash and a number of bits")
    try:
        network = ipaddress.ip_network(argument, strict=False)
    except ValueError:
        raise refuse(f"Malformed CIDR: {argument[:100]}") from None

    def matches(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return matches
