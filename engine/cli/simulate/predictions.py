"""Simulates workloads, by the live rules or the fast kernel, and returns a prediction for each function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, Final, NamedTuple

from engine.cli.durable_options import DurableWorkload, with_executions
from engine.cli.model_options import refuse
from engine.cli.simulate.streams import StreamWorkload, with_stream
from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.core.scaling.pollers import ProvisionedPollers, SqsPollers
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import Usage, provisioned_pollers, sqs_calls, total
from engine.model.queueing.backlog import TIMEOUTS_OUT_OF_SIGHT, Pollers, growth, sending
from engine.model.queueing.prediction import Prediction, levels_of, prediction_of
from engine.model.simulation import fast_simulator, policies
from engine.model.simulation.durable_summary import DurableSummary, summary_of
from engine.model.simulation.run_statistics import FunctionObservation
from engine.model.simulation.simulated_executions import DurableLoad
from engine.model.simulation.simulated_mapping import QueueLoad
from engine.model.simulation.simulated_nodes import NodesLoad, NodesObservation
from engine.model.simulation.simulated_stream import StreamLoad
from engine.model.simulation.simulator import Overload, Simulation
from engine.model.simulation.workload import ColdStartRule, Trigger, Workload

_SAMPLES: Final = 300
_VISIBILITY_S: Final = 30.0
_RULES_UP_TO: Final = 1_000_000
"""Requests up to which the live rules are driven, unless asked otherwise."""

_ASSUMPTIONS: Final = (
    "service and init times are independent of each other and of the load",
    "one run: another seed gives other numbers",
    "an environment whose invocation timed out is gone: the next request initialises one (AWS does not say)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """How workloads are simulated.

    Attributes:
        account: The limits they share.
        horizon_s: When observation ends; infinity = when the last attempt is over.
        seed: Of what was drawn.
        method: "auto", "rules" or "fast".
        sqs_batch, sqs_send_batch: Messages of one invocation, through a queue (None: no queue), and of one
            call of who sends them.
        policy: Decides the concurrent batches of the queue's mapping.
        has_backlog: Messages wait at second 0: the answer says when they are drained.
        durable: What the executions do that each arrival starts; None: an arrival is an invocation.
        stream: The stream whose records the arrivals are; None: there is none.
        nodes: What environments are placed on; None: there is room for any number.
        about_nodes: What that takes for granted, a sentence each.
    """

    account: Account
    horizon_s: float
    seed: int
    method: str
    sqs_batch: int | None = None
    sqs_send_batch: int = 1
    policy: Pollers = field(default_factory=SqsPollers)
    has_backlog: bool = False
    durable: DurableWorkload | None = None
    stream: StreamWorkload | None = None
    nodes: NodesLoad | None = None
    about_nodes: tuple[str, ...] = ()

    def rules(self, workloads: Sequence[Workload]) -> Sequence[ColdStartRule]:
        """The rules of cold starts to simulate: Lambda's first, where it applies; then this engine's."""
        shared = any(one.function.environment_concurrency > 1 for one in workloads)
        on_engine = shared or self.nodes is not None
        return (ColdStartRule.FIRST_FREE,) if on_engine else (ColdStartRule.OWN, ColdStartRule.FIRST_FREE)


class Simulated(NamedTuple):
    """What became of each function, and of the nodes, if there were any."""

    predictions: list[Prediction]
    nodes: NodesObservation | None = None


def predict(workloads: Sequence[Workload], run: SimulatedRun) -> Simulated:
    """What became of all; exits if the method cannot play it, or nodes have no room for what comes."""
    requests = sum(len(one.at_s) for one in workloads)
    reason = fast_simulator.unsuited(workloads[0]) if len(workloads) == 1 else "there are several functions"
    if run.sqs_batch is not None:
        reason = "events come through a queue"
    if run.stream is not None:
        reason = "events come through a stream"
    if run.durable is not None:
        reason = "they are durable executions"
    if run.nodes is not None:
        reason = "environments are placed on nodes, of which it knows nothing"
    if run.method == "fast" and reason is not None:
        refuse([f"--method fast: {reason}: the live rules are needed"])
    if workloads[0].trigger is Trigger.ASYNCHRONOUS or run.sqs_batch is not None or run.stream is not None:
        # Only synchronous requests are counted against the rate for each unit of concurrency.
        run = replace(run, account=replace(run.account, requests_per_concurrency=0))
    fast = run.method == "fast" or (run.method == "auto" and requests > _RULES_UP_TO and reason is None)
    first, *engine = (
        Simulated([_by_kernel(workloads[0], run, rule)]) if fast else _by_rules(workloads, run, rule)
        for rule in run.rules(workloads)
    )
    if not engine:
        return first
    both = zip(first.predictions, engine[0].predictions, strict=True)
    return Simulated([replace(one, on_engine=there) for one, there in both])


def _by_kernel(workload: Workload, run: SimulatedRun, rule: ColdStartRule) -> Prediction:
    ran = fast_simulator.run(workload, run.account, horizon_s=run.horizon_s, cold_start=rule)
    horizon_s = run.horizon_s
    if horizon_s == math.inf:
        horizon_s = fast_simulator.end_s(ran.outcomes, ran.started_s, ran.hold_s, workload.at_s[-1])
    seen = fast_simulator.observe(workload, ran, horizon_s)
    return prediction_of(
        seen,
        horizon_s,
        method="simulated",
        error=f"the fast kernel ({'numba' if ran.compiled else 'Python'}), one run of {seen.arrivals:,}",
        peak_per_s=_peak(workload.at_s),
        seed=run.seed,
        cold_rule=rule,
        assumptions=(*_ASSUMPTIONS, *_rate_rule(run.account)),
    )


def _by_rules(workloads: Sequence[Workload], run: SimulatedRun, rule: ColdStartRule) -> Simulated:
    queues: dict[str, QueueLoad] = {}
    sent = [one.at_s for one in workloads]
    last_s = max((at_s[-1] for at_s in sent if len(at_s)), default=0.0)
    if run.sqs_batch is not None:
        queues = {
            one.function.name: QueueLoad(
                at_s=one.at_s,
                batch_s=one.service_s or [0.0],
                endings=one.endings,
                batch_size=run.sqs_batch,
                visibility_s=_visibility_s(one.function),
                policy=run.policy,
            )
            for one in workloads
        }
        workloads = [
            replace(one, at_s=[], service_s=[], endings=[], trigger=Trigger.SYNCHRONOUS) for one in workloads
        ]
    durables: dict[str, DurableLoad] = {}
    if run.durable is not None:
        durables, workloads = _executions(workloads, run.durable, run.seed)
    streams: dict[str, StreamLoad] = {}
    if run.stream is not None:
        streams = {one.function.name: run.stream.load(one) for one in workloads}
        workloads = [replace(one, at_s=[], service_s=[], endings=[]) for one in workloads]
    simulation = Simulation(
        workloads,
        run.account,
        horizon_s=run.horizon_s,
        sample_every_s=max(last_s / _SAMPLES, 1.0) if run.horizon_s == math.inf else run.horizon_s / _SAMPLES,
        queues=queues,
        durables=durables,
        streams=streams,
        cold_start=rule,
        nodes=run.nodes,
    )
    try:
        observed = simulation.run()
    except Overload as error:
        refuse([f"--nodes: {error}"])
    invocations = sum(one.arrivals for one in observed.functions)
    several = f" of {len(workloads)} functions" if len(workloads) > 1 else ""
    predictions = []
    for number, seen in enumerate(observed.functions):
        messages = len(sent[number])
        predictions.append(
            prediction_of(
                seen,
                observed.horizon_s,
                method="simulated",
                error=f"the live rules, one run of {invocations:,} invocations{several}",
                peak_per_s=_peak(simulation.functions[number].at_s),
                seed=run.seed,
                cold_rule=rule,
                around=_queue_usage(seen, messages, run, observed.horizon_s) if queues else None,
                samples=levels_of(observed, number),
                assumptions=(
                    *_ASSUMPTIONS,
                    *_rate_rule(run.account),
                    *_queue_assumptions(run, seen.function),
                    *run.about_nodes,
                ),
                more={**_further(seen), **_drained(seen, run)},
            )
        )
    if run.durable is not None:
        summary = summary_of(simulation.durables[0], observed.horizon_s)
        predictions = [_with_executions(predictions[0], summary, observed.horizon_s)]
    if run.stream is not None:
        predictions = [with_stream(predictions[0], run.stream, simulation.streams[0].summary())]
    return Simulated(predictions, observed.nodes)


def _executions(
    workloads: Sequence[Workload], durable: DurableWorkload, seed: int
) -> tuple[dict[str, DurableLoad], list[Workload]]:
    """Arrivals as starts of executions, and the functions that get their invocations."""
    loads = {
        one.function.name: DurableLoad(
            at_s=one.at_s, program=durable.program, config=durable.config, seed=seed
        )
        for one in workloads
    }
    return loads, [replace(one, at_s=[], service_s=[], endings=[]) for one in workloads]


def _with_executions(prediction: Prediction, summary: DurableSummary, horizon_s: float) -> Prediction:
    found = with_executions(prediction, summary)
    if summary.took.mean_s < horizon_s / 2:
        return found
    note = (
        f"durable: executions take {summary.took.mean_s:,.4g} s on average: invocations after the "
        f"{horizon_s:,.4g} s looked at are billed, but not among those in flight; --seconds looks longer"
    )
    return replace(found, assumptions=(*found.assumptions, note))


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


def _rate_rule(account: Account) -> tuple[str, ...]:
    if not account.requests_per_concurrency:
        return ()
    rate = account.requests_per_concurrency
    return (f"{rate} requests/s for each unit of concurrency, in a bucket of one second (AWS does not say)",)


def _visibility_s(function: Function) -> float:
    """As long as AWS recommends; a queue that says nothing else has 30 s."""
    return max(_VISIBILITY_S, TIMEOUTS_OUT_OF_SIGHT * function.timeout_s)


def _queue_assumptions(run: SimulatedRun, function: Function) -> tuple[str, ...]:
    if run.sqs_batch is None:
        return ()
    return (
        sending(run.sqs_send_batch),
        f"SQS: a message whose batch failed or was refused is seen again after {_visibility_s(function):g} s",
        *growth(run.policy),
    )


def _queue_usage(seen: FunctionObservation, messages: int, run: SimulatedRun, horizon_s: float) -> Usage:
    calls = sqs_calls(-(-messages // run.sqs_send_batch) + seen.receives + seen.deletes)
    if not isinstance(run.policy, ProvisionedPollers):
        return calls
    return total(calls, provisioned_pollers(seen.batches_allowed, horizon_s))


def _drained(seen: FunctionObservation, run: SimulatedRun) -> dict[str, Any]:
    if not run.has_backlog:
        return {}
    return {"drained_s": None if seen.drained_s is None else round(seen.drained_s, 6)}


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
