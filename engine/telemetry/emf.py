"""Metrics that handlers print in CloudWatch's embedded metric format (EMF) become metrics of the page.

Powertools' Metrics prints one JSON line for each flush; the line itself goes to the log unchanged.

Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from engine.core.invocation import Invocation
from engine.telemetry.function_stats import FunctionStats
from engine.telemetry.histogram import BYTES_BOUNDS, HANDLER_BOUNDS_S, Histogram
from engine.telemetry.label_values import EMF_CHILD_CAP
from engine.telemetry.stats import Stats

_MARK: Final = '"_aws"'
_LONGEST_LINE: Final = 1_048_576
"""Source: the specification, "maximum size of an EMF log event": 1 MB."""
_LONGEST_NAME: Final = 256
_MAX_VALUES: Final = 100

_SECONDS: Final = {"Seconds": 1.0, "Milliseconds": 1e-3, "Microseconds": 1e-6}
_BYTES: Final = {
    "Bytes": 1.0,
    "Kilobytes": 1e3,
    "Megabytes": 1e6,
    "Gigabytes": 1e9,
    "Terabytes": 1e12,
    "Bits": 1 / 8,
    "Kilobits": 1e3 / 8,
    "Megabits": 1e6 / 8,
    "Gigabits": 1e9 / 8,
    "Terabits": 1e12 / 8,
}


class Reading(NamedTuple):
    """One metric of one line; `values` are finite."""

    namespace: str
    metric: str
    unit: str
    values: tuple[float, ...]


class EmfTap:
    """Stands before what takes handlers' lines: looks for metrics in them, and passes them on.

    It may be called on any thread; what it finds is counted on the loop's. Dimensions are left out: their
    values are not bounded, so they would not be labels but one series for each customer.

    Args:
        stats: What to count in.
        write_line: Takes each line afterwards.
        schedule: Calls what it is given soon, on the loop's thread (`loop.call_soon_threadsafe`).
        cap: How many series of their own all metrics of all functions get together.
    """

    def __init__(
        self,
        stats: Stats,
        write_line: Callable[[Invocation, str], object],
        schedule: Callable[..., object],
        cap: int = EMF_CHILD_CAP,
    ) -> None:
        self._stats = stats
        self._write_line = write_line
        self._schedule = schedule
        self._cap = cap

    def line(self, invocation: Invocation, text: str, /) -> None:
        """Pass a line on, and have its metrics counted if it has any."""
        if text[:1] == "{" and _MARK in text:
            self._schedule(self.count, invocation.event.function, text)
        self._write_line(invocation, text)

    def count(self, function: str, text: str) -> None:
        """Count the metrics of one line of `function`. On the loop's thread."""
        stats = self._stats
        one = stats.functions.get(function)
        if one is None:
            return  # it is gone, and its metrics with it
        try:
            found = list(readings(text))
        except ValueError:
            stats.handler_lines["invalid"] += 1
            return
        taken = [self._take(one, reading) for reading in found]
        stats.handler_lines["parsed" if all(taken) else "over_cap"] += 1

    def _take(self, one: FunctionStats, reading: Reading) -> bool:
        """Count one metric; whether it had a series, or got one."""
        unit = reading.unit
        if unit in _SECONDS:
            return self._observe(one, one.handler_seconds, HANDLER_BOUNDS_S, reading, _SECONDS[unit])
        if unit in _BYTES:
            return self._observe(one, one.handler_bytes, BYTES_BOUNDS, reading, _BYTES[unit])
        kept = one.handler_counts if unit == "Count" else one.handler_values
        metrics = kept.get(reading.namespace, {})
        if reading.metric not in metrics and not self._has_room():
            return False
        value = reading.values[-1]
        if unit == "Count":  # a counter does not fall, whatever a handler says
            value = metrics.get(reading.metric, 0.0) + sum(max(0.0, each) for each in reading.values)
        kept.setdefault(reading.namespace, {})[reading.metric] = value
        return True

    def _observe(
        self,
        one: FunctionStats,
        kept: dict[str, dict[str, Histogram]],
        bounds: tuple[float, ...],
        reading: Reading,
        factor: float,
    ) -> bool:
        histogram = kept.get(reading.namespace, {}).get(reading.metric)
        if histogram is None:
            if not self._has_room():
                return False
            histogram = kept.setdefault(reading.namespace, {})[reading.metric] = Histogram(bounds)
        for value in reading.values:
            histogram.observe(value * factor)
        return True

    def _has_room(self) -> bool:
        """Whether there is room for another series."""
        return sum(map(_series, self._stats.functions.values())) < self._cap


def readings(text: str) -> Iterator[Reading]:
    """The metrics of one EMF line.

    Raises:
        ValueError: It is no JSON, or not what the specification says.
    """
    if len(text) > _LONGEST_LINE:
        raise ValueError("longer than 1 MB")
    document = orjson.loads(text)  # its error is a ValueError
    directives = _mapping(_mapping(document).get("_aws")).get("CloudWatchMetrics")
    if not isinstance(directives, list):
        raise ValueError("no CloudWatchMetrics")
    for directive in map(_mapping, directives):
        namespace = _name(directive.get("Namespace"))
        metrics = directive.get("Metrics")
        if not isinstance(metrics, list):
            raise ValueError("no Metrics")
        for metric in map(_mapping, metrics):
            name, unit = _name(metric.get("Name")), metric.get("Unit", "None")
            yield Reading(namespace, name, str(unit), _values(document.get(name)))


def _values(value: Any) -> tuple[float, ...]:
    """Powertools always gives a list; the specification allows a number too."""
    listed = value if isinstance(value, list) else [value]
    if not listed or len(listed) > _MAX_VALUES:
        raise ValueError("no value, or more than 100")
    for one in listed:
        if isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one):
            raise ValueError(f"{one!r} is no number")
    return tuple(map(float, listed))


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        raise ValueError(f"{value!r} is no name")
    return value


def _series(one: FunctionStats) -> int:
    kinds = (one.handler_counts, one.handler_values, one.handler_seconds, one.handler_bytes)
    return sum(len(metrics) for kind in kinds for metrics in kind.values())
