"""Which executions of a function ListDurableExecutionsByFunction shows, and in what order.

Source: Lambda API reference, ListDurableExecutionsByFunction.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from engine.core.durable.execution import Execution
from engine.core.durable.values import DEFAULT_PAGE_ITEMS
from engine.services.lambda_api.errors import invalid_parameter


class ExecutionsPage(NamedTuple):
    """Executions, and the marker of the next page, or None."""

    executions: Sequence[Execution]
    next_marker: str | None


def page_of(
    executions: Iterable[Execution], parameters: Mapping[str, Any], versions: frozenset[str] | None
) -> ExecutionsPage:
    """The page that `parameters` ask for, newest first unless `ReverseOrder`.

    Args:
        executions: Of the function, oldest first.
        parameters: Of the call, by AWS's names.
        versions: Those that the qualifier stands for; None for all.

    Raises:
        ServiceError: The marker or a time is malformed.
    """
    found = [one for one in executions if _is_wanted(one, parameters, versions)]
    if not parameters.get("ReverseOrder"):
        found.reverse()
    first = _behind(found, parameters["Marker"]) if parameters.get("Marker") else 0
    last = first + (parameters.get("MaxItems") or DEFAULT_PAGE_ITEMS)
    page = found[first:last]
    more = last < len(found)
    return ExecutionsPage(page, _marker(page[-1]) if more else None)


def _is_wanted(execution: Execution, parameters: Mapping[str, Any], versions: frozenset[str] | None) -> bool:
    if versions is not None and execution.version not in versions:
        return False
    name, statuses = parameters.get("DurableExecutionName"), parameters.get("Statuses")
    after, before = parameters.get("StartedAfter"), parameters.get("StartedBefore")
    return (
        (name is None or execution.name == name)
        and (not statuses or execution.status.value in statuses)
        and (after is None or execution.started_s >= seconds(after))
        and (before is None or execution.started_s <= seconds(before))
    )


def seconds(text: str) -> float:
    """A time as queries have it, ISO 8601 or seconds since the Unix epoch. Raises ServiceError."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_parameter(f"{text[:100]} is no timestamp.") from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _marker(execution: Execution) -> str:
    return b64encode(execution.execution_id.encode()).decode()


def _behind(found: Sequence[Execution], marker: str) -> int:
    """Where the page after `marker` begins, which is that of the last execution before it."""
    try:
        last = b64decode(marker, validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_parameter("Invalid marker") from None
    for number, execution in enumerate(found):
        if execution.execution_id == last:
            return number + 1
    raise invalid_parameter("Invalid marker")
