"""How many requests are in flight for how much of the time: as a law, or as it was counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.core.late_dataclass import dataclass
from engine.model.queueing.formulas import poisson_quantile
from engine.model.queueing.offered_load import in_flight_quantile
from engine.model.simulation.levels import level_quantile


class InFlight(Protocol):
    """Requests in flight over the time that was looked at."""

    def quantile(self, share: float) -> int:
        """The number that is not exceeded for that share of the time, below 1."""


@dataclass(frozen=True, slots=True)
class PoissonInFlight:
    """Poisson about each mean of (mean, seconds), and never more than `limit`."""

    loads: Sequence[tuple[float, float]]
    limit: int

    def quantile(self, share: float) -> int:
        """The number that is not exceeded for that share of the time, below 1."""
        if len(self.loads) == 1:
            ((mean, _),) = self.loads
            return min(poisson_quantile(mean, share), self.limit)
        return min(in_flight_quantile(self.loads, share), self.limit)


@dataclass(frozen=True, slots=True)
class CountedInFlight:
    """For how long, or with which weight, 0, 1, 2, ... are in flight; never more than `limit`, if any."""

    weights: Sequence[float]
    limit: int | None = None

    def quantile(self, share: float) -> int:
        """The number that is not exceeded for that share of the time, below 1."""
        found = level_quantile(self.weights, share)
        return found if self.limit is None else min(found, self.limit)
