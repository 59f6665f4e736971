"""Paths into events: `$.detail.items[0].id`, of InputPath and InputPathsMap.

Source: EventBridge User Guide, "Amazon EventBridge input transformation" (dots and brackets).
"""

from __future__ import annotations

import re
from typing import Any, Final

MISSING: Final = object()
"""What a path finds that leads nowhere."""

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\[\s*'([^']*)'\s*\]|\[\s*"([^"]*)"\s*\]""")


class EventPath:
    """A path that was read; `find` follows it.

    Attributes:
        text: As it was given.
    """

    __slots__ = ("_steps", "text")

    def __init__(self, text: str) -> None:
        """Read `text`. Raises ValueError if it is no path."""
        self.text = text
        steps: list[str | int] = []
        if not text.startswith("$"):
            raise ValueError(f"{text!r} does not begin with $")
        at = 1
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None:
                raise ValueError(f"{text!r} cannot be read from {text[at:]!r} on")
            name, index, quoted, double_quoted = found.groups()
            if index is not None:
                steps.append(int(index))
            else:
                steps.append(next(one for one in (name, quoted, double_quoted) if one is not None))
            at = found.end()
        self._steps = tuple(steps)

    def find(self, document: Any) -> Any:
        """The value at its end, or MISSING."""
        for step in self._steps:
            if isinstance(step, int):
                if not isinstance(document, list) or step >= len(document):
                    return MISSING
                document = document[step]
            elif isinstance(document, dict) and step in document:
                document = document[step]
            else:
                return MISSING
        return document
