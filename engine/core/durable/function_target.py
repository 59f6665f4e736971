"""The function that a chained invoke names."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MAX_LENGTH: Final = 256
_PATTERN: Final = re.compile(
    r"(?P<arn>arn:(aws[a-zA-Z-]*)?:lambda:)?"
    r"((?P<region>(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d):)?"
    r"((?P<account_id>\d{12}):)?"
    r"(function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)"
    r"(:(?P<qualifier>\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
    re.ASCII,
)
"""Lambda model, shape NamespacedFunctionName."""


class FunctionTarget(NamedTuple):
    """The parts of a function's name, partial or full ARN; None for those it does not name."""

    name: str
    qualifier: str | None
    account_id: str | None
    region: str | None


def parse_function_target(text: str) -> FunctionTarget | None:
    """Its parts, or None for what is no name of a function: a full ARN needs region and account."""
    found = _PATTERN.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if found is None:
        return None
    target = FunctionTarget(*found.group("name", "qualifier", "account_id", "region"))
    is_whole = target.region is not None and target.account_id is not None
    return None if found["arn"] and not is_whole else target
