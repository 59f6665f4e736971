"""What became of deliveries of topics, event buses and log subscriptions: counters, read at each scrape."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

BusService = Literal["sns", "events", "logs"]
TargetKind = Literal["lambda", "sqs", "sns", "events", "http", "other"]
"""What a target is; `other`: what the engine has not, a log group say."""

BUS_SERVICES: Final[tuple[BusService, ...]] = ("sns", "events", "logs")
TARGET_KINDS: Final[tuple[TargetKind, ...]] = ("lambda", "sqs", "sns", "events", "http", "other")


class DeliveryOutcome(StrEnum):
    """What became of an attempt, or of the delivery.

    A delivery ends once: DELIVERED, DEAD_LETTER or DROPPED. RETRIED counts attempts that failed and are
    made again.
    """

    DELIVERED = "delivered"
    RETRIED = "retried"
    DEAD_LETTER = "dead_letter"
    DROPPED = "dropped"


class DeliveryCounts:
    """The counters of one engine.

    Attributes:
        ended: How many there were, by service, kind of target and outcome; what never was is not there.
        waiting: Deliveries that wait for an attempt, by service: for another, or for their turn.
        waiting_bytes: What these take of memory, about.
    """

    def __init__(self) -> None:
        self.ended: dict[str, dict[str, dict[str, int]]] = {}
        self.waiting: dict[str, int] = {}
        self.waiting_bytes = 0

    def count(self, service: BusService, kind: TargetKind, outcome: DeliveryOutcome) -> None:
        """One more."""
        by_outcome = self.ended.setdefault(service, {}).setdefault(kind, {})
        by_outcome[outcome.value] = by_outcome.get(outcome.value, 0) + 1
        self.waiting.setdefault(service, 0)

    def hold(self, service: BusService, size: int) -> None:
        """One of `size` bytes begins to wait."""
        self.waiting[service] = self.waiting.get(service, 0) + 1
        self.waiting_bytes += size

    def release(self, service: BusService, size: int) -> None:
        """It waits no more."""
        self.waiting[service] -= 1
        self.waiting_bytes -= size
