"""Which events of a bucket go to which target: event types, filters, targets.

Source: Amazon S3 User Guide, "Event notification types and destinations" and "Configuring event notifications
using object key name filtering".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Literal, NamedTuple, Protocol
from urllib.parse import unquote_plus

from engine.core.late_dataclass import dataclass

Form = Literal["s3", "eventbridge"]
TargetKind = Literal["lambda", "queue", "topic", "eventbridge"]

EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "ObjectCreated": ("Put", "Post", "Copy", "CompleteMultipartUpload"),
    "ObjectRemoved": ("Delete", "DeleteMarkerCreated"),
    "ObjectRestore": ("Post", "Completed", "Delete"),
    "ReducedRedundancyLostObject": (),
    "Replication": (
        "OperationFailedReplication",
        "OperationNotTracked",
        "OperationMissedThreshold",
        "OperationReplicatedAfterThreshold",
    ),
    "LifecycleTransition": (),
    "IntelligentTiering": (),
    "ObjectAcl": ("Put",),
    "LifecycleExpiration": ("Delete", "DeleteMarkerCreated"),
    "ObjectTagging": ("Put", "Delete"),
}
"""Event types without `s3:`, and what may follow each."""

EVENT_TYPES: Final = frozenset(
    f"s3:{family}{tail}"
    for family, kinds in EVENTS.items()
    for tail in (("",) if not kinds else (":*", *(f":{kind}" for kind in kinds)))
)
"""What a configuration may ask for."""


class Filtered(Protocol):
    """Which events of which keys are asked for."""

    @property
    def events(self) -> Sequence[str]:
        """As asked for: `s3:ObjectCreated:*`, ..."""

    @property
    def prefix(self) -> str | None:
        """Of the key."""

    @property
    def suffix(self) -> str | None:
        """Of the key."""


def overlap(first: Filtered, second: Filtered) -> bool:
    """Whether AWS refuses the two on one bucket: both may match one event of one key.

    Source: Amazon S3 User Guide, "Configuring event notifications using object key name filtering",
    "Examples of ... invalid prefix and suffix overlap".
    """
    prefixes = first.prefix or "", second.prefix or ""
    suffixes = first.suffix or "", second.suffix or ""
    return (
        any(_share(a, b) for a in first.events for b in second.events)
        and (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0]))
        and (suffixes[0].endswith(suffixes[1]) or suffixes[1].endswith(suffixes[0]))
    )


def _share(first: str, second: str) -> bool:
    """Whether one event can be of both types; families (`s3:ObjectCreated:*`) do not nest."""
    for family, other in ((first, second), (second, first)):
        if family.endswith("*") and other.startswith(family[:-1]):
            return True
    return first == second


class NotificationTarget(NamedTuple):
    """Where notifications go. `arn` is empty for EventBridge, of which each bucket has one."""

    kind: TargetKind
    arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRule:
    """One configuration of a bucket.

    Attributes:
        id: What records name as `configurationId`.
        target: Where its notifications go.
        events: As asked for: `s3:ObjectCreated:*`, ...
        prefix, suffix: Of the key; None if not asked for, which is as good as empty.
        form: Whether notifications have the form of S3, or of EventBridge.
    """

    id: str
    target: NotificationTarget
    events: tuple[str, ...]
    prefix: str | None = None
    suffix: str | None = None
    form: Form = "s3"
    _prefixes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _suffixes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _families: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__  # the way to compute fields of a frozen value
        set_(self, "_prefixes", _spellings(self.prefix or ""))
        set_(self, "_suffixes", _spellings(self.suffix or ""))
        plain = [event.removeprefix("s3:") for event in self.events]
        set_(self, "_names", tuple(event for event in plain if not event.endswith("*")))
        set_(self, "_families", tuple(event[:-1] for event in plain if event.endswith("*")))

    def takes(self, event_name: str, key: str) -> bool:
        """Whether it is about that event (`ObjectCreated:Put`) of that key, as it is stored."""
        return (
            (event_name in self._names or event_name.startswith(self._families))
            and key.startswith(self._prefixes)
            and key.endswith(self._suffixes)
        )

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "id": self.id,
            "target": self.target,
            "events": self.events,
            "prefix": self.prefix,
            "suffix": self.suffix,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationConfiguration:
    """The notification configuration of a bucket."""

    rules: tuple[NotificationRule, ...] = ()
    eventbridge: bool = False

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {"rules": [rule.document() for rule in self.rules], "eventbridge": self.eventbridge}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> NotificationConfiguration:
        """The inverse of `document`."""
        rules = tuple(
            NotificationRule(
                id=rule["id"],
                target=NotificationTarget(*rule["target"]),
                events=tuple(rule["events"]),
                prefix=rule["prefix"],
                suffix=rule["suffix"],
            )
            for rule in document["rules"]
        )
        return cls(rules=rules, eventbridge=document["eventbridge"])


def _spellings(value: str) -> tuple[str, ...]:
    """A filter may be written as the key is, or encoded as in a URL: AWS asks for the latter."""
    decoded = unquote_plus(value)
    return (value,) if decoded == value else (value, decoded)
