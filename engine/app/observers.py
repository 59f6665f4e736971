"""Several observers as one: metrics and logs see the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.core.notice import Notice
from engine.core.outcome import Outcome
from engine.ports import Observer


class Observers:
    """Several observers as one; `finish` is called before they hear of an end."""

    def __init__(self, observers: Sequence[Observer], finish: Callable[[Invocation], object]) -> None:
        self._observers = observers
        self._finish = finish

    def began(self, invocation: Invocation, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.began(invocation)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """Passed on, after the handler's last line."""
        self._finish(invocation)
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
