"""The events of an execution, in the order in which they were accepted."""

from __future__ import annotations

from typing import Any, NamedTuple


class HistoryPage(NamedTuple):
    """Some events as the API's documents. `next_marker` is None at the end."""

    events: list[dict[str, Any]]
    next_marker: str | None
