"""The live metrics of a load test: what the Load test dashboard reads, from a recorder, at each scrape."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from engine.load.generator.recorder import Recorder
from engine.load.generator.tally import Tally
from engine.load.metric_catalogue import LOAD_METRICS, OUTCOMES

_FAMILIES: Final = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class LoadCollector(Collector):
    """Reads a recorder. Its names, labels and texts are those of `engine.load.metric_catalogue`."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        values = self._values()
        for metric in LOAD_METRICS:
            family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
            for labels, value in values[metric.name].items():
                if isinstance(value, Tally):
                    family.add_metric(labels, value.cumulated(), value.sum_s)
                else:
                    family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterator[Metric]:
        """Names only: nothing has to be read at registration."""
        return (_FAMILIES[one.kind](one.name, one.help, labels=one.labels) for one in LOAD_METRICS)

    def _values(self) -> dict[str, dict[tuple[str, ...], float | Tally]]:
        recorder, plan = self._recorder, self._recorder.plan
        scenario = plan.scenario
        counts: dict[tuple[str, ...], float | Tally] = {}
        times: dict[tuple[str, ...], float | Tally] = {}
        for stream in plan.streams:
            times[scenario, stream] = recorder.tally(stream=stream)
            for outcome in OUTCOMES:
                counts[scenario, stream, outcome] = recorder.count(stream=stream, outcome=outcome)
        at_s = time.monotonic() - recorder.begin_s
        return {
            "loadtest_requests_total": counts,
            "loadtest_response_seconds": times,
            "loadtest_schedule_lag_seconds": {(scenario,): recorder.lag_of(recorder.lag)},
            "loadtest_arrivals_dropped_total": {(scenario,): sum(recorder.dropped.values())},
            "loadtest_users": {(scenario,): recorder.all_users() or recorder.all_in_flight()},
            "loadtest_target_rate": {(scenario,): plan.rate_at(at_s)},
            "loadtest_run_info": {(plan.run_id, scenario, plan.commit): 1},
        }


def registry(recorder: Recorder) -> CollectorRegistry:
    """What is served: the recorder's metrics, and those of the process."""
    served = CollectorRegistry()
    ProcessCollector(registry=served)
    served.register(LoadCollector(recorder))
    return served
