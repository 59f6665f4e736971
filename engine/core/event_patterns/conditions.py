"""The conditions of patterns: what may stand in the arrays of a pattern.

Source: EventBridge User Guide, "Comparison operators for use in event patterns"; recorded refusals.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from engine.core.event_patterns.dialects import Allowed
from engine.core.event_patterns.errors import Mark, Path, PatternError
from engine.core.event_patterns.numbers import is_number, numeric
from engine.core.event_patterns.text_conditions import textual

Condition = Callable[[Any], bool]
"""Whether one value of a document, no object and no array, is as wanted."""


def condition(wanted: Any, allowed: Allowed, path: Path) -> Condition | None:
    """Compile one element of an array of a pattern; None is `{"exists": false}`, which wants no value.

    Raises:
        PatternError: It is no condition of the dialect; `path` leads to it.
    """
    if isinstance(wanted, list):
        raise PatternError("Match value must be String, number, true, false, or null", path)
    if not isinstance(wanted, dict):
        return _equals(wanted)
    if not wanted:
        raise PatternError("Match expression name not found", path, Mark.ENDED)
    name, argument = next(iter(wanted.items()))
    inner = (*path, name)
    if name not in allowed.match_types:
        raise PatternError(f"Unrecognized match type {name}", inner)
    test = _typed(name, argument, allowed, inner)
    if len(wanted) != 1:
        text = "Too many elements in numeric expression" if name == "numeric" else ""
        raise PatternError(text or "Only one key allowed in match expression", (*path, list(wanted)[1]))
    return test


def _typed(name: str, argument: Any, allowed: Allowed, path: Path) -> Condition | None:
    match name:
        case "exists":
            if not isinstance(argument, bool):
                raise PatternError("exists match pattern must be either true or false.", path)
            return _anything if argument else None
        case "anything-but":
            return _anything_but(argument, allowed, path)
        case "numeric":
            return numeric(argument, path)
        case "cidr":
            return _cidr(argument, path)
        case _:
            return textual(name, argument, path, folded=allowed.folded)


def _anything(_value: Any) -> bool:
    return True


def _equals(wanted: Any) -> Condition:
    """The same type and value; numbers are compared as numbers."""
    if is_number(wanted):
        return lambda value: is_number(value) and value == wanted
    kind = type(wanted)
    return lambda value: type(value) is kind and value == wanted


# --- anything-but


def _anything_but(argument: Any, allowed: Allowed, path: Path) -> Condition:
    """Matches any value but these. With a match type: a value that matches none of them."""
    if isinstance(argument, dict):
        return _matches_none(argument, allowed, path)
    if not isinstance(argument, list):
        if isinstance(argument, bool) or argument is None:
            raise _no_exclusion(path)
        argument, excluded_at = [argument], path
    else:
        excluded_at = None
    if not argument:
        raise PatternError("Empty arrays are not allowed", path, Mark.ENDED)
    for index, value in enumerate(argument):
        unwanted = dict | list if allowed.mixed else dict | list | bool | None
        if isinstance(value, unwanted):
            text = "Inside anything but list, start|null|boolean is not supported."
            raise PatternError(text, (*path, index))
        if not allowed.mixed and isinstance(value, str) is not isinstance(argument[0], str):
            text = (
                "Inside anything but list, either all values are number or string, "
                "mixed type is not supported"
            )
            raise PatternError(text, excluded_at or (*path, index))
    texts = frozenset(value for value in argument if isinstance(value, str))
    others = [_equals(value) for value in argument if not isinstance(value, str)]
    if not others:
        return lambda value: not isinstance(value, str) or value not in texts
    return lambda value: value not in texts if isinstance(value, str) else not any(t(value) for t in others)


def _matches_none(argument: dict[str, Any], allowed: Allowed, path: Path) -> Condition:
    if not argument:
        raise PatternError("Anything-But expression name not found", path, Mark.ENDED)
    name, inner = next(iter(argument.items()))
    inside = (*path, name)
    if name not in allowed.excluded:
        raise PatternError(f"Unsupported anything-but pattern: {name}", inside)
    if not isinstance(inner, list | str | int | float) or isinstance(inner, bool):
        if name == allowed.affixes:
            raise PatternError(f"{name} match pattern must be a string", inside)
        raise _no_exclusion(inside)
    given = inner if isinstance(inner, list) else [inner]
    if not given:
        raise PatternError("Empty arrays are not allowed", inside, Mark.ENDED)
    tests = []
    for index, value in enumerate(given):
        at = (*inside, index) if isinstance(inner, list) else inside
        affix = name in ("prefix", "suffix")
        if not isinstance(value, str):
            word = allowed.affixes if affix else name
            raise PatternError(f"{word} match pattern must be a string", at)
        if affix and not value and not allowed.empty_excluded:
            raise PatternError("Null prefix/suffix not allowed", at, Mark.ENDED)
        tests.append(textual(name, value, at, folded=False))
    if len(argument) != 1:
        raise PatternError("Only one key allowed in match expression", (*path, list(argument)[1]))
    return lambda value: not any(test(value) for test in tests)


def _no_exclusion(path: Path) -> PatternError:
    return PatternError("Value of anything-but must be an array or single string/number value.", path)


# --- addresses


def _cidr(argument: Any, path: Path) -> Condition:
    """The addresses of a network. Source: recorded texts, also of the first one, which speaks of a prefix."""
    if not isinstance(argument, str):
        raise PatternError("prefix match pattern must be a string", path)
    address, slash, bits = argument.partition("/")
    if not slash or "/" in bits:
        raise PatternError("Malformed CIDR, one '/' required", path, Mark.ENDED)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise PatternError(f"Nonstandard IP address: {address}", path, Mark.ENDED) from None
    try:
        network = ipaddress.ip_network(argument, strict=False)
    except ValueError:
        raise PatternError("Malformed CIDR, mask bits must be an integer", path, Mark.ENDED) from None

    def matches(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return matches
