"""What the kinds of filter patterns have in common: reading, literals, `&&` and `||`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from engine.services.logs.filter_patterns.regular_expressions import Matcher, matcher

T = TypeVar("T")

_SPACE: Final = re.compile(r"\s*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_REGEX: Final = re.compile(r"%([^%]*)%")
_UNEXPECTED: Final = re.compile(r"[^\w\s]+")
_MAX_DEPTH: Final = 50
"""Of parentheses in parentheses: patterns have 1,024 characters, and Python's stack has an end."""


class BadPattern(ValueError):
    """A filter pattern that follows no syntax; its text is AWS's."""


class Scanner:
    """Reads a pattern from left to right. White space before what is read is skipped."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def position(self) -> int:
        """Where it reads next."""
        self._skip()
        return self._at

    def at_end(self) -> bool:
        """Whether there is nothing but white space."""
        self._skip()
        return self._at == len(self._text)

    def take(self, token: str) -> bool:
        """Read `token` if it is next."""
        self._skip()
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def expect(self, token: str) -> None:
        """Read `token`, which must be next."""
        if not self.take(token):
            raise self.unexpected()

    def is_next(self, *tokens: str) -> bool:
        """Whether one of `tokens` is next; it is not read."""
        self._skip()
        return self._text.startswith(tokens, self._at)

    def match(self, pattern: re.Pattern[str], *, adjacent: bool = False) -> str | None:
        """Read what `pattern` matches, which is not empty; `adjacent`: without white space before it."""
        if not adjacent:
            self._skip()
        found = pattern.match(self._text, self._at)
        if found is None or not found[0]:
            return None
        self._at = found.end()
        return found[0]

    def quoted(self) -> str | None:
        """Read a text in double quotes, inside which a backslash makes any character plain."""
        whole = self.match(_QUOTED)
        return None if whole is None else _ESCAPED.sub(r"\1", whole[1:-1])

    def regex(self) -> Matcher | None:
        """Read a `%regular expression%`."""
        start = self._at
        whole = self.match(_REGEX)
        if whole is None:
            return None
        try:
            return matcher(whole[1:-1])
        except ValueError:
            self._at = start
            raise BadPattern("Invalid filter pattern") from None

    def unexpected(self, since: int | None = None) -> BadPattern:
        """The error for what is next, or stands at `since`: characters no term has, or all of the pattern."""
        self._skip()
        found = _UNEXPECTED.match(self._text, self._at if since is None else since)
        return BadPattern(
            "Invalid filter pattern" if found is None else f"Invalid character(s) in term '{found[0]}'"
        )

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None  # it matches the empty string too
        self._at = found.end()


def expression(
    scanner: Scanner, leaf: Callable[[], Callable[[T], bool]], depth: int = 0
) -> Callable[[T], bool]:
    """Conditions with parentheses, `&&` and `||`, which binds least; `leaf` reads one condition."""
    if depth > _MAX_DEPTH:
        raise BadPattern("Invalid filter pattern")
    alternatives = [_conjunction(scanner, leaf, depth)]
    while scanner.take("||"):
        alternatives.append(_conjunction(scanner, leaf, depth))
    if len(alternatives) == 1:
        return alternatives[0]
    return lambda value: any(one(value) for one in alternatives)


def _conjunction(
    scanner: Scanner, leaf: Callable[[], Callable[[T], bool]], depth: int
) -> Callable[[T], bool]:
    conditions = [_operand(scanner, leaf, depth)]
    while scanner.take("&&"):
        conditions.append(_operand(scanner, leaf, depth))
    if len(conditions) == 1:
        return conditions[0]
    return lambda value: all(one(value) for one in conditions)


def _operand(scanner: Scanner, leaf: Callable[[], Callable[[T], bool]], depth: int) -> Callable[[T], bool]:
    if not scanner.take("("):
        return leaf()
    inner = expression(scanner, leaf, depth + 1)
    scanner.expect(")")
    return inner
