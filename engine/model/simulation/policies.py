"""One load under every policy: what each costs in time, cold starts, environments and dollars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from engine.core.billing import MB_PER_GB, gb_seconds
from engine.core.function import Account
from engine.core.late_dataclass import dataclass
from engine.core.scaling.environments import Deadline, Knative, TargetTracking
from engine.model.cost.bill import bill
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import invocations, total
from engine.model.simulation.keep_alive_policies import HybridHistogram, KeepAlive
from engine.model.simulation.run_statistics import FunctionObservation
from engine.model.simulation.scheduled_scaling import ScheduledScaling
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPolicy:
    """A way to decide how many environments there are.

    Attributes:
        name: What it is called.
        keep_alive_s: Life of an idle environment that was started on demand; None = the function's own.
        keep_alive: Makes a policy for idle environments, one for each run.
        scaler: Makes a policy for their number, one for each run; events wait for one of them.
    """

    name: str
    keep_alive_s: float | None = None
    keep_alive: Callable[[], KeepAlive] | None = None
    scaler: Callable[[], ScheduledScaling] | None = None


def all_policies(deadline_s: float, horizon_s: float = 0.0) -> tuple[SimulatedPolicy, ...]:
    """The policies that are compared; `deadline_s` is what ours is asked to keep.

    Over a long `horizon_s` they are asked less often.
    """
    rarely_s = horizon_s / 100_000
    return (
        SimulatedPolicy(name="lambda"),
        *(SimulatedPolicy(name=f"fixed {keep_s} s", keep_alive_s=keep_s) for keep_s in (10, 60, 600, 1200)),
        SimulatedPolicy(name="hybrid histogram", keep_alive=HybridHistogram),
        SimulatedPolicy(
            name="knative", scaler=lambda: ScheduledScaling(Knative(target=0.7), max(2.0, rarely_s))
        ),
        SimulatedPolicy(
            name="target tracking",
            scaler=lambda: ScheduledScaling(TargetTracking(), max(1.0, rarely_s), spills=True),
        ),
        SimulatedPolicy(
            name="deadline (ours)",
            scaler=lambda: ScheduledScaling(Deadline(deadline_s=deadline_s), max(0.25, rarely_s)),
        ),
    )


class Compared(NamedTuple):
    """What one policy came to.

    Attributes:
        policy: Its name.
        p50_s, p99_s: Response times.
        cold_share, throttled_share: Of what ran, and of what came.
        environments: Mean number.
        environment_s, idle_gb_s: Seconds of environments, and GB-seconds of idle ones.
        usd: What the time looked at costs: on demand, or as provisioned concurrency where a policy keeps
            environments by their number.
        efficient: No other policy is better in p99 and in environment-seconds.
    """

    policy: str
    p50_s: float
    p99_s: float
    cold_share: float
    throttled_share: float
    environments: float
    environment_s: float
    idle_gb_s: float
    usd: Decimal
    efficient: bool = False


def compare(
    workload: Workload,
    account: Account,
    book: PriceBook,
    *,
    horizon_s: float,
    policies: Sequence[SimulatedPolicy],
) -> list[Compared]:
    """Run `workload` under each, on the live rules; the same events in each run."""
    rows = [_compared(workload, account, book, horizon_s, policy) for policy in policies]
    return [row._replace(efficient=not any(_beats(other, row) for other in rows)) for row in rows]


def run(
    workload: Workload, account: Account, policy: SimulatedPolicy, horizon_s: float
) -> FunctionObservation:
    """Run the workload under one policy."""
    function = workload.function
    if policy.keep_alive_s is not None:
        function = replace(function, keep_alive_s=policy.keep_alive_s)
    if policy.scaler is not None:
        function = replace(function, reserved_concurrency=None, provisioned_concurrency=0)
    one = replace(workload, function=function)
    keep_alives: Mapping[str, KeepAlive] = {}
    if policy.keep_alive is not None:
        keep_alives = {function.name: policy.keep_alive()}
    scalers = {} if policy.scaler is None else {function.name: policy.scaler()}
    simulation = Simulation([one], account, horizon_s=horizon_s, keep_alives=keep_alives, scalers=scalers)
    return simulation.run().functions[0]


def document(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the rows as JSON values; money as text."""
    return [{**row._asdict(), "usd": str(row.usd)} for row in rows]


def _compared(
    workload: Workload, account: Account, book: PriceBook, horizon_s: float, policy: SimulatedPolicy
) -> Compared:
    seen = run(workload, account, policy, horizon_s)
    memory_mb, architecture = seen.function.memory_mb, seen.function.architecture
    inside = policy.scaler is not None
    used = invocations(seen.ran, seen.billed_ms, memory_mb, architecture, provisioned=inside)
    if inside:
        standing = gb_seconds(round(seen.environment_s * 1000), memory_mb)
        used = total(used, {f"lambda.provisioned.standing.{architecture}": standing})
    idle_s = max(0.0, seen.environment_s - seen.busy_s)
    percentiles_s = seen.all_times.percentiles_s
    return Compared(
        policy.name,
        percentiles_s.get(50.0, 0.0),
        percentiles_s.get(99.0, 0.0),
        seen.cold_share,
        seen.throttled_share,
        seen.environment_s / horizon_s if horizon_s else 0.0,
        seen.environment_s,
        idle_s * memory_mb / MB_PER_GB,
        bill(used, book).usd,
    )


def _beats(one: Compared, other: Compared) -> bool:
    """At least as good in both, and better in one; who refuses more is not better."""
    if one.throttled_share > other.throttled_share:
        return False
    as_good = one.p99_s <= other.p99_s and one.environment_s <= other.environment_s
    return as_good and (one.p99_s < other.p99_s or one.environment_s < other.environment_s)
