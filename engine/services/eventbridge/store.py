"""Buses, their rules, and how requests name them.

Source: EventBridge API reference; EventBridge User Guide, "Amazon EventBridge quotas"; recorded ARNs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any, Final

from engine.core.function import Account
from engine.core.late_dataclass import dataclass
from engine.ports import Clock
from engine.services.eventbridge.errors import no_bus, no_rule, not_found, too_many
from engine.services.eventbridge.rules import BusRule

Document = dict[str, Any]

DEFAULT: Final = "default"
_MAX_BUSES: Final = 100
_MAX_RULES: Final = 300


@dataclass(slots=True, kw_only=True, eq=False)
class EventBus:
    """One event bus.

    Attributes:
        name: Within the account.
        arn: Its ARN.
        created_s, modified_s: Wall time, seconds.
        settings: `Description` and other members that are kept and shown.
        policy: Statements of its resource policy. They are shown, and allow or deny nothing.
        tags: By key.
        rules: By name.
    """

    name: str
    arn: str
    created_s: float
    modified_s: float
    settings: Document = field(default_factory=dict)
    policy: list[Document] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    rules: dict[str, BusRule] = field(default_factory=dict)


class BusStore:
    """All buses of one engine; `default` is always there.

    Attributes:
        buses: By name.
    """

    def __init__(self, account: Account, clock: Clock) -> None:
        self._arns = f"arn:aws:events:{account.region}:{account.account_id}:"
        self._clock = clock
        self.buses: dict[str, EventBus] = {}
        self.create_bus(DEFAULT)

    def now_s(self) -> float:
        """Wall time, seconds."""
        return self._clock.wall()

    def create_bus(self, name: str) -> EventBus:
        """Add a bus that is not there. Raises ServiceError if there are too many."""
        if len(self.buses) >= _MAX_BUSES:
            raise too_many()
        now_s = self.now_s()
        arn = f"{self._arns}event-bus/{name}"
        bus = self.buses[name] = EventBus(name=name, arn=arn, created_s=now_s, modified_s=now_s)
        return bus

    def name_of(self, name_or_arn: str | None) -> str:
        """The name of the bus that a request names; `default` if it names none."""
        if name_or_arn is None:
            return DEFAULT
        return name_or_arn.removeprefix(f"{self._arns}event-bus/")

    def find_bus(self, name_or_arn: str | None) -> EventBus | None:
        """The bus that a request names, None if there is no such bus."""
        return self.buses.get(self.name_of(name_or_arn))

    def bus(self, name_or_arn: str | None) -> EventBus:
        """The same. Raises ServiceError if there is no such bus."""
        found = self.find_bus(name_or_arn)
        if found is None:
            raise no_bus(self.name_of(name_or_arn))
        return found

    def rule(self, name: str, bus: str | None) -> BusRule:
        """The rule of that name on the bus. Raises ServiceError if there is none."""
        rules = self.bus(bus).rules
        if name not in rules:
            raise no_rule(name, self.name_of(bus))
        return rules[name]

    def make_rule(self, bus: EventBus, name: str) -> BusRule:
        """The rule of that name, added to the bus if it is not there. Raises ServiceError: too many."""
        rule = bus.rules.get(name)
        if rule is None:
            if len(bus.rules) >= _MAX_RULES:
                raise too_many()
            path = name if bus.name == DEFAULT else f"{bus.name}/{name}"
            rule = bus.rules[name] = BusRule(name=name, arn=f"{self._arns}rule/{path}", bus=bus.name)
        return rule

    def rules(self) -> Iterator[BusRule]:
        """All rules of all buses."""
        for bus in self.buses.values():
            yield from bus.rules.values()

    def tagged(self, arn: str) -> EventBus | BusRule:
        """The bus or the rule of an ARN. Raises ServiceError if there is none."""
        kind, _, path = arn.removeprefix(self._arns).partition("/")
        if kind == "event-bus":
            return self.bus(path)
        bus, _, name = path.rpartition("/")
        if kind != "rule" or not name:
            raise not_found(f"Resource {arn} does not exist.")  # the wording is ours
        return self.rule(name, bus or DEFAULT)
