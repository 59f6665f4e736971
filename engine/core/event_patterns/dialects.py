"""The three dialects of patterns: what each of them allows."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple


class Allowed(NamedTuple):
    """What patterns of a dialect may say.

    Attributes:
        match_types: Names that may stand in an object within an array.
        excluded: Those of them that `anything-but` may exclude.
        folded: `prefix` and `suffix` may ignore case.
        mixed: What `anything-but` excludes may be of any type, and of several.
        empty_excluded: `anything-but` may exclude an empty prefix or suffix.
        affixes: What errors call a prefix or suffix that `anything-but` excludes.
        fewest_ways: Objects that `$or` has at least.
    """

    match_types: frozenset[str]
    excluded: frozenset[str]
    folded: bool
    mixed: bool
    empty_excluded: bool
    affixes: str
    fewest_ways: int


IGNORE_CASE: Final = "equals-ignore-case"
_COMMON: Final = frozenset({"anything-but", "cidr", IGNORE_CASE, "exists", "numeric", "prefix", "suffix"})
_TEXTUAL: Final = frozenset({"prefix", "suffix", IGNORE_CASE, "wildcard"})


class Dialect(enum.Enum):
    """Whose patterns they are.

    LAMBDA: filters of event source mappings. EVENTBRIDGE: rules. SNS: filter policies.

    Source: EventBridge User Guide, "Comparison operators for use in event patterns"; recorded answers of
    TestEventPattern (2025-10) and of SNS (2024: `anything-but` with a suffix is refused). Unverified: that
    SNS refuses wildcards and takes numbers beside texts in `anything-but`, and what Lambda takes there.
    """

    LAMBDA = Allowed(
        match_types=_COMMON | {"wildcard"},
        excluded=_TEXTUAL,
        folded=True,
        mixed=True,
        empty_excluded=True,
        affixes="prefix/suffix",
        fewest_ways=1,
    )
    EVENTBRIDGE = Allowed(
        match_types=_COMMON | {"wildcard"},
        excluded=_TEXTUAL,
        folded=True,
        mixed=False,
        empty_excluded=False,
        affixes="prefix/suffix",
        fewest_ways=2,
    )
    SNS = Allowed(
        match_types=_COMMON,
        excluded=frozenset({"prefix"}),
        folded=False,
        mixed=True,
        empty_excluded=False,
        affixes="prefix",
        fewest_ways=1,
    )
