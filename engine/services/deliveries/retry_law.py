"""How often a service tries a delivery that failed, and how long it waits between.

Sources: SNS Developer Guide, "Message delivery retries"; EventBridge User Guide, "How EventBridge retries
delivering events"; API reference of EventBridge, "RetryPolicy"; CloudWatch Logs User Guide, "Log group-level
subscription filters".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

_DAY_S: Final = 86_400.0
_EVER_S: Final = 365 * _DAY_S


class Exhausted(StrEnum):
    """Why there is no further attempt: the member of EventBridge's RetryPolicy that ended them."""

    RETRIES = "MaximumRetryAttempts"
    AGE = "MaximumEventAgeInSeconds"


class RetryPhase(NamedTuple):
    """Retries in a row: the first waits `first_s`, the last `last_s`, those between grow exponentially."""

    retries: int
    first_s: float
    last_s: float

    def wait_s(self, number: int) -> float:
        """How long retry `number` of the phase (from 0) waits."""
        if self.first_s == self.last_s or self.retries == 1:
            return self.first_s
        return float(self.first_s * (self.last_s / self.first_s) ** (number / (self.retries - 1)))


class RetryLaw(NamedTuple):
    """When a delivery is tried again.

    Attributes:
        phases: What its retries wait, one phase after the other; the last phase goes on for ever.
        max_retries: Retries after the first attempt, at most.
        max_age_s: No retry is made later than this after the first attempt.
        jitter: A wait is shortened by up to this share of it, at random.
    """

    phases: tuple[RetryPhase, ...]
    max_retries: int
    max_age_s: float
    jitter: float

    def next_wait_s(
        self, attempts: int, age_s: float, random: float, scale: float = 1.0
    ) -> float | Exhausted:
        """Seconds until the next attempt after `attempts` (1 or more) failed ones, or why there is none.

        That a retry would come too late is known at once: a delivery is not kept until then.

        Args:
            attempts: Those that failed.
            age_s: How long ago the first was.
            random: From 0 to below 1; decides the jitter.
            scale: What all waits are multiplied with, not the age.
        """
        if attempts > self.max_retries:
            return Exhausted.RETRIES
        wait_s = self._full_wait_s(attempts - 1) * scale * (1 - self.jitter * random)
        return Exhausted.AGE if age_s + wait_s > self.max_age_s else wait_s

    def limited(self, max_retries: int | None, max_age_s: float | None) -> RetryLaw:
        """The same with other bounds; None leaves one as it is."""
        return self._replace(
            max_retries=self.max_retries if max_retries is None else max_retries,
            max_age_s=self.max_age_s if max_age_s is None else max_age_s,
        )

    def _full_wait_s(self, number: int) -> float:
        for phase in self.phases:
            if number < phase.retries:
                return phase.wait_s(number)
            number -= phase.retries
        return self.phases[-1].last_s


_SNS_PHASES: Final = (
    RetryPhase(2, 0.0, 0.0),
    RetryPhase(2, 1.0, 1.0),
    RetryPhase(10, 1.0, 20.0),
    RetryPhase(100_000, 20.0, 20.0),
)
SNS_LAW: Final = RetryLaw(_SNS_PHASES, 100_014, 24 * _DAY_S, 0.1)
"""SNS to functions and queues: 3 attempts at once, 2 after 1 s each, 10 after 1 to 20 s, 100,000 after 20 s.

They are 100,015 attempts over 23 days, the first among the 3. AWS has jitter; how much is not on record.
"""

SNS_HTTP_LAW: Final = RetryLaw((RetryPhase(3, 20.0, 20.0),), 3, _EVER_S, 0.0)
"""SNS to HTTP: 3 retries after 20 s each, the default delivery policy of a topic."""

LOGS_LAW: Final = RetryLaw((RetryPhase(11, 1.0, 600.0),), 1_000_000, _DAY_S, 0.5)
"""Subscriptions of CloudWatch Logs: within 24 hours. The waits are ours, AWS publishes none."""

EVENTBRIDGE_LAW: Final = RetryLaw((RetryPhase(11, 1.0, 600.0),), 185, _DAY_S, 0.5)
"""EventBridge: 185 retries within 24 hours, exponential with jitter.

The waits are ours, AWS publishes none: from 1 s to 10 minutes, between half and all of it, so that 185 of
them take about a day.
"""
