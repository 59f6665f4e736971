"""Event source mappings: what polls a queue and runs a function for its messages.

Those of the configuration can be looked at, changed and deleted like all others, until the engine stops.
Source: Lambda API reference, CreateEventSourceMapping and its siblings; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.packages.records import MappingRecord
from engine.ports import QueueMapping, QueueMappings, QueueMappingSettings
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import conflict, invalid_parameter, not_found
from engine.services.lambda_api.event_source_mapping_settings import (
    DEFAULTS,
    Config,
    busy_reader,
    check_members,
    config_of,
    no_queue,
    not_for_queues,
    settings_of,
    timeout_s,
)
from engine.services.lambda_api.function_names import Addressed, addressed
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.tags_and_settings import check_tags

_MAX_LISTED: Final = 100
_UNRECOGNIZED: Final = "Unrecognized event source."
_NOT_FOR_QUEUES: Final = (
    "ParallelizationFactor",
    "StartingPositionTimestamp",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "TumblingWindowInSeconds",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "SelfManagedEventSource",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
)
_SHOWN_IF_THERE: Final = (
    "ScalingConfig",
    "ProvisionedPollerConfig",
    "KMSKeyArn",
    "MetricsConfig",
    "LoggingConfig",
)


class EventSourceMappings:
    """The event source mappings of all functions."""

    def __init__(self, registry: FunctionRegistry, mappings: QueueMappings | None) -> None:
        """`mappings` polls queues; None in an engine without queues."""
        self._registry = registry
        self._mappings = mappings

    def restore(self) -> None:
        """Poll for the mappings that were created over the API before."""
        if self._mappings is not None:
            for uuid, kept in self._registry.state.mappings.items():
                read_busy_s = busy_reader(self._registry, kept.function, kept.qualifier)
                settings = settings_of(self._mappings, kept.config)
                self._mappings.open(
                    kept.function,
                    kept.qualifier,
                    settings,
                    read_busy_s,
                    uuid=uuid,
                    modified_s=kept.modified_s,
                )

    @operation("CreateEventSourceMapping", writes=True)
    async def create(self, call: Call) -> Answer:
        """CreateEventSourceMapping: polls from now on."""
        members = call.members
        mappings = self._mappings
        arn = members.get("EventSourceArn", "")
        service = arn.split(":")[2] if arn else ""
        if service != "sqs":
            _check_starting_position(service, arn, members.get("StartingPosition"))
            raise invalid_parameter(_UNRECOGNIZED)
        if mappings is None:
            raise invalid_parameter(f"{_UNRECOGNIZED} This engine has no queues.")
        _reject_stream_members(members)
        check_tags(members.get("Tags", {}))
        config = _settings_members(members)
        check_members(mappings, config)
        address = self._function(members["FunctionName"])
        settings = settings_of(mappings, config)
        self._check(mappings, settings, address)
        mapping = mappings.open(
            address.name,
            address.qualifier,
            settings,
            busy_reader(self._registry, address.name, address.qualifier),
        )
        self._keep(mapping, config, members.get("Tags", {}))
        return Answer(self._document(mapping, "Creating" if settings.enabled else "Disabled"))

    @operation("UpdateEventSourceMapping", writes=True)
    async def update(self, call: Call) -> Answer:
        """UpdateEventSourceMapping: applies from the next batch on; members that are not given stay."""
        members = call.members
        mappings, mapping = self._found(call.name)
        _reject_stream_members(members)
        before, config = mapping.settings, {**self._config(mapping), **_settings_members(members)}
        check_members(mappings, config)
        address = Addressed(mapping.function, mapping.qualifier)
        if "FunctionName" in members:
            address = self._function(members["FunctionName"])
        settings = settings_of(mappings, config, mapping.settings)
        self._check(mappings, settings, address, mapping)
        mappings.change(
            mapping,
            address.name,
            address.qualifier,
            settings,
            busy_reader(self._registry, address.name, address.qualifier),
        )
        kept = self._registry.state.mappings.get(mapping.uuid)
        if kept is not None:
            self._keep(mapping, config, kept.tags)
        state = "Updating"
        if settings.enabled != before.enabled:
            state = "Enabling" if settings.enabled else "Disabling"
        return Answer(self._document(mapping, state))

    @operation("DeleteEventSourceMapping", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteEventSourceMapping: stops polling; batches that run may end."""
        mappings, mapping = self._found(call.name)
        document = self._document(mapping, "Deleting")
        mappings.close(mapping)
        self._registry.state.mappings.pop(mapping.uuid, None)
        return Answer(document)

    @operation("GetEventSourceMapping")
    def get(self, call: Call) -> Document:
        """GetEventSourceMapping."""
        _, mapping = self._found(call.name)
        return self._document(mapping)

    @operation("ListEventSourceMappings")
    def list_all(self, call: Call) -> Document:
        """ListEventSourceMappings: of a queue, of a function, or all."""
        arn, function = call.parameters.get("EventSourceArn"), call.parameters.get("FunctionName")
        address = addressed(function, None, self._registry.account) if function else None
        entries = {
            mapping.uuid: mapping
            for mapping in self._mappings or ()
            if (address is None or address == (mapping.function, mapping.qualifier))
            and (not arn or arn == self._config(mapping)["EventSourceArn"])
        }
        return list_document(
            "EventSourceMappings",
            entries,
            call.parameters,
            lambda uuid: self._document(entries[uuid]),
            page=_MAX_LISTED,
        )

    # --- checks

    def _found(self, uuid: str) -> tuple[QueueMappings, QueueMapping]:
        mapping = self._mappings.find(uuid) if self._mappings is not None else None
        if self._mappings is None or mapping is None:
            raise not_found("The resource you requested does not exist.")
        return self._mappings, mapping

    def _function(self, text: str) -> Addressed:
        """The function that the mapping runs. Raises ServiceError if there is no such one."""
        address = addressed(text, None, self._registry.account)
        try:
            self._registry.find(address)
        except ServiceError:
            raise invalid_parameter("Function does not exist") from None
        return address

    def _check(
        self,
        mappings: QueueMappings,
        settings: QueueMappingSettings,
        address: Addressed,
        own: QueueMapping | None = None,
    ) -> None:
        """Raise ServiceError if there cannot be such a mapping, besides `own`.

        There is no such queue, it hides messages for less than the timeout, or another has them.
        """
        visibility_s = mappings.visibility_s(settings)
        if visibility_s is None:
            raise no_queue()
        limit_s = timeout_s(self._registry, *address)
        if limit_s is not None and visibility_s < limit_s:
            raise invalid_parameter(
                f"Queue visibility timeout: {visibility_s:g} seconds is less than "
                f"Function timeout: {limit_s:g} seconds"
            )
        arn = mappings.arn(settings)
        for other in mappings:
            same = (other.function, other.qualifier) == address and mappings.arn(other.settings) == arn
            if same and other is not own:
                name = f"{address.name}:{address.qualifier}" if address.qualifier else address.name
                raise conflict(
                    f'An event source mapping with SQS arn (" {arn} ") and function (" {name} ") already '
                    f"exists. Please update or delete the existing mapping with UUID {other.uuid}"
                )

    # --- members

    def _keep(self, mapping: QueueMapping, config: Config, tags: dict[str, str]) -> None:
        self._registry.state.mappings[mapping.uuid] = MappingRecord(
            function=mapping.function,
            qualifier=mapping.qualifier,
            config=dict(config),
            tags=tags,
            modified_s=mapping.modified_s,
        )

    def _config(self, mapping: QueueMapping) -> Config:
        kept = self._registry.state.mappings.get(mapping.uuid)
        if kept is not None:
            return kept.config
        assert self._mappings is not None
        return config_of(mapping.settings, self._mappings.arn(mapping.settings))

    def _document(self, mapping: QueueMapping, state: str | None = None) -> Document:
        config = self._config(mapping)
        criteria = config.get("FilterCriteria", {})
        document: Document = {
            "UUID": mapping.uuid,
            "EventSourceMappingArn": self._registry.resource_arn("event-source-mapping", mapping.uuid),
            "EventSourceArn": config["EventSourceArn"],
            "FunctionArn": self._registry.account.function_arn(mapping.function, mapping.qualifier),
            **{name: config.get(name, default) for name, default in DEFAULTS.items()},
            **{name: config[name] for name in _SHOWN_IF_THERE if config.get(name)},
            **({"FilterCriteria": criteria} if criteria.get("Filters") else {}),
        }
        document["State"] = state or ("Enabled" if mapping.settings.enabled else "Disabled")
        document["StateTransitionReason"] = "USER_INITIATED"
        document["LastModified"] = round(mapping.modified_s, 3)
        return document


def _check_starting_position(service: str, arn: str, position: str | None) -> None:
    """Raise ServiceError if a stream is not read from where it can be."""
    if service not in ("kinesis", "dynamodb"):
        return
    if position is None:
        raise invalid_parameter(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    if service == "dynamodb" and position == "AT_TIMESTAMP":
        raise invalid_parameter(f"Unsupported starting position for arn type: {arn}")


def _settings_members(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in ("FunctionName", "Tags")}


def _reject_stream_members(members: Mapping[str, Any]) -> None:
    if "StartingPosition" in members:
        raise invalid_parameter("StartingPosition is not valid for SQS event sources.")
    for name in _NOT_FOR_QUEUES:
        if name in members:
            raise not_for_queues(name)
