"""Several functions of one account on simulated time, by the engine's own rules: it drives `core.fleet`.

It does to a fleet what `runtime.driver` does, in the same order, with an agenda of timed callbacks instead of
an event loop: arrivals, ends, deadlines, inits, idle expiry, retries. Nothing here decides who runs where.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Final, cast

from engine.core.durable.values import MAX_EXECUTION_S
from engine.core.fleet import Fleet
from engine.core.function import Account, Function
from engine.core.throttling import Pool, ThrottleReason, request_bucket, scaling_bucket
from engine.model.simulation.keep_alive_policies import KeepAlive
from engine.model.simulation.run_statistics import LevelSampler, Observation
from engine.model.simulation.schedule import TimedCallback
from engine.model.simulation.scheduled_scaling import ScheduledScaling
from engine.model.simulation.simulated_executions import DurableLoad, SimulatedExecutions
from engine.model.simulation.simulated_function import Log, SimulatedFunction
from engine.model.simulation.simulated_mapping import QueueLoad, SimulatedMapping
from engine.model.simulation.simulated_nodes import NodesLoad, SimulatedNodes
from engine.model.simulation.simulated_stream import SimulatedStream, StreamLoad
from engine.model.simulation.workload import ColdStartRule, Workload

_MAX_DRAIN_S: Final = 8 * 3600.0
"""What is asynchronous may be tried for six hours."""


class Overload(Exception):
    """Nodes have no room for what comes: so many events still wait when everything should be over."""

    def __init__(self, waiting: int) -> None:
        hours = _MAX_DRAIN_S / 3600
        super().__init__(f"{waiting:,} requests still wait for room on a node {hours:g} hours after the last")


class Simulation:
    """One run. `run` may be called once.

    Args:
        workloads: One a function.
        account: The limits they share.
        horizon_s: When observation ends; what has arrived by then is still brought to its end. By
            default the last arrival; infinity = when the last attempt is over.
        sample_every_s: How often levels are written down; 0 = never.
        scalers: Policies by function name that say how many environments to keep; events of such a
            function wait for one.
        keep_alives: Policies by function name that say how long an idle environment lives.
        queues: Messages by function name that reach it through a mapping.
        streams: Records by function name that reach it through a mapping.
        durables: Executions by function name whose invocations it gets.
        cold_start: Where an event runs that found no environment free.
        nodes: What environments are placed on; None: there is room for any number.
        log: Where every command of every fleet is written, as (time, function, command).
    """

    def __init__(
        self,
        workloads: Sequence[Workload],
        account: Account | None = None,
        *,
        horizon_s: float | None = None,
        sample_every_s: float = 0.0,
        scalers: Mapping[str, ScheduledScaling] | None = None,
        keep_alives: Mapping[str, KeepAlive] | None = None,
        queues: Mapping[str, QueueLoad] | None = None,
        durables: Mapping[str, DurableLoad] | None = None,
        streams: Mapping[str, StreamLoad] | None = None,
        cold_start: ColdStartRule = ColdStartRule.FIRST_FREE,
        nodes: NodesLoad | None = None,
        log: Log | None = None,
    ) -> None:
        account = account or Account()
        self._agenda: list[tuple[float, int, TimedCallback, int, int]] = []
        self._order = count()
        self._last_arrival_s = _last(workloads, queues or {}, durables or {}, streams or {})
        self._horizon_s = self._last_arrival_s if horizon_s is None else horizon_s
        dedicated = sum(_dedicated(one.function) for one in workloads)
        self.pool = Pool(account.concurrency_limit - dedicated)
        self.nodes = None if nodes is None else SimulatedNodes(nodes, self.at, self._horizon_s)
        self.functions = [
            SimulatedFunction(
                workload,
                self._pool_of(workload.function, (scalers or {}).get(workload.function.name)),
                scaling_bucket(account.scaling_rate),
                request_bucket(account.requests_per_s(workload.function)),
                at=self.at,
                account_pool=self.pool,
                released=self._released,
                horizon_s=self._horizon_s,
                scaler=(scalers or {}).get(workload.function.name),
                keep_alive=(keep_alives or {}).get(workload.function.name),
                cold_start=cold_start,
                nodes=self.nodes,
                log=log,
            )
            for workload in workloads
        ]
        self._by_fleet = {simulated.fleet: simulated for simulated in self.functions}
        self.mappings = [
            SimulatedMapping(simulated, (queues or {})[simulated.function.name], self.at)
            for simulated in self.functions
            if simulated.function.name in (queues or {})
        ]
        observed_s = self._last_arrival_s if self._horizon_s == math.inf else self._horizon_s
        self.streams = [
            SimulatedStream(simulated, (streams or {})[simulated.function.name], self.at, observed_s)
            for simulated in self.functions
            if simulated.function.name in (streams or {})
        ]
        self.durables = [
            SimulatedExecutions(simulated, (durables or {})[simulated.function.name], self.at)
            for simulated in self.functions
            if simulated.function.name in (durables or {})
        ]
        self._sampler = LevelSampler(self.functions, sample_every_s)
        self._sample_every_s = sample_every_s

    def at(self, when_s: float, what: TimedCallback, a: int = 0, b: int = 0) -> None:
        """Schedule `what(when_s, a, b)` for `when_s`."""
        heapq.heappush(self._agenda, (when_s, next(self._order), what, a, b))

    def run(self) -> Observation:
        """Run to the end, and return what was observed. May be called once.

        Raises:
            Overload: Events wait for room on a node for longer than is followed.
        """
        if self.nodes is not None:
            self.nodes.open(0.0)
        for simulated in self.functions:
            simulated.open(0.0)
        for mapping in self.mappings:
            mapping.open(0.0)
        for stream in self.streams:
            stream.open(0.0)
        for executions in self.durables:
            executions.open(0.0)
        if self._sample_every_s:
            self.at(0.0, self._sample)
        if len(self.functions) == 1 and self.functions[0].is_plain:
            self._run_one(self.functions[0])
        else:
            self._run_all()
        self._drain()
        if self.nodes is not None and self._at_work():
            raise Overload(sum(one.fleet.statistics().waiting for one in self.functions))
        if self._horizon_s == math.inf:
            ends_s = max((one.last_end_s() for one in self.functions), default=0.0)
            self._horizon_s = max(ends_s, self._last_arrival_s)
        seen = self._sampler.observation(self._horizon_s, self.mappings)
        return seen if self.nodes is None else replace(seen, nodes=self.nodes.observation(self._horizon_s))

    # ---------------------------------------------------------------- the two loops

    def _run_one(self, simulated: SimulatedFunction) -> None:
        """All arrivals of the only function: what is hot is spelled out."""
        agenda, pop, push, order = self._agenda, heapq.heappop, heapq.heappush, self._order
        reserve, hold_s, end_callbacks = simulated.fleet.reserve, simulated.hold_s, simulated.end_callbacks
        kinds, started_s, unbilled_inits_s = simulated.kinds, simulated.started_s, simulated.unbilled_inits_s
        for item, now_s in enumerate(simulated.workload.at_s):
            while agenda and agenda[0][0] <= now_s:
                due_s, _, what, a, b = pop(agenda)
                what(due_s, a, b)
            env_id = reserve(now_s)
            if env_id and not unbilled_inits_s:
                started_s[item] = now_s
                push(agenda, (now_s + hold_s[item], next(order), end_callbacks[kinds[item]], env_id, item))
            else:
                simulated.arrive(now_s, item, env_id)

    def _run_all(self) -> None:
        agenda, pop = self._agenda, heapq.heappop
        for now_s, number, item in _merged(self.functions):
            while agenda and agenda[0][0] <= now_s:
                due_s, _, what, a, b = pop(agenda)
                what(due_s, a, b)
            simulated = self.functions[number]
            simulated.arrive(now_s, item, simulated.fleet.reserve(now_s))

    def _drain(self) -> None:
        """The rest, to the end of observation and until nothing is left to do."""
        until_done = self._horizon_s == math.inf
        observed_s = self._last_arrival_s if until_done else self._horizon_s
        longest_s = MAX_EXECUTION_S if self.durables else _MAX_DRAIN_S
        agenda, latest_s = self._agenda, observed_s + longest_s
        while agenda and agenda[0][0] <= latest_s:
            if (until_done or agenda[0][0] > observed_s) and not self._at_work():
                return
            due_s, _, what, a, b = heapq.heappop(agenda)
            what(due_s, a, b)

    def _at_work(self) -> bool:
        if any(one.has_work for one in self.durables) or any(one.has_work for one in self.mappings):
            return True
        return any(one.has_work for one in self.streams) or any(one.has_work for one in self.functions)

    # ---------------------------------------------------------------- the account

    def _released(self, now_s: float) -> None:
        """Concurrency was given back: whoever waits for it may go on."""
        while (fleet := self.pool.next_blocked()) is not None:
            self._by_fleet[cast("Fleet[int]", fleet)].unblock(now_s)

    def _pool_of(self, function: Function, scaler: ScheduledScaling | None) -> Pool:
        """As the engine shares concurrency out: a reservation is a pool of the function's own."""
        if scaler is not None and not scaler.spills:  # nothing but the environments its policy keeps
            return Pool(0, ThrottleReason.FUNCTION_LIMIT)
        if function.reserved_concurrency is None:
            return self.pool
        left = function.reserved_concurrency - function.provisioned_concurrency
        return Pool(left, ThrottleReason.FUNCTION_LIMIT)

    def _sample(self, now_s: float, _a: int, _b: int) -> None:
        self._sampler.sample(now_s)
        if self.nodes is not None:
            self.nodes.sample(now_s)
        if now_s + self._sample_every_s <= self._horizon_s:
            self.at(now_s + self._sample_every_s, self._sample)


def _dedicated(function: Function) -> int:
    reserved = function.reserved_concurrency
    return function.provisioned_concurrency if reserved is None else reserved


def _last(
    workloads: Sequence[Workload],
    queues: Mapping[str, QueueLoad],
    durables: Mapping[str, DurableLoad],
    streams: Mapping[str, StreamLoad],
) -> float:
    arrivals = [one.at_s for one in workloads]
    arrivals += [one.at_s for one in queues.values()]
    arrivals += [one.at_s for one in durables.values()]
    arrivals += [one.at_s for one in streams.values()]
    return max((at_s[-1] for at_s in arrivals if len(at_s)), default=0.0)


def _merged(functions: Sequence[SimulatedFunction]) -> Iterator[tuple[float, int, int]]:
    """All arrivals in order of time; of those at one time, in the order of the functions."""

    def arrivals(number: int, at_s: Sequence[float]) -> Iterator[tuple[float, int, int]]:
        return ((now_s, number, item) for item, now_s in enumerate(at_s))

    return heapq.merge(
        *(arrivals(number, simulated.workload.at_s) for number, simulated in enumerate(functions))
    )
