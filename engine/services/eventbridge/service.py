"""EventBridge for AWS clients: finds the operation, has its parameters checked, and answers.

And for the engine itself: events of its other services, rules and buses of the configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.core.function import Account
from engine.ports import Clock
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_rpc import JsonRpc, read_object
from engine.protocols.aws.operation import operations_of
from engine.protocols.aws.router import UNSERVED, CredentialScope
from engine.protocols.aws.sent_trace import SentTrace, xray_trace
from engine.protocols.aws.service_model import service_model
from engine.protocols.aws.validation import check
from engine.protocols.http.message import Request
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import Delivery, Done
from engine.services.eventbridge.bus_event import completed, parsed
from engine.services.eventbridge.operations.buses import BusOperations
from engine.services.eventbridge.operations.events import EventOperations
from engine.services.eventbridge.operations.rules import RuleOperations
from engine.services.eventbridge.operations.tags import BusTags
from engine.services.eventbridge.operations.targets import TargetOperations
from engine.services.eventbridge.router import BusRouter
from engine.services.eventbridge.rule_schedules import RuleSchedules
from engine.services.eventbridge.rules import BusRule
from engine.services.eventbridge.settings import (
    BusSettings,
    EventBridgeEvent,
    RuleSettings,
    bus_name,
    rule_members,
)
from engine.services.eventbridge.store import BusStore, Document, EventBus
from engine.services.schedules.expression import timestamp

SERVICE: Final = "events"
_ENTRY: Final = "PutEventsRequestEntry"
_ENTRY_MEMBERS: Final = (
    *("Time", "Source", "Resources", "DetailType", "Detail", "EventBusName", "TraceHeader"),
    *("KmsKeyIdentifier", "InternalMetadata"),
)
"""As AWS's messages print an entry (recorded)."""


class EventBridgeService:
    """The event buses of one engine.

    Attributes:
        operations: Those that are served, by name.
        store: Buses and rules.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        account: Account,
        new_request_id: Callable[[], str],
        deliveries: Deliveries,
        find_trace: SentTrace = xray_trace,
    ) -> None:
        """`loop` is for the timer of schedules; `deliveries` reaches targets, this service among them."""
        self._account, self._new_id, self._trace_of = account, new_request_id, find_trace
        printed = {"printed": {"name": _ENTRY, "members": _ENTRY_MEMBERS}}
        self._model = service_model(SERVICE).revised({f"{_ENTRY}List": printed})
        self._protocol = JsonRpc(self._model)
        self.store = BusStore(account, clock)
        self._router = BusRouter(deliveries)
        self._schedules = RuleSchedules(loop, clock, self._fire)
        parts = (
            BusOperations(self.store),
            RuleOperations(self.store, self._schedules, account.account_id),
            TargetOperations(self.store),
            EventOperations(self.store, self._router, account, new_request_id),
            BusTags(self.store),
        )
        self.operations = operations_of(parts)

    def handle(self, request: Request, _scope: CredentialScope) -> None:
        """Answer once, now. Never raises for a bad request."""
        request_id = self._new_id()
        name = self._protocol.asked(request.header(b"x-amz-target") or b"")
        try:
            if request.too_large:
                raise ServiceError(413, "RequestEntityTooLargeException", "The request is too large.")
            answer = self.perform(name, read_object(request), self._trace_of(request))
        except ServiceError as error:
            self._protocol.fail(request, request_id, error)
        else:
            self._protocol.succeed(request, request_id, name, answer)

    def perform(self, name: str, document: Document, trace: str | None = None) -> Document:
        """Answer an operation, with the X-Ray header of the request. Raises ServiceError."""
        found = self.operations.get(name)
        if found is None:
            raise ServiceError(501, UNSERVED, f"{name[:64]} is not implemented by this engine")
        params = self._protocol.parameters(name, document)
        check(self._model, name, params)
        if trace is not None and name == "PutEvents":
            for entry in params["Entries"]:
                entry.setdefault("TraceHeader", trace)
        answer: Document = found.function(params)
        return answer

    # ---------------------------------------------------------------- for the engine

    def declare(self, buses: Mapping[str, BusSettings], rules: Mapping[str, RuleSettings]) -> None:
        """Make buses and rules of the configuration. Raises ServiceError if AWS would refuse one."""
        for name, bus in buses.items():
            if name not in self.store.buses:
                self.store.create_bus(name)
            self.store.buses[name].tags = dict(bus.tags)
            if bus.description:
                self.store.buses[name].settings = {"Description": bus.description}
        for name, rule in rules.items():
            targets = [target.target(number, self._account) for number, target in enumerate(rule.targets, 1)]
            self.declare_rule(name, rule, targets)

    def declare_rule(
        self, name: str, settings: EventBridgeEvent | RuleSettings, targets: list[Document]
    ) -> None:
        """Make a rule of the configuration, and its bus if it is not there. Raises ServiceError."""
        bus = bus_name(settings.bus)
        if bus not in self.store.buses:
            self.store.create_bus(bus)
        self.perform("PutRule", rule_members(name, settings, bus))
        if targets:
            self.perform("PutTargets", {"Rule": name, "EventBusName": bus, "Targets": targets})

    def send(self, arn: str, record: DestinationRecord) -> None:
        """Take an event of another service, a `DestinationSender`. Raises DeliveryError: no such bus.

        The record's body is an event; `version`, `id`, `account`, `time`, `region` and `resources` may be
        left out.
        """
        self._put(arn, parsed(record.body.decode()), record.trace, 0)

    def attempt(self, delivery: Delivery, done: Done) -> None:
        """Take an event of a rule's target that is a bus, a `TargetPort`. Raises DeliveryError."""
        record = delivery.record
        self._put(delivery.target, parsed(record.body.decode()), record.trace, 1)
        done(None)

    def close(self) -> None:
        """Fire no schedules any more."""
        self._schedules.close()

    def _put(self, arn: str, document: dict[str, Any], trace: str | None, hops: int) -> None:
        wall_s = self.store.now_s()
        event = completed(document, self._account, self._new_id(), wall_s, trace, hops)
        self._router.route(self._bus(arn), event)

    def _bus(self, arn: str) -> EventBus:
        bus = self.store.find_bus(arn)
        if bus is None:
            raise DeliveryError(arn, f"Event bus {self.store.name_of(arn)} does not exist.")
        return bus

    def _fire(self, rule: BusRule, moment_s: float) -> None:
        document = {
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "time": timestamp(moment_s),
            "resources": [rule.arn],
            "detail": {},
        }
        event = completed(document, self._account, self._new_id(), self.store.now_s(), None)
        self._router.deliver(rule, event)
