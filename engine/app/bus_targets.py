"""Functions as targets of topics and event buses: each delivery becomes an asynchronous event."""

from __future__ import annotations

from collections.abc import Mapping
from random import getrandbits
from typing import Final

from engine.core.delivery_counts import BusService
from engine.core.destinations import DeliveryError, target_of
from engine.core.event import Event
from engine.core.outcome import Outcome
from engine.core.trace_context import ROOT_BITS, new_root
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Host, Sink
from engine.services.deliveries.delivery import Delivery, Done

_TRIGGERS: Final[Mapping[BusService, str]] = {"sns": "sns", "events": "eventbridge", "logs": "logs"}


class FunctionPort:
    """The port for functions. That an event was accepted ends the delivery, as on AWS.

    What the function makes of it is for its own retries, destinations and dead-letter queue.
    """

    def __init__(self, sink: Sink, host: Host) -> None:
        """`sink` takes asynchronous events."""
        self._sink = sink
        self._host = host

    def __call__(self, delivery: Delivery, done: Done) -> None:
        """Invoke it. Raises DeliveryError if there is no such function here, or the engine takes nothing."""
        arn, record, host = delivery.target, delivery.record, self._host
        target, account = target_of(arn), host.account
        if target is None or not target.resource.startswith("function:"):
            raise DeliveryError(arn, "names no function", "INVALID_PARAMETER")
        if target[1:3] != (account.region, account.account_id):
            raise DeliveryError(arn, "is of another region or account")
        name, _, qualifier = target.resource.removeprefix("function:").partition(":")
        event = Event(
            name,
            record.body,
            host.new_request_id(),
            host.clock.now(),
            _TRIGGERS[delivery.service],
            trace_id=self._trace(delivery, name),
            qualifier=qualifier or None,
        )
        try:
            self._sink.submit(event, _ignore)
        except FunctionNotFound as error:
            host.reject("unknown_function")
            raise DeliveryError(arn, str(error)) from None
        except NotAccepting as error:
            raise DeliveryError(arn, str(error), "INTERNAL_ERROR", True) from None  # noqa: FBT003
        done(None)

    def _trace(self, delivery: Delivery, function: str) -> str:
        """The trace it goes on in. Loops by SNS are counted, those by EventBridge are not, as on AWS."""
        trace, host = delivery.record.trace, self._host
        if trace is None:
            return new_root(int(host.clock.wall()), getrandbits(ROOT_BITS))
        return host.recursion.enter(function, trace) if delivery.service == "sns" else trace


def _ignore(_outcome: Outcome) -> None:
    """Nobody waits for it."""
