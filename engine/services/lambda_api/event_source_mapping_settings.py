"""Converts event source mappings between members of AWS's API and settings of the poller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from engine.core.destinations import target_of
from engine.core.function import answered_within_s
from engine.core.scaling.pollers import MAX_MINIMUM_POLLERS, MIN_POLLERS
from engine.packages.records import LATEST
from engine.ports import QueueMappings, QueueMappingSettings
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.sqs.settings import FIFO_SUFFIX, MAX_OF_ONE_RECEIVE, QUEUE_NAME

Config = Mapping[str, Any]
"""Members of an event source mapping: those that a caller may choose, but its function and its tags."""

DEFAULTS: Final[Config] = {
    "BatchSize": 10,
    "MaximumBatchingWindowInSeconds": 0,
    "FunctionResponseTypes": (),
}
_INVALID_FILTER: Final = "Invalid filter pattern definition."
_REPORTING: Final = "ReportBatchItemFailures"
_NO_WINDOW: Final = (
    "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
)
_NO_FIFO_WINDOW: Final = "Batching window is not supported for FIFO queues"
_NO_QUEUE: Final = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
    "SQS Error Message: The specified queue does not exist."
)
# That AWS refuses these is documented; how it says so is (unverified).
_TOO_MANY_FILTERS: Final = "FilterCriteria must have {} filters or fewer."
_TWO_WAYS_TO_SCALE: Final = "ScalingConfig and ProvisionedPollerConfig cannot be used together."
_FEW_POLLERS: Final = f"{{}} must be greater than or equal to {MIN_POLLERS} for SQS event sources."
_POLLERS_REVERSED: Final = "MinimumPollers must be less than or equal to MaximumPollers."


def check_members(mappings: QueueMappings, config: Config) -> None:
    """Raise ServiceError if members, each of which keeps to the API's model, do not fit together."""
    batch_size = config.get("BatchSize", DEFAULTS["BatchSize"])
    window_s = config.get("MaximumBatchingWindowInSeconds", DEFAULTS["MaximumBatchingWindowInSeconds"])
    if batch_size > MAX_OF_ONE_RECEIVE and not window_s:
        raise invalid_parameter(_NO_WINDOW)
    if window_s and config["EventSourceArn"].endswith(FIFO_SUFFIX):
        raise invalid_parameter(_NO_FIFO_WINDOW)
    patterns = _patterns(config)
    if len(patterns) > mappings.max_filters:
        raise invalid_parameter(_TOO_MANY_FILTERS.format(mappings.max_filters))
    if not all(map(mappings.is_filter, patterns)):
        raise invalid_parameter(_INVALID_FILTER)
    pollers = config.get("ProvisionedPollerConfig")
    if pollers:
        _check_pollers(pollers)
        if config.get("ScalingConfig"):
            raise invalid_parameter(_TWO_WAYS_TO_SCALE)


def _check_pollers(pollers: Config) -> None:
    if "PollerGroupName" in pollers:
        raise not_for_queues("PollerGroupName")
    for name in ("MinimumPollers", "MaximumPollers"):
        if pollers.get(name, MIN_POLLERS) < MIN_POLLERS:
            raise invalid_parameter(_FEW_POLLERS.format(name))
    if pollers.get("MinimumPollers", MIN_POLLERS) > pollers.get("MaximumPollers", MAX_MINIMUM_POLLERS):
        raise invalid_parameter(_POLLERS_REVERSED)


def not_for_queues(name: str) -> ServiceError:
    """400: a member that mappings of queues do not have."""
    return invalid_parameter(f"Unsupported {name} parameter for given event source mapping type.")


def settings_of(
    mappings: QueueMappings, config: Config, base: QueueMappingSettings | None = None
) -> QueueMappingSettings:
    """Settings of a mapping whose members are checked. `base` gives the keys that AWS does not know.

    Raises:
        ServiceError: The ARN cannot be a queue's, or the members do not go with `base`.
    """
    arn = config["EventSourceArn"]
    if not _can_be_queue(arn):
        raise no_queue()
    settings = {
        "queue": arn,
        "enabled": config.get("Enabled", True),
        "batch_size": config.get("BatchSize", DEFAULTS["BatchSize"]),
        "maximum_batching_window_s": config.get(
            "MaximumBatchingWindowInSeconds", DEFAULTS["MaximumBatchingWindowInSeconds"]
        ),
        "report_batch_item_failures": _REPORTING in config.get("FunctionResponseTypes", ()),
        "filters": _patterns(config),
        "maximum_concurrency": config.get("ScalingConfig", {}).get("MaximumConcurrency"),
        "provisioned_pollers": _pollers(config),
    }
    try:
        return mappings.settings_from(settings, base)
    except ValueError as error:
        raise invalid_parameter(str(error)) from None


def no_queue() -> ServiceError:
    """400: the ARN names no queue that there is."""
    return invalid_parameter(_NO_QUEUE)


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


def _patterns(config: Config) -> tuple[str, ...]:
    filters = config.get("FilterCriteria", {}).get("Filters", ())
    return tuple(member.get("Pattern", "") for member in filters)


def config_of(settings: QueueMappingSettings, arn: str) -> Config:
    """The members of a mapping that was not made over the API; `arn` is the queue's."""
    config: dict[str, Any] = {
        "EventSourceArn": arn,
        "Enabled": settings.enabled,
        "BatchSize": settings.batch_size,
        "MaximumBatchingWindowInSeconds": int(settings.maximum_batching_window_s),
        "FunctionResponseTypes": [_REPORTING] if settings.report_batch_item_failures else [],
    }
    if settings.filters:
        texts = [
            pattern if isinstance(pattern, str) else orjson.dumps(pattern).decode()
            for pattern in settings.filters
        ]
        config["FilterCriteria"] = {"Filters": [{"Pattern": text} for text in texts]}
    if settings.maximum_concurrency is not None:
        config["ScalingConfig"] = {"MaximumConcurrency": settings.maximum_concurrency}
    if settings.provisioned_pollers is not None:
        pollers = settings.provisioned_pollers
        config["ProvisionedPollerConfig"] = {
            "MinimumPollers": pollers.minimum,
            "MaximumPollers": pollers.maximum,
        }
    return config


def timeout_s(registry: FunctionRegistry, name: str, qualifier: str | None) -> float | None:
    """Present timeout of the function of a mapping, seconds; None if there is no such function."""
    configured = registry.configured.get(name)
    if configured is not None:
        return configured.timeout_s
    record = registry.state.functions.get(name)
    if record is None:
        return None
    alias = record.aliases.get(qualifier or LATEST)
    number = alias.version if alias is not None else qualifier or LATEST
    version = record.latest if number == LATEST else record.versions.get(number)
    return float(version.settings["Timeout"]) if version is not None else None


def busy_reader(registry: FunctionRegistry, name: str, qualifier: str | None) -> Callable[[], float]:
    """Returns a function that reads how long a batch may run now, seconds."""
    configured = registry.configured.get(name)
    if configured is not None:
        busy_s = answered_within_s(configured)
        return lambda: busy_s
    return lambda: timeout_s(registry, name, qualifier) or 0.0
