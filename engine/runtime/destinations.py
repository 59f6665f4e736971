"""Hands asynchronous events that are done with to their destinations and dead-letter queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from engine.core.destinations import (
    CompletedEvent,
    DeliveryError,
    DestinationRecord,
    DestinationSender,
    Target,
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
    """How an event was done with: why, after how many runs, and the outcome of the last of them."""

    event: Event
    condition: Condition
    runs: int
    last: Outcome | None


class DestinationDelivery:
    """Writes records and sends them to destinations. A failure is counted and notified, never raised.

    Args:
        submit: Takes the events that records become whose destination is a function.
        clock: For the time in a record.
        account: For ARNs.
        senders: By service: `sqs`, `sns`, `events`, `s3`.
        new_request_id: For those events, and for keys of objects.
        notify: Told of what could not be handed over.
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
        """Its record goes to OnSuccess."""
        self._hand_over(self._ending(end), arn, counts)

    def failed(self, end: End, terms: AsyncInvokeConfig, counts: AsyncCounts) -> bool:
        """Its record goes to OnFailure, itself to the dead-letter queue. Whether anybody has it now."""
        if terms.on_failure is None and terms.dead_letter_queue is None:
            return False
        ending = self._ending(end)
        handed_over = False
        if terms.on_failure is not None:
            handed_over = self._hand_over(ending, terms.on_failure, counts)
        if terms.dead_letter_queue is not None:
            if self._deliver(ending, terms.dead_letter_queue, lambda _: ending.dead_letter()):
                counts.dead_letters += 1
                handed_over = True
            else:
                counts.dead_letters_failed += 1
        return handed_over

    def _ending(self, end: End) -> CompletedEvent:
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

    def _hand_over(self, ending: CompletedEvent, arn: str, counts: AsyncCounts) -> bool:
        if self._deliver(ending, arn, partial(ending.record_for, arn=arn)):
            counts.destinations += 1
            return True
        counts.destinations_failed += 1
        return False

    def _deliver(self, ending: CompletedEvent, arn: str, pack: Callable[[Target], DestinationRecord]) -> bool:
        try:
            self._carry(arn, pack)
        except DeliveryError as error:
            self._notify(
                DeliveryFailed(
                    function=ending.event.function,
                    request_id=ending.event.request_id,
                    destination=arn,
                    reason=error.reason,
                )
            )
            return False
        return True

    def _carry(self, arn: str, pack: Callable[[Target], DestinationRecord]) -> None:
        target = target_of(arn)
        if target is None:
            raise DeliveryError(arn, "is no ARN")
        if target.service == "lambda":
            self._invoke_next(target, arn, pack(target))
        elif (sender := self._senders.get(target.service)) is not None:
            sender(arn, pack(target))
        else:
            raise DeliveryError(arn, f"the engine has no {target.service}")

    def _invoke_next(self, target: Target, arn: str, record: DestinationRecord) -> None:
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
            qualifier=qualifier or None,
        )
        try:
            self._submit(event, _ignore)
        except (FunctionNotFound, NotAccepting) as error:
            raise DeliveryError(arn, str(error)) from None


def _ignore(_outcome: Outcome) -> None:
    """Nobody waits for what a record sets off."""
