"""Idempotency by execution name."""

from __future__ import annotations

from enum import Enum

from engine.core.durable.execution import Execution


class NameUse(Enum):
    """What an Invoke with an execution name leads to.

    NEW: a new execution. EXISTING: the one there is, whose end a synchronous caller waits for.
    CONFLICT: DurableExecutionAlreadyStartedException, 409.
    """

    NEW = "new"
    EXISTING = "existing"
    CONFLICT = "conflict"


def use_of_name(existing: Execution | None, payload: str) -> NameUse:
    """What a start under a name means, where `existing` is the retained execution of that name, if any.

    Whether it still runs, is paused or has ended makes no difference (Developer Guide, table of
    idempotency): the same payload leads to it, another is refused.
    """
    if existing is None:
        return NameUse.NEW
    return NameUse.EXISTING if existing.input == payload else NameUse.CONFLICT
