"""What pushes metrics, if the configuration wants it."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from engine.config import Config
from engine.errors import ConfigError
from engine.runtime.platform import Platform
from engine.telemetry.stats import Stats


class MetricsPush(Protocol):
    """Sends the metrics elsewhere."""

    def start(self) -> None:
        """Send every so often from now on."""

    async def close(self) -> None:
        """Send what is the last, and stop. Returns within seconds."""


def metrics_push(config: Config, platform: Platform, stats: Stats) -> MetricsPush | None:
    """What `[engine] push_metrics` names, not started. Raises ConfigError if it cannot be built."""
    if config.push_metrics is None:
        return None
    try:
        module = import_module("engine.telemetry.otlp_metrics")
    except ImportError as error:
        hint = "`pip install invocation-engine[otel]`"
        raise ConfigError((f"engine.push_metrics: {error}; {hint}",)) from None
    try:
        built: MetricsPush = module.OtlpMetrics(stats, config.account, platform.clock, platform.offload)
    except Exception as error:
        message = f"engine.push_metrics: cannot be built: {type(error).__name__}: {error}"
        raise ConfigError((" ".join(message.split()),)) from error
    return built
