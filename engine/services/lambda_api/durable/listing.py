"""Which executions of a function ListDurableExecutionsByFunction shows, and in what order.

Source: Lambda API reference, ListDurableExecutionsByFunction.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
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
    every = list(executions)
    if not parameters.get("ReverseOrder"):
        every.reverse()
    first = _behind(every, parameters["Marker"]) if parameters.get("Marker") else 0
    most = parameters.get("MaxItems") or DEFAULT_PAGE_ITEMS
    wanted = _rule(parameters, versions)
    # No more is looked at than the page and the first one after it: there may be 100,000.
    page = list(islice(filter(wanted, islice(every, first, None)), most + 1))
    more = len(page) > most
    return ExecutionsPage(page[:most], _marker(page[most - 1]) if more else None)


def _rule(parameters: Mapping[str, Any], versions: frozenset[str] | None) -> Callable[[Execution], bool]:
    """Which executions are asked for. Raises ServiceError for a time that is none."""
    name, statuses = parameters.get("DurableExecutionName"), parameters.get("Statuses")
    after, before = parameters.get("StartedAfter"), parameters.get("StartedBefore")
    after_s = -math.inf if after is None else seconds(after)
    before_s = math.inf if before is None else seconds(before)

    def is_wanted(execution: Execution) -> bool:
        return (
            (name is None or execution.name == name)
            and (not statuses or execution.status.value in statuses)
            and after_s <= execution.started_s <= before_s
            and (versions is None or execution.version in versions)
        )

    return is_wanted


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


def _behind(every: Sequence[Execution], marker: str) -> int:
    """Where the page after `marker` begins, which is that of the last execution before it.

    It is found whatever has become of it meanwhile, unless it is gone.
    """
    try:
        last = b64decode(marker, validate=True).decode()
    except ValueError:
        raise invalid_parameter("Invalid marker") from None
    for number, execution in enumerate(every):
        if execution.execution_id == last:
            return number + 1
    raise invalid_parameter("Invalid marker")
