"""The metrics of the load generator, by name: what `loadtests` exports and the Load test dashboard reads.

One list, as `engine.telemetry.metric_catalogue` is for the engine. The generator is a scrape target of its
own.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class LoadMetric(NamedTuple):
    """One metric of the load generator.

    Attributes:
        name: As on its page, `_total` included.
        kind: Counter, gauge or histogram.
        labels: Label names.
        help: One sentence.
        bounds: Upper bounds of a histogram's buckets, seconds.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()


OUTCOMES: Final = ("success", "failure", "throttled")
"""Values of the label `outcome`: answered as expected, otherwise, or refused with 429."""

RESPONSE_BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
LAG_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)

LOAD_METRICS: Final = (
    LoadMetric(
        "loadtest_requests_total", "counter", ("scenario", "name", "outcome"),
        "Requests that were answered or failed.",
    ),
    LoadMetric(
        "loadtest_response_seconds", "histogram", ("scenario", "name"),
        "From the intended start of a request to its answer.",
        RESPONSE_BOUNDS_S,
    ),
    LoadMetric(
        "loadtest_schedule_lag_seconds", "histogram", ("scenario",),
        "How late requests were sent: above a few milliseconds the generator, not the engine, is the limit.",
        LAG_BOUNDS_S,
    ),
    LoadMetric(
        "loadtest_arrivals_dropped_total", "counter", ("scenario",),
        "Planned requests that were never sent, because too many were unanswered.",
    ),
    LoadMetric("loadtest_users", "gauge", ("scenario",), "Users, or requests in flight of an open model."),
    LoadMetric("loadtest_target_rate", "gauge", ("scenario",), "Requests a second that are planned now."),
    LoadMetric(
        "loadtest_run_info", "gauge", ("run_id", "scenario", "commit"), "Always 1; the run that goes on."
    ),
)  # fmt: skip
"""Every metric of the load generator. Its own process metrics (`process_cpu_seconds_total`) come with it."""
