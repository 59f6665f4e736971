"""Counts for metrics what only a function's driver knows: scaling, and samples of the engine's overhead."""

from __future__ import annotations

import math
from typing import Final

from engine.core.event import Event
from engine.core.fleet import Fleet
from engine.core.invocation import Invocation, Reply
from engine.core.outcome import Outcome
from engine.ports import Clock, Meter

_SAMPLE_EVERY_S: Final = 0.001


class ScalingMeter:
    """The meter of one function; without one nothing is counted.

    Attributes:
        next_sample_s: Engine clock from which on the next event is to be sampled.
        wanted: Environments counted so far, of those its fleet has wanted.
    """

    __slots__ = ("_fleet", "_function", "_meter", "_now", "next_sample_s", "wanted")

    def __init__(self, function: str, fleet: Fleet[Invocation], clock: Clock, meter: Meter | None) -> None:
        self._function = function
        self._fleet = fleet
        self._now = clock.now
        self._meter = meter
        self.next_sample_s = math.inf if meter is None else -math.inf
        self.wanted = 0

    def scaled_up(self, *, provisioned: bool) -> None:
        """Count an environment that is started."""
        if self._meter is not None:
            self._meter.scaled(self._function, "up", "provisioned" if provisioned else "demand")

    def scaled_down(self, reason: str, count: int = 1) -> None:
        """Count environments that have gone; the last of them `to_zero` if none is left."""
        if self._meter is None:
            return
        last = "down" if self._fleet.environments else "to_zero"
        for left in range(count, 0, -1):
            self._meter.scaled(self._function, last if left == 1 else "down", reason)

    def count_wanted(self) -> None:
        """Count the environments that the fleet has wanted since the last call."""
        if self._meter is not None:
            self._meter.wanted(self._function, self._fleet.wanted - self.wanted)
        self.wanted = self._fleet.wanted

    def stream_began(self, after_s: float) -> None:
        """Count a streamed response, which began so long after its event was received."""
        if self._meter is not None:
            self._meter.first_byte(self._function, after_s)

    def stream_ended(self, count: int) -> None:
        """Count the bytes of a streamed response that has ended."""
        if self._meter is not None:
            self._meter.streamed(self._function, count)

    def from_zero(self, event: Event, reply: Reply) -> Reply:
        """A reply that also measures how long an event took that may have found no environment at all."""
        meter = self._meter
        if meter is None or self._fleet.environments:
            return reply

        def answer(outcome: Outcome) -> None:
            reply(outcome)
            if outcome.ran:
                meter.came_from_zero(self._function, self._now() - event.received_s)

        return answer

    def sample(self, event: Event, reply: Reply, submitted_s: float) -> Reply:
        """A reply that measures what the engine adds: before `submitted_s`, and after the handler ended."""
        self.next_sample_s = submitted_s + _SAMPLE_EVERY_S
        meter = self._meter
        if meter is None:
            return reply

        def answer(outcome: Outcome) -> None:
            reply(outcome)
            if outcome.ran:
                ended_s = event.received_s + outcome.queue_wait_s + outcome.duration_s
                before_s = submitted_s - event.received_s
                meter.answered(event.trigger, max(0.0, before_s + self._now() - ended_s))

        return answer
