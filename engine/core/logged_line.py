"""What a function logged, as an event of CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol


class LoggedLine(NamedTuple):
    """One event.

    Attributes:
        group: Name of its log group.
        stream: Name of its log stream: one for each environment.
        at_s: When it was logged, seconds since the Unix epoch.
        message: The text, with its newline.
    """

    group: str
    stream: str
    at_s: float
    message: str


class UnreadLines(Protocol):
    """What functions have logged and nobody has read yet. `telemetry` keeps it, the logs service reads it."""

    def take(self, count: int) -> Iterator[LoggedLine]:
        """Hand over the oldest `count` records at most, each of a few lines; nothing if there are none."""

    def watch(self, on_record: Callable[[], object] | None) -> None:
        """Call `on_record` when something is logged, on the thread that logs; None: nothing any more."""
