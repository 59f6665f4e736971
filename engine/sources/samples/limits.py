"""What AWS's services do not take: a sample that cannot exist would test nothing.

Source: API references of the services; the same rules as the services here have, where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Check = Callable[[Any], str | None]
"""Why a field cannot have that value, as the end of a sentence; None if it can."""

_ATTRIBUTE_NAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.ASCII)
_KEY_TYPES: Final = ("S", "N", "B")


def matching(pattern: str) -> Check:
    """Texts that are this regular expression, in ASCII classes."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: None if compiled.fullmatch(text) else f"does not match {pattern}"


def up_to(most_bytes: int) -> Check:
    """Texts of a byte or more, in UTF-8."""
    return lambda text: (
        None
        if 1 <= len(text.encode(errors="replace")) <= most_bytes
        else f"has not 1 to {most_bytes:,} bytes"
    )


def message_attributes(given: Mapping[str, Any]) -> str | None:
    """Of a message of SQS or SNS."""
    for name, value in given.items():
        if _ATTRIBUTE_NAME.fullmatch(name) is None:
            return f"has the name {name!r}: letters, digits, _, - and . are taken"
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            return f"has a value of {name!r} that is neither a text nor a number"
    return None


def key_of_item(given: Mapping[str, Any]) -> str | None:
    """Of an item of DynamoDB: a partition key, and maybe a sort key."""
    if not 1 <= len(given) <= 2:
        return "has not one or two attributes"
    for name, value in given.items():
        if isinstance(value, Mapping):
            taken = len(value) == 1 and next(iter(value)) in _KEY_TYPES
        else:
            taken = isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
        if not taken or not name:
            return f"has a value of {name!r} that is neither a text, a number nor bytes"
    return None


def names_and_values(given: Mapping[str, Any]) -> str | None:
    """Of a query or of headers: each value is one, or a list of some."""
    for name, value in given.items():
        each = value if isinstance(value, list) else [value]
        if not name or any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in each):
            return f"has a value of {name!r} that is neither a text nor a number"
    return None


def path_of_url(text: str) -> str | None:
    """Of a request."""
    return None if text.startswith("/") else "does not begin with /"
