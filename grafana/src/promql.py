"""Writes the queries of the dashboards: each metric with the labels that choose what is shown."""

from __future__ import annotations

from typing import Final

from engine.load.metric_catalogue import LOAD_METRICS
from engine.telemetry.metric_catalogue import CATALOGUE

RATE: Final = "$__rate_interval"
RANGE: Final = "$__range"

TARGETS: Final = 'cluster=~"$cluster",job=~"$job",instance=~"$instance"'
"""Which engines: every query chooses them; `$cluster` is also true of those without the label."""
_LABELS: Final = {
    **{metric.name: metric.labels for metric in CATALOGUE},
    **{metric.name: metric.labels for metric in LOAD_METRICS},
}
_CHOSEN: Final = {"function": "$function", "scenario": "$scenario"}


def selector(metric: str, *matchers: str, part: str = "") -> str:
    """`metric{...}`: the targets, functions and scenarios that are chosen, and `matchers`.

    `part` is `_bucket`, `_sum` or `_count` of a histogram.
    """
    labels = _LABELS.get(metric, ())
    chosen = [f'{label}=~"{value}"' for label, value in _CHOSEN.items() if label in labels]
    return f"{metric}{part}{{{','.join((TARGETS, *chosen, *matchers))}}}"


def level(metric: str, *matchers: str, by: str = "", how: str = "sum") -> str:
    """A gauge, added up over what `by` does not name."""
    return _by(how, by, selector(metric, *matchers))


def rate(metric: str, *matchers: str, by: str = "", over: str = RATE, part: str = "") -> str:
    """What a counter gains a second."""
    return _by("sum", by, f"rate({selector(metric, *matchers, part=part)}[{over}])")


def increase(metric: str, *matchers: str, by: str = "", over: str = RATE, part: str = "") -> str:
    """What a counter gained in `over`."""
    return _by("sum", by, f"increase({selector(metric, *matchers, part=part)}[{over}])")


def quantile(q: float, metric: str, *matchers: str, by: str = "", over: str = RATE) -> str:
    """The value of a histogram below which a share `q` of the observations lies."""
    labels = f"le,{by}" if by else "le"
    return f"histogram_quantile({q:g}, {rate(metric, *matchers, by=labels, over=over, part='_bucket')})"


def mean(metric: str, *matchers: str, by: str = "", over: str = RATE) -> str:
    """The mean of a histogram."""
    total = rate(metric, *matchers, by=by, over=over, part="_sum")
    return f"{total} / {rate(metric, *matchers, by=by, over=over, part='_count')}"


def _by(how: str, by: str, inner: str) -> str:
    return f"{how} by({by})({inner})" if by else f"{how}({inner})"
