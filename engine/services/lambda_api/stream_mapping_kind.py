"""Event source mappings of streams, of Kinesis and of DynamoDB tables: AWS's members, and what it refuses.

A consumer of a Kinesis stream is served as the stream: what it has for itself on AWS is the rate of reading.
Source: Lambda API reference, "CreateEventSourceMapping"; recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from engine.core.destinations import expanded, target_of
from engine.ports import StreamMapping, StreamMappings, StreamMappingSettings
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.lambda_api.function_names import Addressed
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.mapping_kind import (
    REPORTING,
    Config,
    MappingKind,
    SourceMapping,
    check_filters,
    check_no_other,
    criteria_of,
    default_of,
    patterns_of,
    unsupported,
)

_NO_POSITION: Final = (
    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
    "Member must not be null."
)
_MAPPED: Final = (
    'The event source arn (" {arn} ") and function (" {{name}} ") provided mapping already exists. '
    "Please update or delete the existing mapping with UUID {{uuid}}"
)
_AT_TIMESTAMP: Final = "AT_TIMESTAMP"
_DESTINATIONS: Final = ("sqs", "sns", "s3")
_NO_LIMIT: Final = -1
_LEAST_AGE_S: Final = 60
_OF_DYNAMODB: Final = re.compile(
    r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[a-zA-Z0-9_.-]{3,255}/stream/\S+", re.ASCII
)
_OF_KINESIS: Final = re.compile(
    r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}"
    r"(/consumer/[a-zA-Z0-9_.-]+(:\d+)?)?",
    re.ASCII,
)
_SOURCES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "dynamodb": ("table", _OF_DYNAMODB),
    "kinesis": ("stream", _OF_KINESIS),
}
"""By service: the setting that names the source, and its ARNs."""
# That AWS refuses these is documented; how it says so is (unverified).
_NO_TIMESTAMP: Final = "StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP."
_NOT_AT_TIMESTAMP: Final = "StartingPositionTimestamp can only be used with StartingPosition AT_TIMESTAMP."
_BEFORE_1970: Final = "StartingPositionTimestamp cannot be negative."
_IN_FUTURE: Final = "StartingPositionTimestamp cannot be in the future."
_YOUNG: Final = f"MaximumRecordAgeInSeconds must be {_NO_LIMIT}, or greater than or equal to {_LEAST_AGE_S}."
_FACTOR: Final = "ParallelizationFactor must be 1 if TumblingWindowInSeconds is greater than 0."

_KEYS: Final[Config] = {
    "batch_size": "BatchSize",
    "maximum_batching_window_s": "MaximumBatchingWindowInSeconds",
    "parallelization_factor": "ParallelizationFactor",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "maximum_record_age_s": "MaximumRecordAgeInSeconds",
    "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
    "tumbling_window_s": "TumblingWindowInSeconds",
}
"""Settings that are a member as it is."""


class StreamMappingKind(MappingKind):
    """Streams, wherever they are."""

    members: ClassVar[frozenset[str]] = frozenset(
        {
            "BisectBatchOnFunctionError",
            "DestinationConfig",
            "MaximumRecordAgeInSeconds",
            "MaximumRetryAttempts",
            "ParallelizationFactor",
            "StartingPosition",
            "StartingPositionTimestamp",
            "TumblingWindowInSeconds",
        }
    )
    defaults: ClassVar[Config] = {
        "BatchSize": 100,
        "BisectBatchOnFunctionError": False,
        "FunctionResponseTypes": (),
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": _NO_LIMIT,
        "MaximumRetryAttempts": _NO_LIMIT,
        "ParallelizationFactor": 1,
        "TumblingWindowInSeconds": 0,
    }
    shown_if_there: ClassVar[tuple[str, ...]] = (
        "StartingPosition",
        "StartingPositionTimestamp",
        *MappingKind.shown_if_there,
    )
    transition_reason: ClassVar[str] = "User action"

    def __init__(self, registry: FunctionRegistry, mappings: StreamMappings) -> None:
        self._registry = registry
        self._mappings = mappings

    # ---------------------------------------------------------------- mappings

    def __iter__(self) -> Iterator[StreamMapping]:
        return iter(self._mappings)

    def find(self, uuid: str) -> StreamMapping | None:
        """The mapping of that UUID."""
        return self._mappings.find(uuid)

    async def open(
        self, address: Addressed, settings: StreamMappingSettings, uuid: str, modified_s: float
    ) -> StreamMapping:
        """Add a mapping; with LATEST it gets what is put after this has returned."""
        return await self._mappings.open(*address, settings, uuid=uuid, modified_s=modified_s)

    def change(self, mapping: StreamMapping, address: Addressed, settings: StreamMappingSettings) -> None:
        """Apply new settings from the next batch on; how far the stream was read stays."""
        self._mappings.change(mapping, *address, settings)

    async def applied(self, mapping: StreamMapping) -> None:
        """Return when it is known where a mapping that was enabled begins."""
        await self._mappings.begun(mapping)

    def close(self, mapping: StreamMapping) -> None:
        """Remove a mapping. Batches that run may end."""
        self._mappings.close(mapping)

    # ---------------------------------------------------------------- members

    def check_members(self, config: Config) -> None:
        """Raise ServiceError if members do not fit together."""
        arn = config["EventSourceArn"]
        self._check_position(config)
        if _NO_LIMIT < default_of(self, config, "MaximumRecordAgeInSeconds") < _LEAST_AGE_S:
            raise invalid_parameter(_YOUNG)
        factor = default_of(self, config, "ParallelizationFactor")
        if factor > 1 and default_of(self, config, "TumblingWindowInSeconds"):
            raise invalid_parameter(_FACTOR)
        _check_destinations(config.get("DestinationConfig", {}))
        is_filter = partial(self._mappings.is_filter, _service_of(arn))
        check_filters(is_filter, self._mappings.max_filters, config)

    def _check_position(self, config: Config) -> None:
        arn, position = config["EventSourceArn"], config.get("StartingPosition")
        if position is None:
            raise invalid_parameter(_NO_POSITION)
        timestamp_s = config.get("StartingPositionTimestamp")
        if position != _AT_TIMESTAMP:
            if timestamp_s is not None:
                raise invalid_parameter(_NOT_AT_TIMESTAMP)
        elif _service_of(arn) == "dynamodb":
            raise invalid_parameter(f"Unsupported starting position for arn type: {arn}")
        elif timestamp_s is None:
            raise invalid_parameter(_NO_TIMESTAMP)
        elif timestamp_s < 0:
            raise invalid_parameter(_BEFORE_1970)
        elif timestamp_s > self._registry.now_s():
            raise invalid_parameter(_IN_FUTURE)

    def settings_of(self, config: Config, base: StreamMappingSettings | None = None) -> StreamMappingSettings:
        """Settings of a mapping. Raises ServiceError if the ARN cannot be a stream's, or for `base`."""
        arn = config["EventSourceArn"]
        service = _service_of(arn)
        key, pattern = _SOURCES[service]
        if base is None and not pattern.fullmatch(arn):
            raise _no_stream(arn)
        settings = {
            key: getattr(base, key, arn),  # the configuration may name it otherwise
            "enabled": config.get("Enabled", True),
            "starting_position": config["StartingPosition"],
            "report_batch_item_failures": REPORTING in default_of(self, config, "FunctionResponseTypes"),
            "on_failure": _failure_destination(config.get("DestinationConfig", {})),
            "filters": patterns_of(config),
            **{key: default_of(self, config, name) for key, name in _KEYS.items()},
        }
        if "StartingPositionTimestamp" in config:
            settings["starting_position_timestamp_s"] = config["StartingPositionTimestamp"]
        try:
            return self._mappings.settings_from(service, settings, base)
        except ValueError as error:
            raise invalid_parameter(str(error)) from None

    async def check_source(
        self,
        config: Config,
        settings: StreamMappingSettings,
        _address: Addressed,
        own: SourceMapping | None,
    ) -> None:
        """Raise ServiceError if there is no such stream. One that is mapped already may be gone."""
        if own is None and not await self._mappings.exists(settings):
            raise _no_stream(config["EventSourceArn"])

    def check_single(
        self, settings: StreamMappingSettings, address: Addressed, own: SourceMapping | None
    ) -> None:
        """Raise ServiceError if the stream has a mapping to that function already, besides `own`."""
        arn = self._mappings.arn(settings)
        others = (other for other in self._mappings if self._mappings.arn(other.settings) == arn)
        check_no_other(others, address, own, _MAPPED.format(arn=arn))

    def config_of(self, mapping: StreamMapping) -> Config:
        """The members of a mapping that was not made over the API."""
        settings = mapping.settings
        config: dict[str, Any] = {
            "EventSourceArn": self._mappings.arn(settings),
            "Enabled": settings.enabled,
            "StartingPosition": settings.starting_position,
            "FunctionResponseTypes": [REPORTING] if settings.report_batch_item_failures else [],
            **{name: getattr(settings, key) for key, name in _KEYS.items()},
        }
        timestamp_s = getattr(settings, "starting_position_timestamp_s", None)
        if timestamp_s is not None:
            config["StartingPositionTimestamp"] = timestamp_s
        if settings.on_failure is not None:
            arn = expanded(settings.on_failure, self._registry.account)
            config["DestinationConfig"] = {"OnFailure": {"Destination": arn}}
        if settings.filters:
            config["FilterCriteria"] = criteria_of(settings.filters)
        return config

    def more(self, mapping: StreamMapping, config: Config) -> Config:
        """What became of the last batch, and the destination, if there is one."""
        arn = _failure_destination(config.get("DestinationConfig", {}))
        return {
            "DestinationConfig": {"OnFailure": {"Destination": arn} if arn else {}},
            "LastProcessingResult": mapping.last_result,
        }


def _service_of(arn: str) -> str:
    return arn.split(":")[2]


def _no_stream(arn: str) -> ServiceError:
    return invalid_parameter(f"Stream not found: {arn}")


def _failure_destination(destinations: Config) -> str | None:
    """The ARN of OnFailure; an empty text is none."""
    return destinations.get("OnFailure", {}).get("Destination") or None


def _check_destinations(destinations: Config) -> None:
    """Raise ServiceError if records of failures cannot go there, or those of successes are wanted.

    Source: Lambda Developer Guide, "Retain discarded batch records". AWS's texts are (unverified).
    """
    if destinations.get("OnSuccess", {}).get("Destination"):
        raise unsupported("DestinationConfig.OnSuccess")
    arn = _failure_destination(destinations)
    if arn is None:
        return
    target = target_of(arn)
    is_fifo = arn.endswith(".fifo")
    if target is None or target.service not in _DESTINATIONS or (is_fifo and target.service != "s3"):
        raise invalid_parameter(f"The destination ARN {arn} is invalid.")
