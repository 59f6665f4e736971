"""Filter criteria of a mapping: EventBridge patterns, matched against the record of a message.

Source: Lambda Developer Guide, "Using event filtering with an Amazon SQS event source"; EventBridge User
Guide, "Comparison operators for use in event patterns"; recorded answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from engine.errors import EngineError
from engine.sources.sqs.filter_conditions import Condition, condition

INVALID: Final = "Invalid filter pattern definition."
MAX_FILTERS: Final = 10
"""Filters of one mapping: 5, and 10 where the quota was raised."""
LONGEST_PATTERN: Final = 4_096

_BODY: Final = "body"
_OR: Final = "$or"
_DEEPEST: Final = 64

Test = Callable[[Any], bool]
"""Whether what stands at some place of a document is as the pattern wants it; `_ABSENT` if nothing does."""

_ABSENT: Final = object()


class FilterError(EngineError):
    """A pattern is invalid. `reason` is for people; AWS always answers `INVALID`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{INVALID[:-1]}: {self.reason}"


class Filter(NamedTuple):
    """One pattern, its part on the body apart: a body is text, and is parsed only if a pattern looks inside.

    Attributes:
        inside: Of a JSON body, or None.
        plain: Of a body that is not JSON, or None.
        rest: Of the rest of the record, or None.
    """

    inside: Test | None
    plain: Test | None
    rest: Test | None


class Criteria:
    """All filters of a mapping: a message passes if it matches one of them."""

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._filters = tuple(filters)
        self._parses = any(
            filter_.inside is not None or filter_.plain is not None for filter_ in self._filters
        )

    def __bool__(self) -> bool:
        return bool(self._filters)

    def takes(self, body: str, record: Callable[[], Mapping[str, Any]]) -> bool:
        """Whether a message passes; `record` makes the record of the event, if it is needed.

        A pattern for JSON drops a body that is no JSON object or array; one for plain text drops one that is.
        """
        document = _document(body) if self._parses else None
        known: Mapping[str, Any] | None = None
        for inside, plain, rest in self._filters:
            if inside is not None and (document is None or not inside(document)):
                continue
            if plain is not None and (document is not None or not plain(body)):
                continue
            if rest is not None:
                if known is None:
                    known = record()
                if not rest(known):
                    continue
            return True
        return not self._filters


def criteria(patterns: Iterable[str | Mapping[str, Any]]) -> Criteria:
    """Compile `patterns`, each as JSON text or parsed. Raises `FilterError`."""
    return Criteria(compiled(pattern) for pattern in patterns)


def compiled(pattern: str | Mapping[str, Any]) -> Filter:
    """Compile one pattern. Raises `FilterError`."""
    text = pattern if isinstance(pattern, str) else _text(pattern)
    if len(text) > LONGEST_PATTERN:
        raise FilterError(f"{len(text)} characters are more than {LONGEST_PATTERN}")
    try:
        document = orjson.loads(text.encode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise FilterError(f"not JSON: {error}") from None
    if not isinstance(document, dict) or not document:
        raise FilterError("a pattern is a JSON object that is not empty")
    if _OR in document and _is_or(document[_OR]) and _mentions_body(document[_OR]):
        return _spread(document)
    return _filter(document)


def _filter(document: dict[str, Any]) -> Filter:
    """A pattern without `$or` around its body."""
    inside = plain = None
    rest = dict(document)
    for key in document:
        head, _, tail = key.partition(".")
        if head != _BODY:
            continue
        wanted = rest.pop(key)
        if tail:
            wanted = {tail: wanted}
        if isinstance(wanted, dict):
            test = _node(wanted, 1)
            inside = test if inside is None else _both(inside, test)
        else:
            plain = _leaf(wanted, key)
    return Filter(inside, plain, _node(rest, 0) if rest else None)


def _spread(document: dict[str, Any]) -> Filter:
    """Split a pattern whose alternatives mention the body: each becomes a filter of its own."""
    rest = {key: value for key, value in document.items() if key != _OR}
    common = _filter(rest) if rest else Filter(None, None, None)
    ways = Criteria(_filter(_object(alternative)) for alternative in document[_OR])

    def either(record: Mapping[str, Any]) -> bool:
        return ways.takes(record[_BODY], lambda: record)

    test = either if common.rest is None else _both(common.rest, either)
    return common._replace(rest=test)


def _mentions_body(ways: list[dict[str, Any]]) -> bool:
    return any(key.partition(".")[0] == _BODY for way in ways for key in way)


def _document(body: str) -> Any | None:
    """The object or array in a JSON body; None for any other body."""
    if body.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


# --- compiling


def _node(pattern: dict[str, Any], depth: int) -> Test:
    """All keys of an object of the pattern must match."""
    if depth > _DEEPEST:
        raise FilterError(f"nested deeper than {_DEEPEST} levels")
    if not pattern:
        raise FilterError("an empty object matches nothing")
    fields: list[tuple[str, Test]] = []
    alternatives: list[tuple[Test, ...]] = []
    for key, wanted in pattern.items():
        if key == _OR and _is_or(wanted):
            alternatives.append(tuple(_node(_object(item), depth + 1) for item in wanted))
        else:
            fields.append((key, _value(key, wanted, depth)))
    return _ObjectPattern(tuple(fields), tuple(alternatives))


def _value(key: str, wanted: Any, depth: int) -> Test:
    if isinstance(wanted, dict):
        return _node(wanted, depth + 1)
    return _leaf(wanted, key)


def _leaf(wanted: Any, key: str) -> Test:
    if not isinstance(wanted, list):
        raise FilterError(f"the value of {key!r} is neither an object nor an array")
    if not wanted:
        raise FilterError(f"the array of {key!r} is empty")
    return _Leaf([condition(item, FilterError) for item in wanted])


def _is_or(wanted: Any) -> bool:
    """Whether `$or` is the operator: an array of at least one object; else it is a field like any other."""
    return isinstance(wanted, list) and bool(wanted) and all(isinstance(item, dict) for item in wanted)


def _object(value: Any) -> dict[str, Any]:
    if not value:
        raise FilterError("an empty object matches nothing")
    found: dict[str, Any] = value
    return found


def _both(first: Test, second: Test) -> Test:
    return lambda value: first(value) and second(value)


def _text(pattern: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(pattern).decode()
    except TypeError as error:
        raise FilterError(f"it has no JSON form: {error}") from None


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
        if isinstance(value, list):
            return any(self(inner) for inner in _objects(value))
        found = value if isinstance(value, dict) else {}
        for key, test in self._fields:
            if not _at(found, key, test):
                return False
        return all(any(test(found) for test in ways) for ways in self._alternatives)


class _Leaf:
    """An array of a pattern: one condition must hold for one of the values at its place."""

    __slots__ = ("_absent", "_conditions")

    def __init__(self, conditions: list[Condition | None]) -> None:
        """None stands for `{"exists": false}`."""
        self._absent = None in conditions
        self._conditions = tuple(test for test in conditions if test is not None)

    def __call__(self, value: Any) -> bool:
        values = [item for item in _flat(value) if not isinstance(item, dict)] if value is not _ABSENT else []
        if not values:
            return self._absent
        return any(test(item) for test in self._conditions for item in values)


def _at(found: Mapping[str, Any], key: str, test: Test) -> bool:
    """`a.b` is the key of that name, or `b` within `a`."""
    if key in found:
        return test(found[key])
    head, dot, tail = key.partition(".")
    if not dot:
        return test(_ABSENT)
    inner = found.get(head, _ABSENT)
    if isinstance(inner, list):
        return any(_at(item, tail, test) for item in _objects(inner))
    return _at(inner if isinstance(inner, dict) else {}, tail, test)


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
