"""What becomes of an asynchronous event that could not be run: when it is tried again, and when no more.

Source: Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation";
API reference, PutFunctionEventInvokeConfig.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Self

from engine.core.function import Function
from engine.core.late_dataclass import dataclass

MAX_EVENT_AGE_S: Final = 21_600
MIN_EVENT_AGE_S: Final = 60
MAX_RETRIES: Final = 2
RETRY_WAIT_S: Final = 60.0
"""How long after the first function error the next attempt is; after the second it is twice as long."""

FIRST_BATCH_BACKOFF_S: Final = 0.1
"""Wait after the first throttle of a mapping's batch; doubled after each further one, up to the longest."""
LONGEST_BATCH_BACKOFF_S: Final = 5.0

_FIRST_BACKOFF_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 300.0
_SHORTEST_BACKOFF_S: Final = 0.01
_DOUBLINGS: Final = 60  # more of them would only overflow


class Condition(StrEnum):
    """Why AWS says that an event is done with."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"
    RECURSIVE_INVOCATION = "RecursiveInvocation"  # AWS's word is not on record


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncInvokeConfig:
    """What applies to the asynchronous events of one function and qualifier. Destinations are ARNs.

    Attributes:
        maximum_event_age_s: 60 to 21,600.
        maximum_retry_attempts: 0 to 2, after function errors.
        on_success, on_failure: Where the record of an event that is done with goes, or None.
        dead_letter_queue: Where an event that failed goes, or None.
        disabled: The function's reserved concurrency is 0: nothing is tried at all.
    """

    maximum_event_age_s: float = MAX_EVENT_AGE_S
    maximum_retry_attempts: int = MAX_RETRIES
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter_queue: str | None = None
    disabled: bool = False

    @classmethod
    def of(
        cls,
        function: Function,
        config: Mapping[str, Any] | None = None,
        *,
        expand: Callable[[str], str] = lambda text: text,
    ) -> Self:
        """The function's own keys; members of `config`, an event-invoke config of AWS, go first.

        `expand` makes an ARN of a name.
        """
        config = config or {}
        destinations = config.get("DestinationConfig", {})

        def arn(member: str, own: str | None) -> str | None:
            text = destinations.get(member, {}).get("Destination") or own
            return None if text is None else expand(text)

        queue = function.dead_letter_queue
        retries = config.get("MaximumRetryAttempts", function.maximum_retry_attempts)
        return cls(
            maximum_event_age_s=config.get("MaximumEventAgeInSeconds", function.maximum_event_age_s),
            # An execution is not started again (Developer Guide, "Durable functions").
            maximum_retry_attempts=retries if function.durable is None else 0,
            on_success=arn("OnSuccess", function.on_success),
            on_failure=arn("OnFailure", function.on_failure),
            dead_letter_queue=None if queue is None else expand(queue),
            disabled=function.reserved_concurrency == 0,
        )


def after_error(
    failures: int, age_s: float, config: AsyncInvokeConfig, wait_s: float = RETRY_WAIT_S
) -> float | Condition:
    """Seconds until the next attempt after `failures` failed ones, or why there is none.

    They are `wait_s` after the first, and double.

    Whether a retry would come too late is known now, so an event is not kept until it is.
    """
    if failures > config.maximum_retry_attempts:
        return Condition.RETRIES_EXHAUSTED
    delay_s = wait_s * 2.0 ** (min(failures, MAX_RETRIES) - 1)
    if age_s + delay_s > config.maximum_event_age_s:
        return Condition.EVENT_AGE_EXCEEDED
    return delay_s


def backoff_s(
    refusals: int, first_s: float = _FIRST_BACKOFF_S, longest_s: float = _LONGEST_BACKOFF_S
) -> float:
    """Seconds until the next attempt after `refusals` (1 or more) throttles or system errors in a row.

    They double from `first_s` to `longest_s`; the defaults are those of asynchronous events.
    """
    return min(first_s * 2.0 ** min(refusals - 1, _DOUBLINGS), longest_s)


def async_backoff_s(refusals: int, wait_s: float = RETRY_WAIT_S) -> float:
    """`backoff_s` of asynchronous events, in proportion where they wait `wait_s` after an error.

    Never less than 10 ms: what is throttled is not asked for all the time.
    """
    scale = wait_s / RETRY_WAIT_S
    return max(_SHORTEST_BACKOFF_S, backoff_s(refusals, _FIRST_BACKOFF_S * scale, _LONGEST_BACKOFF_S * scale))


class AsyncCounts:
    """What happened to a function's asynchronous events: plain counters, read at each scrape.

    Attributes:
        accepted: Events taken.
        delivered: Events that a run of the function ended well.
        retried: Attempts put off after a function error.
        exhausted, expired, refused: Events dropped: all attempts failed, too old, reserved concurrency 0.
        recursive: Events dropped because their function had called itself too often.
        abandoned: Events that still waited when the engine stopped, or whose function was removed.
        dead_letters, dead_letters_failed: Hand-overs to the dead-letter queue.
        destinations, destinations_failed: Hand-overs to OnSuccess and OnFailure.
        waiting: Events that wait for their next attempt, now.
        oldest_age_s: Reads the age of the oldest event that is not done with, seconds; 0 if there is none.
        aged: Told the age of an event at each attempt, seconds.
    """

    __slots__ = (
        "abandoned",
        "accepted",
        "aged",
        "dead_letters",
        "dead_letters_failed",
        "delivered",
        "destinations",
        "destinations_failed",
        "exhausted",
        "expired",
        "oldest_age_s",
        "recursive",
        "refused",
        "retried",
        "waiting",
    )

    def __init__(self, aged: Callable[[float], None] = lambda _: None) -> None:
        self.accepted = self.delivered = self.retried = 0
        self.exhausted = self.expired = self.refused = self.abandoned = self.recursive = 0
        self.dead_letters = self.dead_letters_failed = 0
        self.destinations = self.destinations_failed = 0
        self.waiting = 0
        self.oldest_age_s: Callable[[], float] = _none
        self.aged = aged

    @property
    def dropped(self) -> int:
        """Events that no run ended well: AWS's AsyncEventsDropped."""
        return self.exhausted + self.expired + self.refused + self.abandoned + self.recursive


def _none() -> float:
    return 0.0
