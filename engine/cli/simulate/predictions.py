"""Simulates workloads, by the live rules or the fast kernel, and returns a prediction for each function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from engine.cli.model_options import refuse
from engine.core.function import Account
from engine.model.cost.price_book import PriceBook
from engine.model.queueing.prediction import Prediction, levels_of, prediction_of
from engine.model.simulation import fast_simulator, policies
from engine.model.simulation.run_statistics import FunctionObservation
from engine.model.simulation.simulated_mapping import QueueLoad
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload

_SAMPLES: Final = 300
_RULES_UP_TO: Final = 1_000_000
"""Requests up to which the live rules are driven, unless asked otherwise."""

_ASSUMPTIONS: Final = (
    "service and init times are independent of each other and of the load",
    "one run: another seed gives other numbers; the interval of cold starts takes them as independent",
)


def predict(
    workloads: Sequence[Workload],
    account: Account,
    horizon_s: float,
    *,
    seed: int,
    method: str,
    sqs_batch: int | None,
) -> list[Prediction]:
    """What became of each function; exits if the method cannot play it."""
    requests = sum(len(one.at_s) for one in workloads)
    reason = fast_simulator.unsuited(workloads[0]) if len(workloads) == 1 else "there are several functions"
    if sqs_batch is not None:
        reason = "events come through a queue"
    if method == "fast" and reason is not None:
        refuse([f"--method fast: {reason}: the live rules are needed"])
    if method == "fast" or (method == "auto" and requests > _RULES_UP_TO and reason is None):
        return [_by_kernel(workloads[0], account, horizon_s, seed)]
    return _by_rules(workloads, account, horizon_s, seed, sqs_batch)


def _by_kernel(workload: Workload, account: Account, horizon_s: float, seed: int) -> Prediction:
    ran = fast_simulator.run(workload, account, horizon_s=horizon_s)
    seen = fast_simulator.observe(workload, ran)
    return prediction_of(
        seen,
        horizon_s,
        method="simulated",
        error=f"the fast kernel ({'numba' if ran.compiled else 'Python'}), one run of {seen.arrivals:,}",
        peak_per_s=_peak(workload.at_s),
        seed=seed,
        assumptions=_ASSUMPTIONS,
    )


def _by_rules(
    workloads: Sequence[Workload], account: Account, horizon_s: float, seed: int, sqs_batch: int | None
) -> list[Prediction]:
    queues: dict[str, QueueLoad] = {}
    if sqs_batch is not None:
        queues = {
            one.function.name: QueueLoad(at_s=one.at_s, batch_s=one.service_s or [0.0], batch_size=sqs_batch)
            for one in workloads
        }
        workloads = [replace(one, at_s=[], service_s=[], endings=[]) for one in workloads]
    simulation = Simulation(
        workloads, account, horizon_s=horizon_s, sample_every_s=horizon_s / _SAMPLES, queues=queues
    )
    observed = simulation.run()
    predictions = []
    for number, seen in enumerate(observed.functions):
        levels = levels_of(observed, number)
        sent = queues[seen.function.name].at_s if queues else workloads[number].at_s
        predictions.append(
            prediction_of(
                seen,
                horizon_s,
                method="simulated",
                error=f"the live rules, one run of {seen.arrivals:,} invocations",
                peak_per_s=_peak(sent),
                in_flight=levels["in_flight"],
                seed=seed,
                inside_share=_inside(levels["in_flight"], seen.function.provisioned_concurrency),
                samples=levels,
                assumptions=_ASSUMPTIONS,
                more=_further(seen),
            )
        )
    return predictions


def by_policy(
    workloads: Sequence[Workload], account: Account, book: PriceBook, horizon_s: float, p99_ms: float | None
) -> list[policies.Compared]:
    """The same events under every policy; exits if there are several functions."""
    if len(workloads) != 1:
        refuse(["--compare: for one function; choose it by --top 1"])
    deadline_s = 1.0 if p99_ms is None else p99_ms / 1000
    (workload,) = workloads
    try:
        chosen = policies.all_policies(deadline_s, horizon_s)
        return policies.compare(workload, account, book, horizon_s=horizon_s, policies=chosen)
    except ValueError as error:
        refuse([f"--compare: {error}"])


def _peak(at_s: Sequence[float]) -> float:
    """The most requests that came in any second, counted from the first whole one."""
    most = current = 0
    second = -1
    for one in at_s:
        if int(one) != second:
            second, current = int(one), 0
        current += 1
        most = max(most, current)
    return float(most)


def _inside(in_flight: Sequence[float], provisioned: int) -> float:
    """Share of the work inside provisioned concurrency: it is used first."""
    everything = sum(in_flight)
    return sum(min(one, provisioned) for one in in_flight) / everything if everything else 0.0


def _further(seen: FunctionObservation) -> dict[str, Any]:
    """Return the counts that are not zero, for the document."""
    found = {
        "timeouts": seen.timeouts,
        "crashes": seen.crashes,
        "errors": seen.errors,
        "failed_inits": seen.failed_inits,
        "retries": seen.retries,
        "dropped": seen.dropped,
        "backlog_peak": seen.backlog_peak,
        "dead_letters": seen.dead_letters,
    }
    shown: dict[str, Any] = {name: value for name, value in found.items() if value}
    if seen.queue_ages is not None:
        shown["queue_age"] = seen.queue_ages.document()
    return shown
