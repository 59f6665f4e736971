"""The live dispatcher on virtual time and the simulator take identical decisions on the same arrivals."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Engine, Function
from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.core.fleet import Refuse, Run, Start, Stop
from engine.core.function import Account
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.model.distributions import Constant, Exponential
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import (
    FAILS,
    AttemptEnding,
    SimulatedOutcome,
    Workload,
    poisson_workload,
)
from engine.testing import Act, ScriptedExecutor, VirtualTimeLoop, virtual_platform

RESULTS = {
    AttemptEnding.SUCCESS: Result(Status.SUCCESS, b"1"),
    AttemptEnding.ERROR: Result(Status.ERROR, b"{}"),
    AttemptEnding.CRASH: Result(Status.CRASH, b"{}", error_type="Runtime.ExitError"),
}


def horizon_s(workloads):
    """Long enough after the last arrival for everything to come to rest."""
    return 200 + max((one.at_s[-1] for one in workloads if one.at_s), default=0.0)


def simulated(workloads, account):
    """Commands by function in order, and what became of each event."""
    log = []
    simulation = Simulation(workloads, account, horizon_s=horizon_s(workloads), log=log)
    simulation.run()
    commands = {one.function.name: [] for one in workloads}
    stops = {one.function.name: Counter() for one in workloads}
    for _, name, command in log:
        match command:
            case Start(env_id, _):
                commands[name].append(f"start {env_id}")
            case Run(env_id, item, _):
                commands[name].append(f"run {env_id} {name}-{item}")
            case Stop(env_id):
                stops[name][env_id] += 1
    refused = [
        (f"{name}-{command.item}", command.refusal.value)
        for _, name, command in log
        if isinstance(command, Refuse)
    ]
    seen_outcomes = {
        f"{simulated.function.name}-{item}": _simulated_outcome(simulated, item)
        for simulated in simulation.functions
        for item in range(len(simulated.at_s))
    }
    return commands, refused, seen_outcomes, {name: set(one) for name, one in stops.items()}


def _simulated_outcome(simulated, item):
    outcome = SimulatedOutcome(simulated.outcomes[item])
    if outcome is SimulatedOutcome.THROTTLED:
        return "throttled", False, None
    if outcome is SimulatedOutcome.INIT_FAILED:
        return "init_error", True, None
    ending = simulated.cut_short[item][0] if item in simulated.cut_short else simulated.kinds[item]
    status = ("success", "error", "crash", "timeout")[ending]
    init_s = simulated.inits_s.get(item)
    return status, outcome is SimulatedOutcome.COLD, None if init_s is None else round(init_s, 6)


async def live(workloads, account):
    """The same of an engine with a scripted executor."""
    executors = {}
    by_id = {}
    for one in workloads:
        endings = one.endings or [AttemptEnding.SUCCESS] * len(one.at_s)
        for item, takes_s in enumerate(one.service_s):
            act = Act(takes_s=takes_s, result=RESULTS[endings[item]])
            by_id[f"{one.function.name}-{item}"] = act

    def executor(function, facts, workshop):
        (inits_s,) = (one.inits_s for one in workloads if one.function.name == function.name)

        def init(number):
            init_s = inits_s[(number - 1) % len(inits_s)]
            return InitFailure("OSError", "no table") if init_s == FAILS else init_s

        made = ScriptedExecutor(
            facts=facts, loop=workshop.loop, act=lambda one: by_id[one.event.request_id], init=init
        )
        executors[function.name] = made
        return made

    loop = asyncio.get_running_loop()
    outcomes = {}
    Refusals.noted = refused = []
    engine = Engine(
        [one.function for one in workloads],
        platform=virtual_platform(),
        executor=executor,
        observers=[f"{__name__}:Refusals"],
        concurrency_limit=account.concurrency_limit,
        scaling_rate=account.scaling_rate,
        requests_per_concurrency=account.requests_per_concurrency,
    )
    async with engine:
        began_s = loop.time()

        def submit(name, request_id):
            event = Event(name, b"null", request_id, loop.time())
            engine.sink.submit(event, lambda outcome: outcomes.__setitem__(request_id, outcome))

        for one in workloads:
            for item, at_s in enumerate(one.at_s):
                name = one.function.name
                loop.call_at(began_s + at_s, submit, name, f"{name}-{item}")
        await asyncio.sleep(began_s + horizon_s(workloads) - loop.time())
        stops = {name: _stops(one) for name, one in executors.items()}
    commands = {
        name: [text for text in one.commands if not text.startswith("stop")]
        for name, one in executors.items()
    }
    seen_outcomes = {request_id: _outcome(outcome) for request_id, outcome in outcomes.items()}
    return commands, refused, seen_outcomes, stops


class Refusals:
    """An observer that notes refusals in their order."""

    noted: ClassVar[list[tuple[str, str]]] = []

    @classmethod
    def build(cls, _account, _clock):
        return cls()

    def began(self, invocation):
        pass

    def ended(self, invocation, outcome, error_type):
        pass

    def refused(self, event, _outcome, reason):
        self.noted.append((event.request_id, reason))

    def noticed(self, notice):
        pass


def _stops(executor):
    return {int(text.split()[1]) for text in executor.commands if text.startswith("stop")}


def _outcome(outcome):
    if outcome.status is Status.THROTTLED:
        return "throttled", False, None
    if outcome.status is Status.INIT_ERROR:
        return "init_error", True, None
    return (
        outcome.status.value,
        outcome.cold_start,
        None if outcome.init_s is None else round(outcome.init_s, 6),
    )


async def both(workloads, account):
    """Assert that they agree; returns what they agree on."""
    expected = await live(workloads, account)
    actual = simulated(workloads, account)

    assert expected[0] == actual[0]
    assert expected[1] == actual[1]
    assert expected[2] == actual[2]
    assert all(actual[3][name] <= expected[3][name] for name in expected[3])  # a deadline stops one more
    return actual


def function(name="f", **keys):
    return Function(name, handler="handlers.hello.handler", **{"timeout_s": 3.0, "keep_alive_s": 1.0, **keys})


def drawn(seed, one, *, rate_per_s=20.0, n_s=25.0, mean_s=0.3, inits=None, **shares):
    rng = Random(seed)
    made = poisson_workload(
        one,
        rate_per_s=rate_per_s,
        horizon_s=n_s,
        service=Exponential(mean_s),
        init=Exponential(0.4) if inits is None else Constant(0.1),
        rng=rng,
        **shares,
    )
    if inits is None:
        return made
    return Workload(
        function=one, at_s=made.at_s, service_s=made.service_s, endings=made.endings, inits_s=inits
    )


@pytest.mark.parametrize("seed", range(6))
async def test_cold_and_warm_starts(seed):
    """Plain Poisson load on one function, keep-alive of a second."""
    workload = drawn(seed, function())
    commands, refused, seen_outcomes, _ = await both([workload], Account())

    assert [] == refused
    assert {"success"} <= {status for status, *_ in seen_outcomes.values()}
    assert 20 < sum("start" in text for text in commands["f"])
    assert any(cold for _, cold, _ in seen_outcomes.values())


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_deadlines_and_errors(seed):
    """Every way in which an invocation can end."""
    one = function(timeout_s=0.8)
    inits = [0.2, 0.5, FAILS, 0.1, 11.0, 0.3]
    workload = drawn(seed, one, inits=inits, crash_share=0.05, error_share=0.1)
    _, _, seen_outcomes, _ = await both([workload], Account())

    assert {"success", "error", "crash", "timeout", "init_error"} == {
        status for status, *_ in seen_outcomes.values()
    }


@pytest.mark.parametrize("seed", range(6))
async def test_throttles_of_every_kind(seed):
    """A reservation, a crowded account, a slow scaling rate."""
    workloads = [
        drawn(seed, function("reserved", reserved_concurrency=3)),
        drawn(seed + 1000, function("shared"), rate_per_s=30),
        drawn(seed + 2000, function("other"), rate_per_s=30, mean_s=0.2),
    ]
    _, refused, _, _ = await both(workloads, Account(concurrency_limit=15, scaling_rate=8))

    assert {"function_limit", "account_limit", "scale_rate"} == {reason for _, reason in refused}


@pytest.mark.parametrize("seed", range(6))
async def test_waiting_for_limits(seed):
    """`overflow = "queue"`, with queues that overflow and events that wait too long."""
    keys = {"overflow": "queue", "queue_limit": 5, "timeout_s": 1.0}
    workloads = [
        drawn(seed, function("a", **keys), rate_per_s=30),
        drawn(seed + 1000, function("b", **keys), rate_per_s=10),
    ]
    _, refused, _, _ = await both(workloads, Account(concurrency_limit=8, scaling_rate=5))

    assert "queue_full" in {reason for _, reason in refused}


@pytest.mark.parametrize("seed", range(6))
async def test_provisioned_and_shared_environments(seed):
    """Provisioned ones are used first and replaced when they die; shared ones take several at a time."""
    workloads = [
        drawn(seed, function("ready", provisioned_concurrency=4), crash_share=0.02),
        drawn(seed + 1000, function("shared", environment_concurrency=3), crash_share=0.02, error_share=0.1),
    ]
    await both(workloads, Account())


async def test_the_request_rate():
    """Ten requests a second for each unit of concurrency."""
    workload = drawn(5, function(reserved_concurrency=3), rate_per_s=60, mean_s=0.01)
    _, refused, _, _ = await both([workload], Account(requests_per_concurrency=10))

    assert {"reserved_request_rate"} <= {reason for _, reason in refused}


async def test_ten_thousand_events_of_three_functions():
    """All of it together, for long."""
    workloads = [
        drawn(1, function("a", reserved_concurrency=20), rate_per_s=40, n_s=100, crash_share=0.01),
        drawn(2, function("b", timeout_s=1.0), rate_per_s=40, n_s=100, error_share=0.01),
        drawn(3, function("c", provisioned_concurrency=3), rate_per_s=30, n_s=100, inits=[0.1, FAILS, 0.4]),
    ]
    _, refused, seen_outcomes, _ = await both(workloads, Account(concurrency_limit=45, scaling_rate=50))

    assert len(seen_outcomes) > 10_000
    assert len(refused) > 100


KEYS = st.fixed_dictionaries(
    {
        "environment_concurrency": st.integers(1, 3),
        "overflow": st.sampled_from(["throttle", "queue"]),
        "queue_limit": st.integers(1, 10),
        "reserved_concurrency": st.sampled_from([None, None, 1, 3]),
        "timeout_s": st.sampled_from([0.5, 3.0]),
        "keep_alive_s": st.sampled_from([0.5, 20.0]),
        "provisioned_concurrency": st.sampled_from([0, 0, 1]),
    }
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    keys=st.tuples(KEYS, KEYS),
    concurrency=st.integers(110, 115),
    scaling=st.sampled_from([0, 5, 50]),
)
def test_any_limits(seed, keys, concurrency, scaling):
    """Whatever the configuration allows."""
    workloads = [
        drawn(
            seed + number,
            function(name, **one),
            rate_per_s=15,
            n_s=10,
            inits=[0.3, 0.1, FAILS, 1.7],
            crash_share=0.05,
            error_share=0.1,
        )
        for number, (name, one) in enumerate(zip("ab", keys, strict=True))
    ]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(both(workloads, Account(concurrency_limit=concurrency, scaling_rate=scaling)))
