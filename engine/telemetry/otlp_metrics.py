"""Metrics pushed by OTLP over HTTP: `[engine] push_metrics = "otlp"`, with the extra `otel` installed.

The same catalogue that `/metrics` shows, read on the event loop and sent by a thread. Where to and how often
say OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_METRIC_EXPORT_INTERVAL`).

Source: OpenTelemetry specification, "Metrics Data Model"; "Prometheus and OpenMetrics Compatibility".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from threading import Timer
from typing import Any, Final
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as otel
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from engine.core.function import Account
from engine.ports import Clock
from engine.telemetry.histogram import Histogram
from engine.telemetry.metric_catalogue import CATALOGUE, Metric
from engine.telemetry.samples import Labels, Snapshot, children
from engine.telemetry.stats import Stats
from engine.version import VERSION

_NS: Final = 1_000_000_000
_INTERVAL_MS: Final = 60_000
_LAST_SEND_S: Final = 3.0
_UNITS: Final = {"seconds": "s", "bytes": "By", "ratio": "1", "dollars": "{dollar}", "": ""}
"""Ours to UCUM's; what is no unit there stands in braces, which translators leave out of names."""
_CUMULATIVE: Final = otel.AggregationTemporality.CUMULATIVE

Offload = Callable[[Callable[[], None]], Awaitable[None]]


class OtlpMetrics:
    """Sends all metrics every so often, and once more when it is closed. Sums are since the start."""

    def __init__(self, stats: Stats, account: Account, clock: Clock, offload: Offload) -> None:
        """`offload` runs what blocks. Raises ValueError if the interval is no number above 0."""
        self._stats = stats
        self._clock = clock
        self._offload = offload
        self._interval_s = _interval_s()
        self._exporter = OTLPMetricExporter()
        self._began_ns = int(clock.wall() * _NS)
        self._resource = _resource(account)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send from now on, as a task of the running loop."""
        self._task = asyncio.create_task(self._send_for_ever())

    async def close(self) -> None:
        """Send what is the last. Gives up after some seconds, or when a request under way times out."""
        giving_up = Timer(_LAST_SEND_S, self._exporter.shutdown)
        giving_up.start()
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait((self._task,))
            await self._send()
        finally:
            giving_up.cancel()
        await self._offload(self._exporter.shutdown)

    async def _send_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self._send()

    async def _send(self) -> None:
        data = await self._read()
        await self._offload(lambda: _export(self._exporter, data))

    async def _read(self) -> otel.MetricsData:
        """All metrics of this moment, one to a turn of the loop: there may be thousands of numbers."""
        snapshot, at_ns = Snapshot(self._stats), int(self._clock.wall() * _NS)
        metrics = []
        for metric in CATALOGUE:
            found = [
                leaf for function, tree in snapshot.trees(metric) for leaf in children(metric, function, tree)
            ]
            if found:
                metrics.append(self._metric(metric, found, at_ns))
            await asyncio.sleep(0)
        scope = InstrumentationScope("invocation-engine", VERSION)
        by_scope = otel.ScopeMetrics(scope, metrics, "")
        return otel.MetricsData([otel.ResourceMetrics(self._resource, [by_scope], "")])

    def _metric(
        self, metric: Metric, found: list[tuple[Labels, float | Histogram]], at_ns: int
    ) -> otel.Metric:
        data: Any
        if metric.kind == "histogram":
            data = otel.Histogram([*self._histograms(found, at_ns)], _CUMULATIVE)
        else:
            numbers = [
                otel.NumberDataPoint(dict(labels), self._began_ns, at_ns, float(leaf))  # type: ignore[arg-type]
                for labels, leaf in found
            ]
            is_sum = metric.kind == "counter"
            data = otel.Sum(numbers, _CUMULATIVE, is_monotonic=True) if is_sum else otel.Gauge(numbers)
        return otel.Metric(metric.family, metric.help, _UNITS[metric.unit], data)

    def _histograms(
        self, found: list[tuple[Labels, float | Histogram]], at_ns: int
    ) -> Iterator[otel.HistogramDataPoint]:
        for labels, leaf in found:
            if isinstance(leaf, Histogram):
                counts = tuple(leaf.counts)
                yield otel.HistogramDataPoint(
                    dict(labels),
                    self._began_ns,
                    at_ns,
                    sum(counts),
                    float(leaf.sum),
                    counts,
                    leaf.bounds,
                    min=None,  # type: ignore[arg-type]  # not known, which the format allows
                    max=None,  # type: ignore[arg-type]
                )


def _export(exporter: OTLPMetricExporter, data: otel.MetricsData) -> None:
    """Blocks. A failure is logged by the exporter; the next push has it all again."""
    exporter.export(data)


def _interval_s() -> float:
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "") or str(_INTERVAL_MS)
    interval_s = float(text) / 1000
    if not 0 < interval_s < float("inf"):
        raise ValueError(f"OTEL_METRIC_EXPORT_INTERVAL is {text!r}, and must be milliseconds above 0")
    return interval_s


def _resource(account: Account) -> Resource:
    """The engine is one service; several engines are told apart. What the environment says goes before."""
    own = {
        "service.name": "invocation-engine",
        "service.instance.id": str(uuid4()),
        "service.version": VERSION,
        "cloud.region": account.region,
        "cloud.account.id": account.account_id,
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())
