"""Event source mappings of queues: members of AWS's API and settings of the poller, and what AWS refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

from engine.core.destinations import target_of
from engine.core.function import answered_within_s
from engine.core.scaling.pollers import MAX_MINIMUM_POLLERS, MIN_POLLERS
from engine.packages.records import LATEST
from engine.ports import QueueMapping, QueueMappings, QueueMappingSettings
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
from engine.services.sqs.settings import FIFO_SUFFIX, MAX_OF_ONE_RECEIVE, QUEUE_NAME

_NO_WINDOW: Final = (
    "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
)
_NO_FIFO_WINDOW: Final = "Batching window is not supported for FIFO queues"
_NO_QUEUE: Final = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
    "SQS Error Message: The specified queue does not exist."
)
_NO_POSITION: Final = "StartingPosition is not valid for SQS event sources."
_MAPPED: Final = (
    'An event source mapping with SQS arn (" {arn} ") and function (" {{name}} ") already '
    "exists. Please update or delete the existing mapping with UUID {{uuid}}"
)
# That AWS refuses these is documented; how it says so is (unverified).
_TWO_WAYS_TO_SCALE: Final = "ScalingConfig and ProvisionedPollerConfig cannot be used together."
_FEW_POLLERS: Final = f"{{}} must be greater than or equal to {MIN_POLLERS} for SQS event sources."
_POLLERS_REVERSED: Final = "MinimumPollers must be less than or equal to MaximumPollers."


class QueueMappingKind(MappingKind):
    """Queues of the engine."""

    members: ClassVar[frozenset[str]] = frozenset({"ScalingConfig", "ProvisionedPollerConfig"})
    defaults: ClassVar[Config] = {
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": (),
    }
    shown_if_there: ClassVar[tuple[str, ...]] = (
        "ScalingConfig",
        "ProvisionedPollerConfig",
        *MappingKind.shown_if_there,
    )
    transition_reason: ClassVar[str] = "USER_INITIATED"

    def __init__(self, registry: FunctionRegistry, mappings: QueueMappings) -> None:
        self._registry = registry
        self._mappings = mappings

    # ---------------------------------------------------------------- mappings

    def __iter__(self) -> Iterator[QueueMapping]:
        return iter(self._mappings)

    def find(self, uuid: str) -> QueueMapping | None:
        """The mapping of that UUID."""
        return self._mappings.find(uuid)

    async def open(
        self, address: Addressed, settings: QueueMappingSettings, uuid: str, modified_s: float
    ) -> QueueMapping:
        """Add a mapping and poll for it."""
        busy_s = self._busy_reader(address)
        return self._mappings.open(*address, settings, busy_s, uuid=uuid, modified_s=modified_s)

    def change(self, mapping: QueueMapping, address: Addressed, settings: QueueMappingSettings) -> None:
        """Apply new settings from the next batch on."""
        self._mappings.change(mapping, *address, settings, self._busy_reader(address))

    async def applied(self, mapping: QueueMapping) -> None:
        """At once: a queue keeps what is sent."""

    def close(self, mapping: QueueMapping) -> None:
        """Remove a mapping. Batches that run may end."""
        self._mappings.close(mapping)

    def _busy_reader(self, address: Addressed) -> Callable[[], float]:
        """Returns a function that reads how long a batch may run now, seconds."""
        configured = self._registry.configured.get(address.name)
        if configured is not None:
            busy_s = answered_within_s(configured)
            return lambda: busy_s
        return lambda: self._timeout_s(address) or 0.0

    def _timeout_s(self, address: Addressed) -> float | None:
        """Present timeout of the function of a mapping, seconds; None if there is no such function."""
        configured = self._registry.configured.get(address.name)
        if configured is not None:
            return configured.timeout_s
        record = self._registry.state.functions.get(address.name)
        if record is None:
            return None
        qualifier = address.qualifier or LATEST
        alias = record.aliases.get(qualifier)
        number = alias.version if alias is not None else qualifier
        version = record.latest if number == LATEST else record.versions.get(number)
        return float(version.settings["Timeout"]) if version is not None else None

    # ---------------------------------------------------------------- members

    def reject_others(self, members: Config) -> None:
        """Raise ServiceError if there is a member that mappings of queues have not."""
        if "StartingPosition" in members:
            raise invalid_parameter(_NO_POSITION)
        super().reject_others(members)

    def check_members(self, config: Config) -> None:
        """Raise ServiceError if members do not fit together."""
        window_s = default_of(self, config, "MaximumBatchingWindowInSeconds")
        if default_of(self, config, "BatchSize") > MAX_OF_ONE_RECEIVE and not window_s:
            raise invalid_parameter(_NO_WINDOW)
        if window_s and config["EventSourceArn"].endswith(FIFO_SUFFIX):
            raise invalid_parameter(_NO_FIFO_WINDOW)
        check_filters(self._mappings.is_filter, self._mappings.max_filters, config)
        pollers = config.get("ProvisionedPollerConfig")
        if pollers:
            _check_pollers(pollers)
            if config.get("ScalingConfig"):
                raise invalid_parameter(_TWO_WAYS_TO_SCALE)

    def settings_of(self, config: Config, base: QueueMappingSettings | None = None) -> QueueMappingSettings:
        """Settings of a mapping. Raises ServiceError if the ARN cannot be a queue's, or for `base`."""
        arn = config["EventSourceArn"]
        if not _can_be_queue(arn):
            raise invalid_parameter(_NO_QUEUE)
        settings = {
            "queue": arn,
            "enabled": config.get("Enabled", True),
            "batch_size": default_of(self, config, "BatchSize"),
            "maximum_batching_window_s": default_of(self, config, "MaximumBatchingWindowInSeconds"),
            "report_batch_item_failures": REPORTING in default_of(self, config, "FunctionResponseTypes"),
            "filters": patterns_of(config),
            "maximum_concurrency": config.get("ScalingConfig", {}).get("MaximumConcurrency"),
            "provisioned_pollers": _pollers(config),
        }
        try:
            return self._mappings.settings_from(settings, base)
        except ValueError as error:
            raise invalid_parameter(str(error)) from None

    async def check_source(
        self,
        _config: Config,
        settings: QueueMappingSettings,
        address: Addressed,
        _own: SourceMapping | None,
    ) -> None:
        """Raise ServiceError if there is no such queue, or it hides messages for less than the timeout."""
        visibility_s = self._mappings.visibility_s(settings)
        if visibility_s is None:
            raise invalid_parameter(_NO_QUEUE)
        limit_s = self._timeout_s(address)
        if limit_s is not None and visibility_s < limit_s:
            raise invalid_parameter(
                f"Queue visibility timeout: {visibility_s:g} seconds is less than "
                f"Function timeout: {limit_s:g} seconds"
            )

    def check_single(
        self, settings: QueueMappingSettings, address: Addressed, own: SourceMapping | None
    ) -> None:
        """Raise ServiceError if the queue has a mapping to that function already, besides `own`."""
        arn = self._mappings.arn(settings)
        others = (other for other in self._mappings if self._mappings.arn(other.settings) == arn)
        check_no_other(others, address, own, _MAPPED.format(arn=arn))

    def config_of(self, mapping: QueueMapping) -> Config:
        """The members of a mapping that was not made over the API."""
        settings = mapping.settings
        config: dict[str, Any] = {
            "EventSourceArn": self._mappings.arn(settings),
            "Enabled": settings.enabled,
            "BatchSize": settings.batch_size,
            "MaximumBatchingWindowInSeconds": int(settings.maximum_batching_window_s),
            "FunctionResponseTypes": [REPORTING] if settings.report_batch_item_failures else [],
        }
        if settings.filters:
            config["FilterCriteria"] = criteria_of(settings.filters)
        if settings.maximum_concurrency is not None:
            config["ScalingConfig"] = {"MaximumConcurrency": settings.maximum_concurrency}
        if settings.provisioned_pollers is not None:
            pollers = settings.provisioned_pollers
            config["ProvisionedPollerConfig"] = {
                "MinimumPollers": pollers.minimum,
                "MaximumPollers": pollers.maximum,
            }
        return config


def _check_pollers(pollers: Config) -> None:
    if "PollerGroupName" in pollers:
        raise unsupported("PollerGroupName")
    for name in ("MinimumPollers", "MaximumPollers"):
        if pollers.get(name, MIN_POLLERS) < MIN_POLLERS:
            raise invalid_parameter(_FEW_POLLERS.format(name))
    if pollers.get("MinimumPollers", MIN_POLLERS) > pollers.get("MaximumPollers", MAX_MINIMUM_POLLERS):
        raise invalid_parameter(_POLLERS_REVERSED)


def _can_be_queue(arn: str) -> bool:
    target = target_of(arn)
    return (
        target is not None
        and bool(target.region and target.account_id)
        and QUEUE_NAME.fullmatch(target.resource) is not None
    )


def _pollers(config: Config) -> dict[str, int] | None:
    pollers = config.get("ProvisionedPollerConfig")
    if not pollers:
        return None
    bounds = {"minimum": pollers.get("MinimumPollers"), "maximum": pollers.get("MaximumPollers")}
    return {key: value for key, value in bounds.items() if value is not None}
