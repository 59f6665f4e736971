"""A subscription filter of a log group, and which of them would feed a function its own logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from engine.core.late_dataclass import dataclass
from engine.services.logs.subscribers import Subscribers


@dataclass(slots=True, kw_only=True, eq=False)
class SubscriptionFilter:
    """One filter.

    Attributes:
        name: Unique in its group.
        pattern: As it was given.
        matches: Whether a message is delivered.
        destination_arn: Of a function, with or without a qualifier.
        role_arn, distribution, on_transformed, system_fields: Kept and shown.
        created_ms: When a filter of that name was first put, milliseconds since the Unix epoch.
        off_until_ms: Until then nothing is delivered: the function was not there.
    """

    name: str
    pattern: str
    matches: Callable[[str], bool]
    destination_arn: str
    created_ms: int
    role_arn: str | None = None
    distribution: str = "ByLogStream"
    on_transformed: bool = False
    system_fields: list[str] = field(default_factory=list)
    off_until_ms: int = 0


FiltersOf = Callable[[str], Mapping[str, SubscriptionFilter]]
"""The filters of the group of that name, by name; none if there is no such group."""


def delivers_own_logs(
    group: str, destination_arn: str, filters_of: FiltersOf, subscribers: Subscribers
) -> bool:
    """Whether logs of `group` that the function gets would come back to `group`.

    It logs there itself, or to a group whose filters deliver to a function that does, and so on. Each
    delivery would then be the cause of another, without end. AWS leaves that to its users.
    """
    seen: set[str] = set()
    asked = [destination_arn]
    while asked:
        own = subscribers.log_group_of(asked.pop())
        if own == group:
            return True
        if own is not None and own not in seen:
            seen.add(own)
            asked += [one.destination_arn for one in filters_of(own).values()]
    return False
