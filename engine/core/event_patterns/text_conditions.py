"""Conditions on text: `prefix`, `suffix`, `equals-ignore-case` and `wildcard`.

Source: EventBridge User Guide, "Comparison operators for use in event patterns"; recorded refusals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.core.event_patterns.dialects import IGNORE_CASE
from engine.core.event_patterns.errors import Mark, Path, PatternError

_TOO_COMPLEX: Final = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences "
    "after a wildcard character"
)
_MOST_ALIKE: Final = 4


def textual(name: str, argument: Any, path: Path, *, folded: bool) -> Callable[[Any], bool]:
    """Compile a condition that only text can fulfil.

    Args:
        name: The match type.
        argument: What it wants.
        path: Where that stands.
        folded: A prefix or suffix may be an object that says that case is ignored.

    Raises:
        PatternError: The argument is not text, or no wildcard.
    """
    fold = name == IGNORE_CASE
    if folded and name in ("prefix", "suffix") and isinstance(argument, dict):
        path = (*path, next(iter(argument), ""))
        if list(argument) != [IGNORE_CASE]:
            raise PatternError(f"Unsupported {name} pattern: {path[-1]}", path)
        argument, fold = argument[IGNORE_CASE], True
    if not isinstance(argument, str):
        raise PatternError(f"{name} match pattern must be a string", path)
    test = _TEXTUAL[name](argument.lower() if fold else argument, path)
    if fold:
        return lambda value: isinstance(value, str) and test(value.lower())
    return lambda value: isinstance(value, str) and test(value)


def _prefix(argument: str, _path: Path) -> Callable[[str], bool]:
    return lambda value: value.startswith(argument)


def _suffix(argument: str, _path: Path) -> Callable[[str], bool]:
    return lambda value: value.endswith(argument)


def _same(argument: str, _path: Path) -> Callable[[str], bool]:
    return lambda value: value == argument


def _wildcard(pattern: str, path: Path) -> Callable[[str], bool]:
    """`*` is any run of characters; a backslash makes `*` and itself plain. Linear, whatever the text."""
    pieces = _pieces(pattern, path)
    first, last, middle = pieces[0], pieces[-1], pieces[1:-1]
    if len(pieces) == 1:
        return lambda value: value == first
    alike = Counter(piece[0] for piece in pieces[1:] if piece)
    if alike and max(alike.values()) > _MOST_ALIKE:
        raise PatternError(_TOO_COMPLEX)

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


def _pieces(pattern: str, path: Path) -> list[str]:
    """The plain text between the wildcards, and before and after them."""
    pieces: list[str] = []
    piece, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
            if pattern[at : at + 1] not in ("*", "\\"):
                text = f"Invalid escape character at pos {at - 1}"
                raise PatternError(text, path, Mark.ENDED)
            piece += pattern[at]
        elif character == "*":
            if not piece and pieces:
                text = f"Consecutive wildcard characters at pos {at}"
                raise PatternError(text, path, Mark.ENDED)
            pieces.append(piece)
            piece = ""
        else:
            piece += character
        at += 1
    return [*pieces, piece]


_TEXTUAL: Final[Mapping[str, Callable[[str, Path], Callable[[str], bool]]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    IGNORE_CASE: _same,
    "wildcard": _wildcard,
}
