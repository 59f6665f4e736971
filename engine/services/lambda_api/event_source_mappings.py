"""Event source mappings: what polls a queue or a stream, and runs a function for what it finds.

Those of the configuration can be looked at, changed and deleted like all others, until the engine stops.
Source: Lambda API reference, CreateEventSourceMapping and its siblings; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.packages.records import LATEST, MappingRecord
from engine.ports import QueueMappings, StreamMappings
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import invalid_parameter, not_found
from engine.services.lambda_api.function_names import Addressed, addressed
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.mapping_kind import Config, MappingKind, SourceMapping
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.queue_mapping_kind import QueueMappingKind
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.stream_mapping_kind import StreamMappingKind
from engine.services.lambda_api.tags_and_settings import check_tags

_MAX_LISTED: Final = 100
_UNRECOGNIZED: Final = "Unrecognized event source."
_SOURCES: Final[Mapping[str, str]] = {"sqs": "queues", "kinesis": "streams", "dynamodb": "streams"}
"""By the service in an ARN."""


class EventSourceMappings:
    """The event source mappings of all functions."""

    def __init__(
        self, registry: FunctionRegistry, queues: QueueMappings | None, streams: StreamMappings | None
    ) -> None:
        """`queues` and `streams` poll such; None in an engine without."""
        self._registry = registry
        self._kinds: dict[str, MappingKind] = {}
        if queues is not None:
            self._kinds["queues"] = QueueMappingKind(registry, queues)
        if streams is not None:
            self._kinds["streams"] = StreamMappingKind(registry, streams)

    async def restore(self) -> None:
        """Poll for the mappings that were created over the API before."""
        for uuid, kept in self._registry.state.mappings.items():
            kind = self._kinds.get(_SOURCES.get(_service(kept.config), ""))
            if kind is not None:
                address = Addressed(kept.function, kept.qualifier)
                await kind.open(address, kind.settings_of(kept.config), uuid, kept.modified_s)

    @operation("CreateEventSourceMapping", writes=True)
    async def create(self, call: Call) -> Answer:
        """CreateEventSourceMapping: polls from now on."""
        members = call.members
        kind = self._kind(members)
        kind.reject_others(members)
        check_tags(members.get("Tags", {}))
        config = _chosen(members)
        kind.check_members(config)
        address = self._function(members["FunctionName"])
        settings = kind.settings_of(config)
        await kind.check_source(config, settings, address, None)
        kind.check_single(settings, address, None)
        uuid, modified_s = self._registry.new_id(), self._registry.now_s()
        self._keep(uuid, address, config, members.get("Tags", {}), modified_s)
        mapping = await kind.open(address, settings, uuid, modified_s)
        return Answer(self._document(kind, mapping, "Creating" if settings.enabled else "Disabled"))

    @operation("UpdateEventSourceMapping", writes=True)
    async def update(self, call: Call) -> Answer:
        """UpdateEventSourceMapping: applies from the next batch on; members that are not given stay."""
        members = call.members
        kind, mapping = self._found(call.name)
        kind.reject_others(members)
        was_enabled, config = mapping.settings.enabled, {**self._config(kind, mapping), **_chosen(members)}
        kind.check_members(config)
        address = Addressed(mapping.function, mapping.qualifier)
        if "FunctionName" in members:
            address = self._function(members["FunctionName"])
        settings = kind.settings_of(config, mapping.settings)
        await kind.check_source(config, settings, address, mapping)
        kind.check_single(settings, address, mapping)
        if kind.find(mapping.uuid) is None:  # it was deleted while its source was looked for
            raise _no_such()
        kind.change(mapping, address, settings)
        kept = self._registry.state.mappings.get(mapping.uuid)
        if kept is not None:
            self._keep(mapping.uuid, address, config, kept.tags, mapping.modified_s)
        state = "Updating"
        if settings.enabled != was_enabled:
            state = "Enabling" if settings.enabled else "Disabling"
        answer = Answer(self._document(kind, mapping, state))
        await kind.applied(mapping)
        return answer

    @operation("DeleteEventSourceMapping", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteEventSourceMapping: stops polling; batches that run may end."""
        kind, mapping = self._found(call.name)
        document = self._document(kind, mapping, "Deleting")
        kind.close(mapping)
        self._registry.state.mappings.pop(mapping.uuid, None)
        return Answer(document)

    @operation("GetEventSourceMapping")
    def get(self, call: Call) -> Document:
        """GetEventSourceMapping."""
        return self._document(*self._found(call.name))

    @operation("ListEventSourceMappings")
    def list_all(self, call: Call) -> Document:
        """ListEventSourceMappings: of a source, of a function, or all."""
        arn, function = call.parameters.get("EventSourceArn"), call.parameters.get("FunctionName")
        address = self._address(function) if function else None
        entries = {
            mapping.uuid: (kind, mapping)
            for kind in self._kinds.values()
            for mapping in kind
            if (address is None or address == (mapping.function, mapping.qualifier))
            and (not arn or arn == self._config(kind, mapping)["EventSourceArn"])
        }
        return list_document(
            "EventSourceMappings",
            entries,
            call.parameters,
            lambda uuid: self._document(*entries[uuid]),
            page=_MAX_LISTED,
        )

    # --- what is asked for

    def _kind(self, members: Config) -> MappingKind:
        """The kind of the source that is named. Raises ServiceError if it can be none here."""
        source = _SOURCES.get(_service(members))
        if source is None:
            raise invalid_parameter(_UNRECOGNIZED)
        kind = self._kinds.get(source)
        if kind is None:
            raise invalid_parameter(f"{_UNRECOGNIZED} This engine has no {source}.")
        return kind

    def _found(self, uuid: str) -> tuple[MappingKind, SourceMapping]:
        for kind in self._kinds.values():
            mapping = kind.find(uuid)
            if mapping is not None:
                return kind, mapping
        raise _no_such()

    def _function(self, text: str) -> Addressed:
        """The function that the mapping runs. Raises ServiceError if there is no such one."""
        address = self._address(text)
        try:
            self._registry.find(address)
        except ServiceError:
            raise invalid_parameter("Function does not exist") from None
        return address

    def _address(self, text: str) -> Addressed:
        """What a caller names. As recorded, `$LATEST` of a full ARN is dropped; else a qualifier is kept."""
        address = addressed(text, None, self._registry.account)
        if text.startswith("arn:") and address.qualifier == LATEST:
            return address._replace(qualifier=None)
        return address

    # --- members

    def _keep(
        self, uuid: str, address: Addressed, config: Config, tags: dict[str, str], modified_s: float
    ) -> None:
        self._registry.state.mappings[uuid] = MappingRecord(
            function=address.name,
            qualifier=address.qualifier,
            config=dict(config),
            tags=tags,
            modified_s=modified_s,
        )

    def _config(self, kind: MappingKind, mapping: SourceMapping) -> Config:
        kept = self._registry.state.mappings.get(mapping.uuid)
        return kept.config if kept is not None else kind.config_of(mapping)

    def _document(self, kind: MappingKind, mapping: SourceMapping, state: str | None = None) -> Document:
        config = self._config(kind, mapping)
        criteria = config.get("FilterCriteria", {})
        document: Document = {
            "UUID": mapping.uuid,
            "EventSourceMappingArn": self._registry.resource_arn("event-source-mapping", mapping.uuid),
            "EventSourceArn": config["EventSourceArn"],
            "FunctionArn": self._registry.account.function_arn(mapping.function, mapping.qualifier),
            **{name: config.get(name, default) for name, default in kind.defaults.items()},
            **{name: config[name] for name in kind.shown_if_there if config.get(name)},
            **({"FilterCriteria": criteria} if criteria.get("Filters") else {}),
            **kind.more(mapping, config),
        }
        document["State"] = state or ("Enabled" if mapping.settings.enabled else "Disabled")
        document["StateTransitionReason"] = kind.transition_reason
        document["LastModified"] = round(mapping.modified_s, 3)
        return document


def _service(members: Config) -> str:
    """The service of the source; empty if none is named."""
    arn = members.get("EventSourceArn")
    return str(arn).split(":")[2] if arn else ""


def _chosen(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in ("FunctionName", "Tags")}


def _no_such() -> ServiceError:
    return not_found("The resource you requested does not exist.")
