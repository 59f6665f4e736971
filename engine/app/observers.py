"""Several observers as one: metrics and logs see the same."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.core.notice import Notice
from engine.core.outcome import Outcome
from engine.ports import Observer


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def began(self, invocation: Invocation, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.began(invocation)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.ended(invocation, outcome, error_type)

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.refused(event, outcome, reason)

    def noticed(self, notice: Notice, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.noticed(notice)
