"""Paths into events: `$.detail.items[0].id`, `$.detail.items[*].id`, of InputPath and InputPathsMap.

Source: EventBridge User Guide, "Amazon EventBridge input transformation" (dots, array indices, wildcards).
Unverified: that a path with a wildcard gives the list of all that it finds, as JSON paths do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

MISSING: Final = object()
"""What a path finds that leads nowhere."""

_STEP: Final = re.compile(
    r"""(\.\*(?=[.\[]|\Z)|\[\s*\*\s*\])|\.([^.\[\]]+)|\[(\d{1,9})\]|\[\s*'([^']*)'\s*\]|\[\s*"([^"]*)"\s*\]"""
)

_Step = str | int | None
"""A member, an item, or None: all of either."""


class EventPath:
    """A path that was read; `find` follows it.

    Attributes:
        text: As it was given.
    """

    __slots__ = ("_steps", "text")

    def __init__(self, text: str) -> None:
        """Read `text`. Raises ValueError if it is no path."""
        self.text = text
        steps: list[_Step] = []
        if not text.startswith("$"):
            raise ValueError(f"{text!r} does not begin with $")
        at = 1
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None:
                raise ValueError(f"{text!r} cannot be read from {text[at:]!r} on")
            wildcard, name, index, quoted, double_quoted = found.groups()
            if index is not None:
                steps.append(int(index))
            elif wildcard is not None:
                steps.append(None)
            else:
                steps.append(next(one for one in (name, quoted, double_quoted) if one is not None))
            at = found.end()
        self._steps = tuple(steps)

    def find(self, document: Any) -> Any:
        """The value at its end, a list of all values if it has a wildcard; or MISSING if there is none."""
        found = [document]
        for step in self._steps:
            found = [value for one in found for value in _below(one, step)]
        if not found:
            return MISSING
        return found if None in self._steps else found[0]


def _below(value: Any, step: _Step) -> Iterator[Any]:
    if step is None:
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield value[step]
    elif isinstance(value, dict) and step in value:
        yield value[step]
