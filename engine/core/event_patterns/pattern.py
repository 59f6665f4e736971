"""Compile a pattern of events once, so that matching a document is quick.

Source: EventBridge User Guide, "Amazon EventBridge event patterns"; recorded verdicts and reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.core.event_patterns.conditions import Condition, condition
from engine.core.event_patterns.dialects import Allowed, Dialect
from engine.core.event_patterns.errors import Mark, Path, PatternError
from engine.core.fast_json import JSONDecodeError, dumps, loads

NO_JSON: Final = "failed to parse JSON."

Test = Callable[[Any], bool]
"""Whether what stands at some place of a document is as the pattern wants it; `_ABSENT` if nothing does."""

_ABSENT: Final = object()
_OR: Final = "$or"
_DEEPEST: Final = 64


class EventPattern:
    """A compiled pattern.

    Attributes:
        text: The pattern as it was given, or the JSON of it.
    """

    __slots__ = ("_test", "text")

    def __init__(self, text: str, test: Test) -> None:
        self.text, self._test = text, test

    def matches(self, document: Any) -> bool:
        """Whether `document`, parsed JSON, has what the pattern wants."""
        return self._test(document)


def compile_pattern(pattern: str | Mapping[str, Any], dialect: Dialect) -> EventPattern:
    """Compile JSON text, or what it stands for.

    Raises:
        PatternError: It is no pattern of that dialect. Its `located(pattern_text(pattern))` has the place.
    """
    text = pattern_text(pattern)
    return EventPattern(text, compile_object(parsed(text), dialect.value, ()))


def pattern_text(pattern: str | Mapping[str, Any]) -> str:
    """A pattern as JSON text. Raises `PatternError` if there is none for it."""
    if isinstance(pattern, str):
        return pattern
    try:
        return dumps(pattern).decode()
    except TypeError as error:
        raise PatternError(f"it has no JSON form: {error}") from None


def parsed(text: str) -> dict[str, Any]:
    """The object in the text of a pattern. Raises `PatternError`."""
    try:
        document = loads(text.encode("utf-8", "replace"))
    except JSONDecodeError:
        raise PatternError(NO_JSON) from None
    if not isinstance(document, dict):
        raise PatternError("Filter is not an object", ())
    return document


# --- compiling


def compile_object(pattern: dict[str, Any], allowed: Allowed, path: Path) -> Test:
    """Compile an object of a pattern, which `path` leads to: all its keys must match.

    Raises:
        PatternError: Something in it is wrong; the first thing, in the order of the text.
    """
    if len(path) > _DEEPEST:
        raise PatternError(f"nested deeper than {_DEEPEST} levels", path)
    if not pattern:
        raise PatternError("Empty objects are not allowed", path, Mark.ENDED)
    fields: list[tuple[str, Test]] = []
    alternatives: list[tuple[Test, ...]] = []
    for key, wanted in pattern.items():
        inner = (*path, key)
        if len(path) + key.count(".") > _DEEPEST:
            raise PatternError(f"nested deeper than {_DEEPEST} levels", inner)
        if key == _OR and is_or(wanted, allowed):
            alternatives.append(_ways(wanted, allowed, inner))
        elif isinstance(wanted, dict):
            fields.append((key, compile_object(wanted, allowed, inner)))
        else:
            fields.append((key, compile_array(wanted, allowed, inner)))
    if len(fields) == 1 and not alternatives:
        return _OneField(*fields[0])
    return _ObjectPattern(tuple(fields), tuple(alternatives))


def compile_array(wanted: Any, allowed: Allowed, path: Path) -> Test:
    """Compile an array of a pattern: one of its conditions must hold. Raises `PatternError`."""
    if not isinstance(wanted, list):
        raise PatternError(f'"{path[-1]}" must be an object or an array', path)
    if not wanted:
        raise PatternError("Empty arrays are not allowed", path, Mark.ENDED)
    texts = frozenset(item for item in wanted if isinstance(item, str))
    tests = [
        condition(item, allowed, (*path, index))
        for index, item in enumerate(wanted)
        if not isinstance(item, str)
    ]
    return _Leaf(texts, tests)


def is_or(wanted: Any, allowed: Allowed) -> bool:
    """Whether `$or` is the operator: an array of objects that are no conditions; else it is a field."""
    return (
        isinstance(wanted, list)
        and bool(wanted)
        and all(isinstance(item, dict) and next(iter(item), "") not in allowed.match_types for item in wanted)
    )


def _ways(wanted: list[dict[str, Any]], allowed: Allowed, path: Path) -> tuple[Test, ...]:
    if len(wanted) < allowed.fewest_ways:
        text = f"There must have at least {allowed.fewest_ways} Objects in $or relationship."
        raise PatternError(text, path, Mark.ENDED)
    return tuple(compile_object(item, allowed, (*path, index)) for index, item in enumerate(wanted))


# --- matching


class _ObjectPattern:
    """An object of a pattern. Of an array of objects one must match, with all its fields."""

    __slots__ = ("_alternatives", "_fields")

    def __init__(
        self, fields: tuple[tuple[str, Test], ...], alternatives: tuple[tuple[Test, ...], ...]
    ) -> None:
        self._fields = fields
        self._alternatives = alternatives

    def __call__(self, value: Any) -> bool:
        if type(value) is list:
            return any(self(inner) for inner in _objects(value))
        found = value if isinstance(value, dict) else {}
        for key, test in self._fields:
            if not (test(found[key]) if key in found else _deeper(found, key, test)):
                return False
        return all(any(test(found) for test in ways) for ways in self._alternatives)


class _OneField:
    """An object of a pattern that has one key."""

    __slots__ = ("_key", "_test")

    def __init__(self, key: str, test: Test) -> None:
        self._key, self._test = key, test

    def __call__(self, value: Any) -> bool:
        if type(value) is list:
            return any(self(inner) for inner in _objects(value))
        found = value if isinstance(value, dict) else {}
        if self._key in found:
            return self._test(found[self._key])
        return _deeper(found, self._key, self._test)


class _Leaf:
    """An array of a pattern: one condition must hold for one of the values at its place."""

    __slots__ = ("_absent", "_conditions", "_texts")

    def __init__(self, texts: frozenset[str], conditions: list[Condition | None]) -> None:
        """None stands for `{"exists": false}`."""
        self._texts = texts
        self._absent = None in conditions
        self._conditions = tuple(test for test in conditions if test is not None)

    def __call__(self, value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return value in self._texts or self._holds(value)
        if kind is list:
            values = [item for item in _flat(value) if not isinstance(item, dict)]
            if not values:
                return self._absent
            return any(
                (isinstance(item, str) and item in self._texts) or self._holds(item) for item in values
            )
        if value is _ABSENT or kind is dict:
            return self._absent
        return self._holds(value)

    def _holds(self, value: Any) -> bool:
        return any(test(value) for test in self._conditions)


def _deeper(found: Mapping[str, Any], key: str, test: Test) -> bool:
    """A key that is not there: `a.b` may be `b` within `a`, and `a` may be there as the keys `a.…`.

    Source: recorded verdicts of both.
    """
    head, dot, tail = key.partition(".")
    if not dot:
        start = key + "."
        inner = {name[len(start) :]: found[name] for name in found if name.startswith(start)}
        return test(inner or _ABSENT)
    below = found.get(head, _ABSENT)
    if below is _ABSENT:
        start = head + "."
        below = {name[len(start) :]: found[name] for name in found if name.startswith(start)}
    if isinstance(below, list):
        return any(_at(item, tail, test) for item in _objects(below))
    return _at(below if isinstance(below, dict) else {}, tail, test)


def _at(found: Mapping[str, Any], key: str, test: Test) -> bool:
    return test(found[key]) if key in found else _deeper(found, key, test)


def _objects(values: list[Any]) -> list[dict[str, Any]]:
    """The objects of an array; if there are none, nothing is there: an empty one."""
    return [item for item in _flat(values) if isinstance(item, dict)] or [{}]


def _flat(value: Any) -> list[Any]:
    """What stands in `value`: itself, or the elements of an array, arrays in it taken apart."""
    if not isinstance(value, list):
        return [value]
    if not any(isinstance(item, list) for item in value):
        return value
    flat: list[Any] = []
    waiting = [iter(value)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            flat.append(item)
        else:
            waiting.pop()
    return flat
