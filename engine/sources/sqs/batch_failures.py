"""Decides which messages of a batch are deleted and which are redelivered, by the function's answer.

Source: Lambda Developer Guide, "Handling errors for an SQS event source in Lambda", "Returning batch item
failures"; recorded behaviour.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import orjson

from engine.core.outcome import Outcome, Status

_SUCCESS: Final = Status.SUCCESS


def failed_items(outcome: Outcome, ids: Collection[str], *, reporting: bool) -> Collection[str]:
    """Ids of the messages that failed, of a batch with these `ids`: the others are to be deleted.

    All of them if the invocation failed. Without `reporting` none after a success, whatever was
    returned; with it what `reported` says.
    """
    if outcome.status is not _SUCCESS:
        return ids
    if not reporting or (not outcome.raw and outcome.body in (b"null", b"{}", b"")):
        return ()
    failed = None if outcome.raw else reported(outcome.body, ids)
    return ids if failed is None else failed


def reported(body: bytes, ids: Collection[str]) -> set[str] | None:
    """The ids in `{"batchItemFailures": [{"itemIdentifier": ID}, ...]}`; None: the whole batch failed.

    Nothing (an empty or missing list, null, `{}`, no answer at all) means that all succeeded. What cannot
    be understood means that all failed: no JSON, a wrong key, an id that is empty, null or not in the
    batch. That a value other than an object is among these, unless it is empty, is (unverified).
    """
    try:
        answer = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return None
    if not answer and not isinstance(answer, int | float):
        return set()
    if not isinstance(answer, dict):
        return None
    items = answer.get("batchItemFailures")
    if items is None or items == []:
        return set()
    if not isinstance(items, list):
        return None
    failed = set[str]()
    for item in items:
        found = item.get("itemIdentifier") if isinstance(item, dict) else None
        if not isinstance(found, str) or found not in ids:
            return None
        failed.add(found)
    return failed


def in_order(failed: Collection[str], messages: Sequence[tuple[str, str | None]]) -> Collection[str]:
    """Add to the failed ids all later ones of the same group; `keys` are `(id, group)` in order.

    AWS deletes what was not reported, and leaves it to the function to report what comes after a failure;
    this does that in its place.
    """
    if not failed:
        return failed
    broken: set[str | None] = set()
    result = set()
    for message_id, group in messages:
        if message_id in failed:
            broken.add(group)
        if group in broken:
            result.add(message_id)
    return result
