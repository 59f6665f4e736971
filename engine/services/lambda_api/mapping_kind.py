"""What the operations on event source mappings ask of a kind of source; there is one for queues, say.

A kind is what differs: the members of a mapping, their defaults and how they fit together, whether the
source is there, and who polls it. `event_source_mappings` has what all kinds have in common.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Protocol

import orjson

from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import conflict, invalid_parameter
from engine.services.lambda_api.function_names import Addressed

Config = Mapping[str, Any]
"""Members of an event source mapping: those that a caller may choose, but its function and its tags."""

REPORTING: Final = "ReportBatchItemFailures"
_ALL_KINDS: Final = frozenset(
    {
        "EventSourceArn",
        "FunctionName",
        "Enabled",
        "BatchSize",
        "FilterCriteria",
        "FunctionResponseTypes",
        "KMSKeyArn",
        "LoggingConfig",
        "MaximumBatchingWindowInSeconds",
        "MetricsConfig",
        "Tags",
    }
)
"""Members that every kind has."""
_INVALID_FILTER: Final = "Invalid filter pattern definition."
# That AWS refuses it is documented; how it says so is (unverified).
_TOO_MANY_FILTERS: Final = "FilterCriteria must have {} filters or fewer."


class SwitchedSettings(Protocol):
    """How a source is polled; what else there is, its kind knows."""

    @property
    def enabled(self) -> bool:
        """Whether it is polled."""


class SourceMapping(Protocol):
    """One event source mapping of any kind."""

    uuid: str
    function: str
    qualifier: str | None
    modified_s: float
    """Wall time of the last change, seconds."""

    @property
    def settings(self) -> SwitchedSettings:
        """How it polls."""


class MappingKind(ABC):
    """One kind of source. Mappings that are passed in are its own."""

    members: ClassVar[frozenset[str]]
    """Those that this kind has besides the members of all kinds."""
    defaults: ClassVar[Config]
    """Members that every document shows, with what they are if nobody says."""
    shown_if_there: ClassVar[tuple[str, ...]] = ("KMSKeyArn", "MetricsConfig", "LoggingConfig")
    """Members that a document shows if they were given, and not empty."""
    transition_reason: ClassVar[str]
    """`StateTransitionReason` of what a caller changed."""

    # ---------------------------------------------------------------- mappings

    @abstractmethod
    def __iter__(self) -> Iterator[SourceMapping]:
        """All mappings: those of the configuration and those made while the engine runs."""

    @abstractmethod
    def find(self, uuid: str) -> SourceMapping | None:
        """The mapping of that UUID."""

    @abstractmethod
    async def open(self, address: Addressed, settings: Any, uuid: str, modified_s: float) -> SourceMapping:
        """Add a mapping that was last changed at `modified_s`, seconds of wall time, and poll for it."""

    @abstractmethod
    def change(self, mapping: Any, address: Addressed, settings: Any) -> None:
        """Apply new settings from the next batch on."""

    @abstractmethod
    async def applied(self, mapping: Any) -> None:
        """Return when what is sent from now on is polled as the settings that were changed last say."""

    @abstractmethod
    def close(self, mapping: Any) -> None:
        """Remove a mapping. Batches that run may end."""

    # ---------------------------------------------------------------- members

    def reject_others(self, members: Config) -> None:
        """Raise ServiceError if there is a member that this kind has not."""
        for name in members:
            if name not in _ALL_KINDS and name not in self.members:
                raise unsupported(name)

    @abstractmethod
    def check_members(self, config: Config) -> None:
        """Raise ServiceError if members, each of which keeps to the API's model, do not fit together."""

    @abstractmethod
    def settings_of(self, config: Config, base: Any = None) -> Any:
        """Settings of a mapping whose members are checked. `base` gives what AWS does not know.

        Raises:
            ServiceError: There can be no such source, or the members do not go with `base`.
        """

    @abstractmethod
    async def check_source(
        self, config: Config, settings: Any, address: Addressed, own: SourceMapping | None
    ) -> None:
        """Raise ServiceError if there is no such source, or it cannot feed that function.

        `own` is the mapping that is changed; None for a new one.
        """

    @abstractmethod
    def check_single(self, settings: Any, address: Addressed, own: SourceMapping | None) -> None:
        """Raise ServiceError if the source has a mapping to that function already, besides `own`."""

    @abstractmethod
    def config_of(self, mapping: Any) -> Config:
        """The members of a mapping that was not made over the API."""

    def more(self, _mapping: Any, _config: Config) -> Config:
        """Members that a document shows besides, of a mapping with these that a caller chose."""
        return {}


def unsupported(name: str) -> ServiceError:
    """400: a member that mappings of this kind do not have."""
    return invalid_parameter(f"Unsupported {name} parameter for given event source mapping type.")


def default_of(kind: MappingKind | type[MappingKind], config: Config, name: str) -> Any:
    """What a member is: as given, else its default."""
    return config.get(name, kind.defaults[name])


def patterns_of(config: Config) -> tuple[str, ...]:
    """The patterns of `FilterCriteria`, as text."""
    filters = config.get("FilterCriteria", {}).get("Filters", ())
    return tuple(member.get("Pattern", "") for member in filters)


def criteria_of(filters: Iterable[str | Mapping[str, Any]]) -> dict[str, Any]:
    """`FilterCriteria` of patterns, as text or tables."""
    texts = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in filters]
    return {"Filters": [{"Pattern": text} for text in texts]}


def check_filters(is_filter: Callable[[str], bool], most: int, config: Config) -> None:
    """Raise ServiceError if there are more than `most` filters, or one is none."""
    patterns = patterns_of(config)
    if len(patterns) > most:
        raise invalid_parameter(_TOO_MANY_FILTERS.format(most))
    if not all(map(is_filter, patterns)):
        raise invalid_parameter(_INVALID_FILTER)


def check_no_other(
    mappings: Iterable[SourceMapping], address: Addressed, own: SourceMapping | None, message: str
) -> None:
    """Raise ServiceError (409) if one of `mappings` besides `own` runs that function.

    `message` has places for the function's `name` and for the `uuid` of the other.
    """
    for other in mappings:
        if other is not own and (other.function, other.qualifier) == address:
            name = f"{address.name}:{address.qualifier}" if address.qualifier else address.name
            raise conflict(message.format(name=name, uuid=other.uuid))
