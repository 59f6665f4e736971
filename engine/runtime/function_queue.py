"""What the queue of asynchronous events keeps: events that are not done with, by function and qualifier."""

from __future__ import annotations

from engine.core.event import Event
from engine.core.invocation import Reply
from engine.core.outcome import Outcome
from engine.core.retry import AsyncCounts


class PendingEvent:
    """One event until it is done with."""

    __slots__ = (
        "accepted_s",
        "event",
        "last",
        "number",
        "queue",
        "refusal",
        "reply",
        "runs",
        "trace_id",
        "waiting",
    )

    def __init__(
        self, event: Event, reply: Reply, queue: FunctionQueue, accepted_s: float, number: int
    ) -> None:
        self.event = event
        self.reply = reply
        self.queue = queue
        self.accepted_s = accepted_s
        self.number = number  # in the order of acceptance
        self.trace_id = event.trace_id  # as it came: a tracer puts the span of an attempt into the event's
        self.runs = 0
        self.last: Outcome | None = None  # of those that ran
        self.refusal: Outcome | None = None
        self.waiting = False


class FunctionQueue:
    """The events of one function and qualifier that are not done with.

    Attributes:
        key: Function and qualifier.
        counts: Of the function.
        open: All of them, oldest first.
        held: Those that wait for concurrency: a heap, oldest first. While there are any, new ones join them.
        refusals: Throttles in a row, for the back-off.
        probe_s: When it is tried again whether there is concurrency; None: no time is set.
        credits: Runs that ended since: each lets one of those that are held go at once.
    """

    __slots__ = ("counts", "credits", "held", "is_release_scheduled", "key", "open", "probe_s", "refusals")

    def __init__(self, key: tuple[str, str | None], counts: AsyncCounts) -> None:
        self.key = key
        self.counts = counts
        self.open: dict[PendingEvent, None] = {}
        self.held: list[tuple[int, PendingEvent]] = []
        self.refusals = 0
        self.probe_s: float | None = None
        self.credits = 0
        self.is_release_scheduled = False
