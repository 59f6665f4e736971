"""What a page of the engine's metrics says: its samples, its buckets, and percentiles out of these."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

Buckets = Mapping[float, float]
"""By upper bound, the infinite one too, how many values were not above it."""


def samples(page: str) -> Iterator[Sample]:
    """Every sample of a page."""
    return (sample for family in text_string_to_metric_families(page) for sample in family.samples)


def buckets(page: str, histogram: str) -> dict[float, float]:
    """The buckets of a histogram, those of all labels added up; empty if the page has none."""
    upto: dict[float, float] = {}
    for sample in samples(page):
        if sample.name == f"{histogram}_bucket":
            bound = float(sample.labels["le"])
            upto[bound] = upto.get(bound, 0.0) + sample.value
    return upto


def counted_since(then: Buckets, now: Buckets) -> dict[float, float]:
    """What was counted between two moments."""
    return {bound: count - then.get(bound, 0.0) for bound, count in now.items()}


def quantile(upto: Buckets, q: float) -> float | None:
    """The value below which a share `q` of the observations lies, or None if there are none.

    Interpolates linearly inside a bucket, as PromQL's `histogram_quantile` does, so it can be off by the
    width of the bucket. Above the highest bound it is that bound.
    """
    rank = q * max(upto.values(), default=0.0)
    lower = below = 0.0
    for bound in sorted(upto):
        count = upto[bound]
        if count > below and count >= rank:
            share = (rank - below) / (count - below)
            return lower if math.isinf(bound) else lower + (bound - lower) * share
        lower, below = bound, count
    return None
