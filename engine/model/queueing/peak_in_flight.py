"""How high a count of requests in flight gets in a length of time: Poisson arrivals at a steady rate."""

from __future__ import annotations

import math

from engine.model.queueing.formulas import poisson_quantile, poisson_weight


def median_highest(load: float, rate_per_s: float, horizon_s: float) -> int:
    """The highest count in `horizon_s` seconds: one time in two it is not more.

    P(highest < k) = exp(-horizon rate pi(k - 1) (1 - load / k)), pi being Poisson with mean `load`.
    """
    if load <= 0 or rate_per_s <= 0:
        return 0
    k = max(1, poisson_quantile(load, 0.5))
    while k <= load or horizon_s * rate_per_s * poisson_weight(k, load) * (1 - load / (k + 1)) > math.log(2):
        k += 1
    return k
