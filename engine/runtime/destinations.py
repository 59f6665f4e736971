"""Sends the records of completed asynchronous events to destinations and dead-letter queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from engine.core.destinations import (
    ArnParts,
    CompletedEvent,
    DeliveryError,
    DestinationRecord,
    DestinationSender,
    target_of,
)
from engine.core.engine_events import DeliveryFailed, EngineEvent
from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Reply
from engine.core.outcome import Outcome
from engine.core.retry import AsyncCounts, AsyncInvokeConfig, Condition
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Clock


class End(NamedTuple):
    """How an event was completed: why, after how many runs, and the outcome of the last of them."""

    event: Event
    condition: Condition
    runs: int
    last: Outcome | None


class DestinationDelivery:
    """Makes the records and passes them to senders. A failure is counted and reported, never raised.

    Args:
        submit: Takes the events that records become whose destination is a function.
        clock: Gives the time in a record.
        account: For ARNs.
        senders: The destinations that exist here, by service: `sqs`, `sns`, `events`, `s3`.
        new_request_id: For those events, and for keys of objects.
        notify: Takes a `DeliveryFailed` for each record that could not be delivered.
    """

    def __init__(
        self,
        submit: Callable[[Event, Reply], None],
        clock: Clock,
        account: Account,
        *,
        senders: Mapping[str, DestinationSender],
        new_request_id: Callable[[], str],
        notify: Callable[[EngineEvent], None],
    ) -> None:
        self._submit = submit
        self._clock = clock
        self._account = account
        self._senders = senders
        self._new_request_id = new_request_id
        self._notify = notify

    def succeeded(self, end: End, arn: str, counts: AsyncCounts) -> None:
        """Send the record of a success to OnSuccess."""
        self._deliver_record(self._completed(end), arn, counts)

    def failed(self, end: End, config: AsyncInvokeConfig, counts: AsyncCounts) -> bool:
        """Send the record to OnFailure, the event to the dead-letter queue; returns whether any has it."""
        if config.on_failure is None and config.dead_letter_queue is None:
            return False
        completed = self._completed(end)
        handed_over = False
        if config.on_failure is not None:
            handed_over = self._deliver_record(completed, config.on_failure, counts)
        if config.dead_letter_queue is not None:
            if self._deliver(completed, config.dead_letter_queue, lambda _: completed.dead_letter()):
                counts.dead_letters += 1
                handed_over = True
            else:
                counts.dead_letters_failed += 1
        return handed_over

    def _completed(self, end: End) -> CompletedEvent:
        event = end.event
        wall = datetime.fromtimestamp(self._clock.wall(), UTC)
        return CompletedEvent(
            event=event,
            condition=end.condition,
            runs=end.runs,
            last=end.last,
            function_arn=self._account.function_arn(event.function, event.qualifier or "$LATEST"),
            timestamp=wall.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
            record_id=self._new_request_id(),
        )

    def _deliver_record(self, completed: CompletedEvent, arn: str, counts: AsyncCounts) -> bool:
        if self._deliver(completed, arn, partial(completed.record_for, arn=arn)):
            counts.destinations += 1
            return True
        counts.destinations_failed += 1
        return False

    def _deliver(
        self, completed: CompletedEvent, arn: str, make_record: Callable[[ArnParts], DestinationRecord]
    ) -> bool:
        try:
            self._send(arn, make_record)
        except DeliveryError as error:
            self._notify(
                DeliveryFailed(
                    function=completed.event.function,
                    request_id=completed.event.request_id,
                    destination=arn,
                    reason=error.reason,
                )
            )
            return False
        return True

    def _send(self, arn: str, make_record: Callable[[ArnParts], DestinationRecord]) -> None:
        target = target_of(arn)
        if target is None:
            raise DeliveryError(arn, "is no ARN")
        if target.service == "lambda":
            self._invoke_next(target, arn, make_record(target))
        elif (sender := self._senders.get(target.service)) is not None:
            sender(arn, make_record(target))
        else:
            raise DeliveryError(arn, f"the engine has no {target.service}")

    def _invoke_next(self, target: ArnParts, arn: str, record: DestinationRecord) -> None:
        account = self._account
        if (target.region, target.account_id) != (account.region, account.account_id):
            raise DeliveryError(arn, "is of another region or account")
        name, _, qualifier = target.resource.removeprefix("function:").partition(":")
        event = Event(
            name,
            record.body,
            self._new_request_id(),
            self._clock.now(),
            "event",
            trace_id=record.trace,
            qualifier=qualifier or None,
        )
        try:
            self._submit(event, _ignore)
        except (FunctionNotFound, NotAccepting) as error:
            raise DeliveryError(arn, str(error)) from None


def _ignore(_outcome: Outcome) -> None:
    """No caller waits for the function that a record invokes."""
