"""One operation of an execution, small in memory."""

from __future__ import annotations

from typing import Any

from engine.core.durable.values import TimeUnit


class DurableOperation:
    """What is known of one operation. Only its execution changes it."""

    __slots__ = ()

    def document(self, unit: TimeUnit) -> dict[str, Any]:
        """The API's Operation: only members that have a value; times in `unit`."""
        raise NotImplementedError
