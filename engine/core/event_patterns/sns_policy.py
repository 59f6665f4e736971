"""Filter policies of subscriptions to SNS topics, in both scopes, with their limits.

Source: SNS Developer Guide, "Filter policy constraints in Amazon SNS"; recorded refusals.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

from engine.core.event_patterns.dialects import Dialect
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.pattern import compile_object, is_or, parsed
from engine.core.fast_json import JSONDecodeError, loads

MAX_KEYS: Final = 5
MAX_COMBINATIONS: Final = 150
NESTED: Final = "Filter policy scope MessageAttributes does not support nested filter policy"
_OR: Final = "$or"
_ALLOWED: Final = Dialect.SNS.value


class PolicyScope(enum.Enum):
    """What a policy is held against."""

    ATTRIBUTES = "MessageAttributes"
    BODY = "MessageBody"


class FilterPolicy:
    """A compiled policy.

    Attributes:
        text: As it was given.
        scope: What it is held against.

    Raises:
        PatternError: It is none, or beyond a limit. `located(text)` has the place, where AWS gives one.
    """

    __slots__ = ("_test", "scope", "text")

    def __init__(self, text: str, scope: PolicyScope) -> None:
        self.text, self.scope = text, scope
        document = parsed(text)
        self._test = compile_object(document, _ALLOWED, ()) if document else _everything
        if scope is PolicyScope.ATTRIBUTES and _nests(document):
            raise PatternError(NESTED)
        if len(_keys(document)) > MAX_KEYS:
            raise PatternError(f"Filter policy can not have more than {MAX_KEYS} keys")
        if _combinations(document, 1) > MAX_COMBINATIONS:
            raise PatternError("Filter policy is too complex")

    def matches_attributes(self, attributes: Mapping[str, Any]) -> bool:
        """Whether attributes match: text, numbers, or lists, as a `String.Array` has them; none of Binary."""
        return self._test(attributes)

    def matches_body(self, body: str) -> bool:
        """Whether a body matches. One that is no JSON object does not."""
        if self._test is _everything:
            return True
        try:
            document = loads(body)
        except JSONDecodeError:
            return False
        return isinstance(document, dict) and self._test(document)


def _everything(_document: Any) -> bool:
    return True


def _nests(document: Mapping[str, Any]) -> bool:
    for key, wanted in document.items():
        if isinstance(wanted, dict):
            return True
        if key == _OR and is_or(wanted, _ALLOWED) and any(_nests(way) for way in wanted):
            return True
    return False


def _keys(document: Mapping[str, Any]) -> set[str]:
    """The keys that count: those of the first level and of alternatives; of nested ones the parent."""
    found: set[str] = set()
    for key, wanted in document.items():
        if key == _OR and is_or(wanted, _ALLOWED):
            found.update(*(_keys(way) for way in wanted))
        else:
            found.add(key)
    return found


def _combinations(document: Mapping[str, Any], level: int) -> int:
    """The product over the keys: values times the level they stand at; alternatives add up."""
    total = 1
    for key, wanted in document.items():
        if isinstance(wanted, dict):
            total *= _combinations(wanted, level + 1)
        elif key == _OR and is_or(wanted, _ALLOWED):
            total *= sum(_combinations(way, level) for way in wanted)
        else:
            total *= _values(wanted) * level
    return total


def _values(wanted: list[Any]) -> int:
    """How many values an array of the policy names."""
    count = 0
    for item in wanted:
        inner = item.get("anything-but") if isinstance(item, dict) else None
        count += len(inner) if isinstance(inner, list) else 1
    return count
