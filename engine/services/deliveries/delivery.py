"""One delivery of a topic or event bus to one target: what goes where, by which law, and where it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from engine.core.delivery_counts import BusService, TargetKind
from engine.core.destinations import DeliveryError, DestinationRecord, DestinationSender
from engine.core.late_dataclass import dataclass
from engine.services.deliveries.retry_law import Exhausted, RetryLaw

DELIVERY_BYTES: Final = 1024
"""What a delivery takes in memory besides its record, about."""

Done = Callable[[DeliveryError | None], None]
"""Told once what became of an attempt: None if the target has it."""


class GivenUp(NamedTuple):
    """Why a delivery is tried no more.

    Attributes:
        error: Of the last attempt.
        attempts: How many there were.
        exhausted: Which bound of the law ended them; None if the error is none that a retry can mend.
    """

    error: DeliveryError
    attempts: int
    exhausted: Exhausted | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is delivered.

    Attributes:
        service: Whose delivery it is.
        kind: What the target is.
        target: Its ARN, or the URL of an HTTP endpoint.
        record: What it gets.
        law: When it is tried again.
        dead_letter_queue: ARN of the queue that has what could not be delivered, or None.
        dead_letter: Makes what that queue gets.
        refusal: Why it is given up before any attempt; None for what is tried.
    """

    service: BusService
    kind: TargetKind
    target: str
    record: DestinationRecord
    law: RetryLaw
    dead_letter_queue: str | None
    dead_letter: Callable[[GivenUp], DestinationRecord]
    refusal: DeliveryError | None = None


TargetPort = Callable[[Delivery, Done], None]
"""Makes one attempt at the target of a delivery; calls `Done` once, now or later, or raises DeliveryError.

It must not block. `DeliveryError.is_temporary` decides whether there is another attempt.
"""


def port_of(sender: DestinationSender) -> TargetPort:
    """A port that sends at once."""

    def attempt(delivery: Delivery, done: Done) -> None:
        sender(delivery.target, delivery.record)
        done(None)

    return attempt
