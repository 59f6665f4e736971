"""One function through the fast kernel: compiled by numba where it is installed, else as plain Python.

The kernel knows what most functions are: one request to an environment, refused at a limit. For all else
there is `simulator`, at a twentieth of the speed; `unsuited` says which is needed, and why.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.core.function import INIT_LIMIT_S, Account
from engine.core.throttling import SCALING_PERIOD_S
from engine.model.simulation import kernel
from engine.model.simulation.hold_times import TIMEOUT, holds
from engine.model.simulation.kernel import Rules, Totals
from engine.model.simulation.run_statistics import FunctionObservation, RunRecord, observed
from engine.model.simulation.workload import AttemptEnding, ColdStartRule, SimulatedOutcome, Trigger, Workload

_KILLS: Final = bytes(kind in (AttemptEnding.CRASH, TIMEOUT) for kind in range(256))
"""Whether the environment is gone, by how an invocation ended."""


class FastRun(NamedTuple):
    """What became of each request, by its index, and the totals.

    Attributes:
        outcomes: `workload.SimulatedOutcome`.
        started_s: When it began to run, or was refused.
        inits_s: Initialisation billed with it, else 0.
        inside: Whether it ran in a provisioned environment; empty if there is none.
        hold_s, kinds: How long it held its environment, and how it ended.
        totals: Environments.
        compiled: Whether numba ran it.
    """

    outcomes: bytearray
    started_s: array[float]
    inits_s: array[float]
    inside: bytearray
    hold_s: list[float]
    kinds: bytearray
    totals: Totals
    compiled: bool


def has_numba() -> bool:
    """Whether the extra `[model]` is installed."""
    return importlib.util.find_spec("numba") is not None and importlib.util.find_spec("numpy") is not None


def unsuited(workload: Workload) -> str | None:
    """Why the kernel cannot run it; None if it can."""
    function = workload.function
    if function.environment_concurrency > 1:
        return "environments are shared"
    if function.overflow == "queue":
        return "events wait for limits"
    if workload.trigger is not Trigger.SYNCHRONOUS:
        return "events are tried again"
    if min(workload.inits_s) < 0 or max(workload.inits_s) >= INIT_LIMIT_S:
        return "an initialisation fails"
    deadly = (
        AttemptEnding.CRASH in workload.endings or max(workload.service_s, default=0.0) >= function.timeout_s
    )
    if function.provisioned_concurrency and deadly:
        return "provisioned environments die"
    return None


def rules_of(
    workload: Workload, account: Account, cold_start: ColdStartRule = ColdStartRule.FIRST_FREE
) -> Rules:
    """The limits of the function, alone in its account."""
    function = workload.function
    rate = account.scaling_rate
    per_s = account.requests_per_s(function)
    return Rules(
        limit=account.limit_of(function),
        provisioned=function.provisioned_concurrency,
        keep_alive_s=function.keep_alive_s,
        burst=rate,
        refill_s=1.0 / (rate / SCALING_PERIOD_S) if rate else 0.0,
        requests=per_s,
        request_s=1.0 / per_s if per_s else 0.0,
        own=cold_start is ColdStartRule.OWN,
    )


def run(
    workload: Workload,
    account: Account | None = None,
    *,
    horizon_s: float | None = None,
    cold_start: ColdStartRule = ColdStartRule.FIRST_FREE,
    compiled: bool | None = None,
) -> FastRun:
    """Bring every request to its end.

    Args:
        workload: One the kernel can run.
        account: Its limits, which the function has to itself.
        horizon_s: When observation ends; by default the last arrival; infinity = when all is over.
        cold_start: Where a request runs that found no environment free.
        compiled: By numba, or not; None = if it is installed.

    Raises:
        ValueError: The kernel cannot run it: see `unsuited`.
    """
    reason = unsuited(workload)
    if reason is not None:
        raise ValueError(f"{workload.function.name}: not for the fast kernel: {reason}")
    at_s = workload.at_s
    size = len(at_s)
    hold_s, kinds = holds(workload)
    kills = kinds.translate(_KILLS) if any(kinds.translate(_KILLS)) else bytearray()
    outcomes = bytearray(size)
    started_s, inits_s = array("d", bytes(8 * size)), array("d", bytes(8 * size))
    last_s = at_s[-1] if size else 0.0
    observed_s = last_s if horizon_s is None or horizon_s == math.inf else horizon_s
    rules = rules_of(workload, account or Account(), cold_start)
    inside = bytearray(size if rules.provisioned else 0)
    use_numba = has_numba() if compiled is None else compiled
    module = importlib.import_module("engine.model.simulation.compiled_kernel") if use_numba else kernel
    arrays = outcomes, started_s, inits_s, inside
    totals = Totals(*module.run(at_s, hold_s, kills, workload.inits_s, observed_s, rules, *arrays))
    if horizon_s == math.inf and size:  # the end is known now: environments count their seconds until then
        observed_s = end_s(outcomes, started_s, hold_s, last_s)
        totals = Totals(*module.run(at_s, hold_s, kills, workload.inits_s, observed_s, rules, *arrays))
    return FastRun(outcomes, started_s, inits_s, inside, hold_s, kinds, totals, use_numba)


def end_s(outcomes: bytearray, started_s: Sequence[float], hold_s: Sequence[float], last_s: float) -> float:
    """When the last of all requests is over that ran; `last_s` if none did after it."""
    throttled = int(SimulatedOutcome.THROTTLED)
    ended = zip(outcomes, started_s, hold_s, strict=True)
    return max(last_s, max((begin + held for what, begin, held in ended if what < throttled), default=0.0))


def observe(workload: Workload, ran: FastRun, horizon_s: float | None = None) -> FunctionObservation:
    """The same numbers that a simulation gives; refusals are not told apart.

    `horizon_s` is that of the run.
    """
    last_s = workload.at_s[-1] if len(workload.at_s) else 0.0
    if horizon_s is None:
        horizon_s = last_s
    elif horizon_s == math.inf:
        horizon_s = end_s(ran.outcomes, ran.started_s, ran.hold_s, last_s)
    throttled = ran.outcomes.count(int(SimulatedOutcome.THROTTLED))
    return observed(
        RunRecord(
            function=workload.function,
            at_s=workload.at_s,
            hold_s=ran.hold_s,
            kinds=ran.kinds,
            outcomes=ran.outcomes,
            started_s=ran.started_s,
            inits_s={item: one for item, one in enumerate(ran.inits_s) if one},
            created=ran.totals.created,
            environment_s=ran.totals.environment_s,
            peak=ran.totals.peak,
            peak_environments=ran.totals.peak_environments,
            is_inside=ran.inside,
            refusals={"limit": throttled} if throttled else {},
        ),
        horizon_s,
    )
