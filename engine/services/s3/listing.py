"""Walks keys in order: prefixes, delimiters and pages of all listings.

Python orders text by code points, which is the order of its UTF-8 bytes, which is S3's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote_plus

from sortedcontainers import SortedDict

from engine.services.s3.model import ObjectVersion

_LAST: Final = 0x10FFFF


class ListingPage(NamedTuple):
    """One page of a listing.

    Attributes:
        found: Keys with their versions, in order.
        prefixes: Common prefixes, in order.
        is_truncated: There is more behind it.
        last: The last key or common prefix of it, if any: the next page begins behind that.
    """

    found: list[tuple[str, list[ObjectVersion]]]
    prefixes: list[str]
    is_truncated: bool
    last: str | None


def after(prefix: str) -> str | None:
    """The least text that is greater than all that begin with `prefix`; None if there is none."""
    while prefix and ord(prefix[-1]) == _LAST:
        prefix = prefix[:-1]
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else None


def page(
    keys: SortedDict[str, list[ObjectVersion]],
    *,
    prefix: str,
    delimiter: str,
    start_after: str,
    max_keys: int,
    shown: Callable[[list[ObjectVersion]], bool],
    resumes: bool = True,
) -> ListingPage:
    """The next page behind `start_after`, of no more than `max_keys` keys and common prefixes together.

    `shown` decides which keys are listed at all. With `resumes` a common prefix that `start_after` lies in
    was listed before; without, it is listed if there are keys in it behind `start_after`.
    """
    found: list[tuple[str, list[ObjectVersion]]] = []
    prefixes: list[str] = []
    last: str | None = None
    if max_keys <= 0:
        return ListingPage(found, prefixes, is_truncated=False, last=None)
    floor: str | None = start_after
    inclusive = False
    if prefix > start_after:
        floor, inclusive = prefix, True
    elif resumes and delimiter and start_after.startswith(prefix):
        cut = start_after.find(delimiter, len(prefix))
        if cut >= 0:
            floor, inclusive = after(start_after[: cut + len(delimiter)]), True
    if floor is None:
        return ListingPage(found, prefixes, is_truncated=False, last=None)
    for key, common in _walk(keys, prefix, delimiter, floor, inclusive, shown):
        if len(found) + len(prefixes) >= max_keys:
            return ListingPage(found, prefixes, is_truncated=True, last=last)
        if common:
            prefixes.append(key)
        else:
            found.append((key, keys[key]))
        last = key
    return ListingPage(found, prefixes, is_truncated=False, last=last)


def _walk(
    keys: SortedDict[str, list[ObjectVersion]],
    prefix: str,
    delimiter: str,
    floor: str,
    inclusive: bool,  # noqa: FBT001  # one call
    shown: Callable[[list[ObjectVersion]], bool],
) -> Iterator[tuple[str, bool]]:
    """Keys, or common prefixes (True); keys below a common prefix are skipped in one step."""
    ceiling = after(prefix) if prefix else None
    while True:
        for key in keys.irange(floor, ceiling, inclusive=(inclusive, False)):
            if not shown(keys[key]):
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                yield key, False
                continue
            common = key[: cut + len(delimiter)]
            yield common, True
            skipped = after(common)
            if skipped is None:
                return
            floor, inclusive = skipped, True
            break
        else:
            return


def encoded(value: str, encoding: str | None) -> str:
    """`value` as the caller wants names: encoded as in a form, but for `/` and `*`, or as they are."""
    return value if encoding is None else quote_plus(value, safe="/*").replace("~", "%7E")


def common_prefixes(prefixes: Iterable[str], encoding: str | None) -> list[dict[str, str]]:
    """`CommonPrefixes` of an answer."""
    return [{"Prefix": encoded(prefix, encoding)} for prefix in prefixes]
