"""Event source mappings in the members of AWS's API, and as what polls the queue knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from engine.packages.records import LATEST
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.sqs.settings import FIFO_SUFFIX
from engine.sources.sqs.filters import INVALID, FilterError, compiled
from engine.sources.sqs.settings import MOST_OF_ONE_RECEIVE, SqsEvent
from engine.sources.sqs.source import busy_reader as reader_of

Config = Mapping[str, Any]
"""Members of an event source mapping: those that a caller may choose, but its function and its tags."""

DEFAULTS: Final[Config] = {
    "BatchSize": 10,
    "MaximumBatchingWindowInSeconds": 0,
    "FunctionResponseTypes": (),
}
_REPORTING: Final = "ReportBatchItemFailures"
_NO_WINDOW: Final = (
    "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
)


def settings_of(config: Config, base: SqsEvent | None = None) -> SqsEvent:
    """What polls for a mapping of these members. `base` has the keys that AWS does not know.

    Raises:
        ApiError: They do not fit together.
    """
    arn = config["EventSourceArn"]
    batch_size = config.get("BatchSize", DEFAULTS["BatchSize"])
    window_s = config.get("MaximumBatchingWindowInSeconds", DEFAULTS["MaximumBatchingWindowInSeconds"])
    if batch_size > MOST_OF_ONE_RECEIVE and not window_s and not arn.endswith(FIFO_SUFFIX):
        raise invalid_parameter(_NO_WINDOW)
    settings = {
        "queue": arn,
        "enabled": config.get("Enabled", True),
        "batch_size": batch_size,
        "maximum_batching_window_s": window_s,
        "report_batch_item_failures": _REPORTING in config.get("FunctionResponseTypes", ()),
        "filters": _patterns(config),
        "maximum_concurrency": config.get("ScalingConfig", {}).get("MaximumConcurrency"),
        "provisioned_pollers": _pollers(config),
    }
    if base is not None:
        settings |= {"keep_group_order": base.keep_group_order, "scaling": base.scaling}
    try:
        return SqsEvent.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = str(first.get("ctx", {}).get("error", first["msg"]))
        raise invalid_parameter(f"{place}: {reason}" if place else reason) from None


def _pollers(config: Config) -> dict[str, int] | None:
    pollers = config.get("ProvisionedPollerConfig")
    if not pollers:
        return None
    bounds = {"minimum": pollers.get("MinimumPollers"), "maximum": pollers.get("MaximumPollers")}
    return {key: value for key, value in bounds.items() if value is not None}


def _patterns(config: Config) -> tuple[str, ...]:
    patterns = []
    for one in config.get("FilterCriteria", {}).get("Filters", ()):
        pattern = one.get("Pattern", "")
        try:
            compiled(pattern)
        except FilterError:
            raise invalid_parameter(INVALID) from None
        patterns.append(pattern)
    return tuple(patterns)


def config_of(settings: SqsEvent, arn: str) -> Config:
    """The members of a mapping that was not made over the API; `arn` is the queue's."""
    config: dict[str, Any] = {
        "EventSourceArn": arn,
        "Enabled": settings.enabled,
        "BatchSize": settings.batch_size,
        "MaximumBatchingWindowInSeconds": int(settings.maximum_batching_window_s),
        "FunctionResponseTypes": [_REPORTING] if settings.report_batch_item_failures else [],
    }
    if settings.filters:
        texts = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in settings.filters]
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


def timeout_s(catalogue: FunctionRegistry, name: str, qualifier: str | None) -> float | None:
    """Timeout of what a mapping runs, now; None if that is not there."""
    configured = catalogue.configured.get(name)
    if configured is not None:
        return configured.timeout_s
    record = catalogue.state.functions.get(name)
    if record is None:
        return None
    alias = record.aliases.get(qualifier or LATEST)
    number = alias.version if alias is not None else qualifier or LATEST
    version = record.latest if number == LATEST else record.versions.get(number)
    return float(version.settings["Timeout"]) if version is not None else None


def busy_reader(catalogue: FunctionRegistry, name: str, qualifier: str | None) -> Callable[[], float]:
    """Reads how long a batch may be with the function, seconds: packages may be given another timeout."""
    configured = catalogue.configured.get(name)
    if configured is not None:
        return reader_of(configured)
    return lambda: timeout_s(catalogue, name, qualifier) or 0.0
