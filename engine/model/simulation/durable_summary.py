"""What executions of a program are, on average, and what they use: of a simulation, or of a sample alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from engine.core.billing import exactly
from engine.core.durable.values import DAY_S
from engine.core.function import Account, DurableConfig, Function
from engine.core.late_dataclass import dataclass
from engine.model.cost.usage import Usage, durable
from engine.model.distributions import Empirical
from engine.model.simulation.durable_program import Program
from engine.model.simulation.run_statistics import Times, times_of
from engine.model.simulation.simulated_executions import DurableLoad, SimulatedExecutions
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload

SAMPLES: Final = 400
"""Executions that stand for all where a plan is made."""

_MONTH_S: Final = 30 * DAY_S
_BYTES_PER_GB: Final = 1_000_000_000
"""As AWS's pricing example counts: 104 GB kept for 14 of 30 days are 48.53 GB-months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableSummary:
    """Executions, all of them.

    Attributes:
        count: How many ended.
        by_status: The same, by status.
        invocations, operations, written_bytes: Of all.
        kept_byte_s: Bytes times the seconds for which they are kept.
        took: From start to end.
        open_mean, open_peak: Executions that are not ended, suspended ones included, while they are started.
    """

    count: int
    by_status: Mapping[str, int]
    invocations: int
    operations: int
    written_bytes: int
    kept_byte_s: float
    took: Times
    open_mean: float
    open_peak: int

    @property
    def invocations_each(self) -> float:
        """Invocations of one execution, on average."""
        return self.invocations / self.count if self.count else 0.0

    def usage(self, executions: float | None = None) -> Usage:
        """What so many of them use besides requests and duration; None: all of these."""
        with exactly():
            share = Decimal(1) if executions is None else Decimal(repr(executions)) / self.count
            written = Decimal(self.written_bytes) / _BYTES_PER_GB
            kept = Decimal(repr(self.kept_byte_s)) / _BYTES_PER_GB / _MONTH_S
            used = durable(self.operations, written, kept)
            return {meter: share * amount for meter, amount in used.items()}

    def document(self, executions: float | None = None, open_mean: float | None = None) -> dict[str, Any]:
        """The figures as JSON values; means are of one execution.

        Where they stand for more: how many, and how many of those are open at a time.
        """
        count = self.count or 1
        levels = (
            {"mean": self.open_mean, "peak": self.open_peak} if open_mean is None else {"mean": open_mean}
        )
        return {
            "executions": self.count if executions is None else round(executions, 3),
            "shares": {name: number / count for name, number in sorted(self.by_status.items())},
            "invocations_each": round(self.invocations_each, 6),
            "operations_each": round(self.operations / count, 6),
            "written_bytes_each": round(self.written_bytes / count, 3),
            "open": {name: round(value, 6) for name, value in levels.items()},
            "took": self.took.document(),
        }


def summary_of(executions: SimulatedExecutions, until_s: float) -> DurableSummary:
    """The summary of a run; levels count up to `until_s`."""
    level = [(at_s, number) for at_s, number in executions.level if at_s <= until_s]
    ends = [*level, (min(until_s, executions.level[-1][0] if executions.level else 0.0), 0)]
    open_s = math.fsum((after - at_s) * number for (at_s, number), (after, _) in pairwise(ends))
    return DurableSummary(
        count=len(executions.took_s),
        by_status={status.value: number for status, number in executions.by_status.items()},
        invocations=executions.invocations,
        operations=executions.operations,
        written_bytes=executions.written_bytes,
        kept_byte_s=executions.kept_byte_s,
        took=times_of(list(executions.took_s)),
        open_mean=open_s / ends[-1][0] if ends[-1][0] else 0.0,
        open_peak=max((number for _, number in level), default=0),
    )


class SampledExecutions:
    """Executions of a program that nothing holds up: no init, no limit.

    Attributes:
        summary: Of them.
        service: How long their invocations take.
    """

    def __init__(self, function: Function, program: Program, config: DurableConfig, seed: int) -> None:
        load = DurableLoad(at_s=[0.0] * SAMPLES, program=program, config=config, seed=seed)
        nothing = Workload(function=function, at_s=[], service_s=[])
        simulation = Simulation(
            [nothing],
            Account(concurrency_limit=10 * SAMPLES, scaling_rate=0, requests_per_concurrency=0),
            horizon_s=math.inf,
            durables={function.name: load},
        )
        simulation.run()
        self.summary = summary_of(simulation.durables[0], 0.0)
        self.service = Empirical(tuple(sorted(simulation.functions[0].hold_s)))
