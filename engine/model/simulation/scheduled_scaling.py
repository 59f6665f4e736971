"""How a scaling policy of `core` runs a simulated function: it is shown the load, and says a number.

A function under such a policy starts no environment on demand: events wait for one of those it keeps, and
one it lets go is gone. If the policy `spills` it keeps provisioned concurrency, as on Lambda: what finds
none of it free runs on demand.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any, Final

from engine.core.fleet import FleetStatistics
from engine.core.scaling.pollers import AnyPolicy, Load
from engine.core.throttling import Pool
from engine.model.simulation.workload import Workload

_RATE_OVER_S: Final = 10.0
"""The arrival rate that is shown is an average with this time constant."""


class ScheduledScaling:
    """A policy and what it remembers; one for each run.

    Args:
        policy: Any policy that counts environments.
        every_s: How often it is asked (Knative: every 2 s).
        spills: Whether requests beyond its environments run on demand.
    """

    def __init__(self, policy: AnyPolicy, every_s: float = 1.0, *, spills: bool = False) -> None:
        self.policy, self.every_s, self.spills = policy, every_s, spills
        self._rate_per_s = 0.0
        self._memory: Any = None
        self._wanted = 0
        self._seen = 0
        self._asked_s: float | None = None

    def wanted(self, levels: FleetStatistics, workload: Workload, now_s: float, account_pool: Pool) -> int:
        """How many environments to keep from now on; the account's pool is left with the rest."""
        if self._asked_s is None:
            self._memory = self.policy.begin(now_s)
        load = self._load(levels, workload, now_s)
        decision, self._memory = self.policy.decide(load, self._memory, now_s)
        limit = self._wanted + max(0, account_pool.limit - account_pool.used)
        wanted = min(decision.wanted, limit)
        account_pool.limit -= wanted - self._wanted
        self._wanted, self._asked_s = wanted, now_s
        return wanted

    def _load(self, levels: FleetStatistics, workload: Workload, now_s: float) -> Load:
        passed_s = now_s - self._asked_s if self._asked_s is not None else 0.0
        came = bisect_right(workload.at_s, now_s, lo=self._seen)
        arrived, self._seen = came - self._seen, came
        if passed_s:
            share = -math.expm1(-passed_s / _RATE_OVER_S)
            self._rate_per_s += share * (arrived / passed_s - self._rate_per_s)
        in_hand, ready = levels.in_flight, levels.idle + levels.busy
        if self.spills:  # what runs on demand is none of its business
            in_hand, ready = min(in_hand, self._wanted), min(ready, self._wanted)
        known = workload.service_s[max(0, came - 1000) : came] or workload.service_s[:1]
        inits_s = [one for one in workload.inits_s if one >= 0]
        return Load(
            in_hand=in_hand,
            backlog=levels.blocked,
            ready=ready,
            starting=levels.starting,
            arrivals_per_s=self._rate_per_s,
            service_s=sum(known) / len(known) if len(known) else 0.0,
            startup_s=sum(inits_s) / len(inits_s) if inits_s else 0.0,
        )
