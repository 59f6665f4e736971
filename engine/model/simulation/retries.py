"""Asynchronous events whose attempt failed or was refused: tried again by the engine's own rules."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.retry import AsyncInvokeConfig, after_error, backoff_s
from engine.model.simulation.schedule import Schedule
from engine.model.simulation.workload import Workload


class Retrying:
    """The retries of one function's events.

    Attributes:
        waiting: Events that wait for their next attempt.
        attempts: Attempts beyond the first.
        dropped: Events given up.
    """

    __slots__ = (
        "_at",
        "_at_s",
        "_config",
        "_failures",
        "_refusals",
        "_retry",
        "attempts",
        "dropped",
        "waiting",
    )

    def __init__(self, workload: Workload, at: Schedule, again: Callable[[float, int, int], None]) -> None:
        self._config = AsyncInvokeConfig.of(workload.function)
        self._at_s = workload.at_s
        self._at, self._retry = at, again
        self._failures: dict[int, int] = {}
        self._refusals: dict[int, int] = {}
        self.waiting = self.attempts = self.dropped = 0

    def failed(self, now_s: float, item: int) -> None:
        """A function error: one minute, two minutes, and no more."""
        failures = self._failures.get(item, 0) + 1
        self._failures[item] = failures
        self._refusals.pop(item, None)
        delay = after_error(failures, now_s - self._at_s[item], self._config)
        if isinstance(delay, str):
            self.dropped += 1
        else:
            self._schedule(now_s + delay, item)

    def refused(self, now_s: float, item: int) -> None:
        """A throttle: a second, doubled each time up to five minutes, until the event is too old."""
        refusals = self._refusals.get(item, 0) + 1
        self._refusals[item] = refusals
        again_s = now_s + backoff_s(refusals)
        if again_s - self._at_s[item] > self._config.maximum_event_age_s:
            self.dropped += 1
        else:
            self._schedule(again_s, item)

    def _schedule(self, when_s: float, item: int) -> None:
        self.waiting += 1
        self.attempts += 1
        self._at(when_s, self._due, item)

    def _due(self, now_s: float, item: int, b: int) -> None:
        self.waiting -= 1
        self._retry(now_s, item, b)
