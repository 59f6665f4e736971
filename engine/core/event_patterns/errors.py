"""Why a pattern is none, and where in its text, in the words of AWS."""

from __future__ import annotations

import enum
import re
from typing import Final

from engine.core.fast_json import loads
from engine.errors import EngineError

Path = tuple[str | int, ...]
"""Keys and indexes that lead to a value of the pattern."""

_LONGEST_QUOTED: Final = 500
_BLANK: Final = " \t\r\n"
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR: Final = re.compile(r"[^\s,\]}]+")


class Mark(enum.Enum):
    """Which place of a value an error names: how far a reader that reads token by token has come."""

    BEGUN = "begun"
    """After its bracket or its opening quote; after a number or a word."""
    ENDED = "ended"
    """After all of it."""


class PatternError(EngineError):
    """A pattern is invalid.

    Attributes:
        reason: AWS's words, where they are known.
        path: The value that is wrong; None if the text has no place for it.
        mark: Which place of that value AWS names.
    """

    def __init__(self, reason: str, path: Path | None = None, mark: Mark = Mark.BEGUN) -> None:
        super().__init__(reason, path, mark)
        self.reason, self.path, self.mark = reason, path, mark

    def __str__(self) -> str:
        return self.reason

    def located(self, text: str) -> str:
        r"""The reason and, on a line of its own, ` at [Source: (String)"TEXT"; line: L, column: C]`.

        Source: recorded answers of SNS and EventBridge for the form. That texts are cut after 500 characters,
        and the column of each error, are as the parser that words it so has them (unverified).
        """
        if self.path is None:
            return self.reason
        read = text[: _offset(text, self.path, self.mark)]
        line, column = read.count("\n") + 1, len(read) - (read.rfind("\n") + 1) + 1
        more = len(text) - _LONGEST_QUOTED
        quoted = f'"{text[:_LONGEST_QUOTED]}"' + (f"[truncated {more} chars]" if more > 0 else "")
        return f"{self.reason}\n at [Source: (String){quoted}; line: {line}, column: {column}]"


def _offset(text: str, path: Path, mark: Mark) -> int:
    """How many characters of `text`, which is JSON, have been read at that place."""
    at = _skip(text, 0)
    for step in path:
        at = _enter(text, at, step)
    if mark is Mark.ENDED:
        return _end(text, at)
    return at + 1 if text[at] in '"[{' else _end(text, at)


def _skip(text: str, at: int, also: str = "") -> int:
    while at < len(text) and text[at] in _BLANK + also:
        at += 1
    return at


def _enter(text: str, at: int, step: str | int) -> int:
    """Where the value of that key or index begins, in the object or array that begins at `at`.

    Of keys that are there twice the last one counts. An index beyond the last one is the closing bracket.
    """
    at, found, index = _skip(text, at + 1, ","), None, 0
    while text[at] not in "]}":
        key: str | int = index
        if isinstance(step, str):
            ended = _end(text, at)
            key, at = _plain(text[at:ended]), _skip(text, ended, ":")
        if key == step:
            found = at
            if isinstance(step, int):
                break
        at, index = _skip(text, _end(text, at), ","), index + 1
    return at if found is None else found


def _plain(quoted: str) -> str:
    """The key in quotes, as the parser gives it."""
    if "\\" not in quoted:
        return quoted[1:-1]
    from_json: str = loads(quoted)
    return from_json


def _end(text: str, at: int) -> int:
    """Where the value that begins at `at` is over."""
    depth = 0
    while True:
        character = text[at]
        if character == '"':
            match = _STRING.match(text, at)
            at = match.end() if match else len(text)
        elif character in "[{":
            depth, at = depth + 1, at + 1
        elif character in "]}":
            depth, at = depth - 1, at + 1
        else:
            match = _SCALAR.match(text, at)
            at = match.end() if match and character not in ":," else at + 1
        if depth <= 0:
            return at
        at = _skip(text, at, ",:")
