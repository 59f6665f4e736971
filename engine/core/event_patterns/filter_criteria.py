"""Filter criteria of a mapping, matched against the record of an event and the payload in it.

Source: Lambda Developer Guide, "Control which events Lambda sends to your function", and the pages on filters
with SQS, Kinesis and DynamoDB event sources; recorded answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from engine.core.event_patterns.dialects import Dialect
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.pattern import (
    Test,
    compile_array,
    compile_object,
    is_or,
    parsed,
    pattern_text,
)
from engine.core.fast_json import JSONDecodeError, loads
from engine.errors import EngineError

INVALID: Final = "Invalid filter pattern definition."
MAX_FILTERS: Final = 10
"""Filters of one mapping: 5, and 10 where the quota was raised."""
LONGEST_PATTERN: Final = 4_096

_OR: Final = "$or"
_LAMBDA: Final = Dialect.LAMBDA.value


class FilterError(EngineError):
    """A pattern is invalid. `reason` is for people; AWS always answers `INVALID`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{INVALID[:-1]}: {self.reason}"


class Filter(NamedTuple):
    """One pattern, its part on the payload apart: that is text, and is parsed only if a pattern looks inside.

    Attributes:
        inside: Of a payload that is JSON, or None.
        plain: Of a payload that is not, or None.
        rest: Of the rest of the record, or None.
        ways: Alternatives that mention the payload, or None.
    """

    inside: Test | None = None
    plain: Test | None = None
    rest: Test | None = None
    ways: tuple[Filter, ...] | None = None

    @property
    def reads_payload(self) -> bool:
        """Whether it wants anything of the payload."""
        return self.inside is not None or self.plain is not None or self.ways is not None


class FilterCriteria:
    """All filters of a mapping: a record passes if it matches one of them.

    Attributes:
        reads_payload: Whether any of them looks at the payload; if not, `passes` needs none.
    """

    __slots__ = ("_filters", "reads_payload")

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._filters = tuple(filters)
        self.reads_payload = any(filter_.reads_payload for filter_ in self._filters)

    def __bool__(self) -> bool:
        return bool(self._filters)

    def passes(self, payload: str, record: Callable[[], Mapping[str, Any]]) -> bool:
        """Whether a record with this payload passes; `record` makes it, if it is needed.

        A pattern for JSON drops a payload that is no JSON object or array; one for plain text one that is.
        """
        if not self._filters:
            return True
        document = _document(payload) if self.reads_payload else None
        known: list[Mapping[str, Any]] = []

        def once() -> Mapping[str, Any]:
            if not known:
                known.append(record())
            return known[0]

        return _any(self._filters, payload, document, once)

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a record passes, where no payload is apart: that of DynamoDB."""
        filters = self._filters
        return not filters or any(rest is None or rest(record) for _, _, rest, _ in filters)


def filter_criteria(patterns: Iterable[str | Mapping[str, Any]], payload_key: str | None) -> FilterCriteria:
    """Compile `patterns`, each as JSON text or parsed.

    Args:
        patterns: The filters.
        payload_key: The member of a record that is text of the users: `body` of SQS, `data` of Kinesis
            (decoded); None if there is none.

    Raises:
        FilterError: One of them is no pattern.
    """
    return FilterCriteria(compile_filter(pattern, payload_key) for pattern in patterns)


def compile_filter(pattern: str | Mapping[str, Any], payload_key: str | None) -> Filter:
    """Compile one pattern. Raises `FilterError`."""
    try:
        text = pattern_text(pattern)
        if len(text) > LONGEST_PATTERN:
            raise FilterError(f"{len(text)} characters are more than {LONGEST_PATTERN}")
        document = parsed(text)
        if not document:
            raise FilterError("a pattern is a JSON object that is not empty")
        return _spread(document, payload_key)
    except PatternError as error:
        raise FilterError(error.reason) from None


def _spread(document: dict[str, Any], payload_key: str | None) -> Filter:
    """A pattern; alternatives of it that mention the payload become filters of their own."""
    ways = document.get(_OR)
    if ways is None or not is_or(ways, _LAMBDA) or not _mention(ways, payload_key):
        return _filter(document, payload_key)
    rest = {key: value for key, value in document.items() if key != _OR}
    common = _filter(rest, payload_key) if rest else Filter()
    return common._replace(ways=tuple(_filter(way, payload_key) for way in ways))


def _filter(document: dict[str, Any], payload_key: str | None) -> Filter:
    """A pattern without `$or` around its payload."""
    inside = plain = None
    rest = dict(document)
    for key in document:
        head, _, tail = key.partition(".")
        if head != payload_key:
            continue
        wanted = rest.pop(key)
        if tail:
            wanted = {tail: wanted}
        if isinstance(wanted, dict):
            test = compile_object(wanted, _LAMBDA, (key,))
            inside = test if inside is None else _both(inside, test)
        else:
            plain = compile_array(wanted, _LAMBDA, (key,))
    if rest or not document:
        return Filter(inside, plain, compile_object(rest, _LAMBDA, ()))
    return Filter(inside, plain)


def _mention(ways: list[dict[str, Any]], payload_key: str | None) -> bool:
    return any(key.partition(".")[0] == payload_key for way in ways for key in way)


def _both(first: Test, second: Test) -> Test:
    return lambda value: first(value) and second(value)


# --- matching


def _any(
    filters: tuple[Filter, ...], payload: str, document: Any | None, record: Callable[[], Mapping[str, Any]]
) -> bool:
    for inside, plain, rest, ways in filters:
        if inside is not None and (document is None or not inside(document)):
            continue
        if plain is not None and (document is not None or not plain(payload)):
            continue
        if rest is not None and not rest(record()):
            continue
        if ways is not None and not _any(ways, payload, document, record):
            continue
        return True
    return False


def _document(payload: str) -> Any | None:
    """The object or array in a JSON payload; None for any other one."""
    if payload.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        return loads(payload)
    except JSONDecodeError:
        return None
