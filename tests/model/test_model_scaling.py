"""Queues with mappings, retries, and every scaling and keep-alive policy, in simulation."""

from __future__ import annotations

from random import Random

import pytest

from engine.core.function import Account, Function
from engine.core.scaling.environments import Deadline, Knative, TargetTracking
from engine.core.scaling.pollers import ProvisionedPollers, SqsPollers
from engine.model.cost.price_book import price_book
from engine.model.distributions import Constant, Exponential, log_normal
from engine.model.queueing.ramps import backlog
from engine.model.simulation import fast_simulator
from engine.model.simulation.keep_alive_policies import FixedKeepAlive, HybridHistogram
from engine.model.simulation.policies import SimulatedPolicy, all_policies, compare
from engine.model.simulation.scheduled_scaling import ScheduledScaling
from engine.model.simulation.simulated_mapping import QueueLoad
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import (
    AttemptEnding,
    Trigger,
    Workload,
    drawn_workload,
    poisson_workload,
)
from engine.model.traffic.shapes import arrivals, parse_shape


def function(**keys):
    return Function("f", handler="a.b", **{"timeout_s": 30.0, **keys})


def mapped(load, account=None, **keys):
    """What a queue does to a function; the mapping makes all of its events."""
    workload = Workload(function=function(**keys), at_s=[], service_s=[], inits_s=[0.0])
    simulation = Simulation([workload], account, queues={"f": load})
    return simulation.run().functions[0]


# ---------------------------------------------------------------- queues


@pytest.mark.parametrize(
    ("policy", "first", "growth_per_s"),
    [(SqsPollers(), 5, 5.0), (ProvisionedPollers(), 20, 1000 / 60)],
    ids=["standard", "provisioned"],
)
def test_the_backlog_of_a_ramp(policy, first, growth_per_s):
    """1,000 messages/s in batches of 10 that take 2 s: pollers grow, the backlog peaks as the form says."""
    expected = backlog(1000, 10, 2.0, pollers=first, growth_per_s=growth_per_s)
    load = QueueLoad(at_s=[number / 1000 for number in range(80_000)], batch_s=[2.0], policy=policy)
    seen = mapped(load, reserved_concurrency=1000)

    assert expected.refused == pytest.approx(seen.backlog_peak, rel=0.04)
    assert 80_000 == seen.queue_ages.count


def test_a_message_that_was_refused_comes_again():
    """After the visibility timeout, until it is done."""
    load = QueueLoad(at_s=[0.0] * 100, batch_s=[1.0], batch_size=10, visibility_s=5.0)
    seen = mapped(load, reserved_concurrency=1)

    assert 100 == seen.queue_ages.count
    assert 0 < seen.throttled
    assert 0 == seen.dead_letters


def test_a_message_that_always_fails_goes_to_the_dead_letter_queue():
    """After as many deliveries as it may have."""
    load = QueueLoad(at_s=[0.0] * 20, batch_s=[40.0], visibility_s=60.0, max_receives=3)
    seen = mapped(load)

    assert 20 == seen.dead_letters
    assert 0 == seen.queue_ages.count
    assert seen.ran == seen.timeouts


def test_a_batching_window_fills_batches():
    """A message a second and a window of ten: one invocation for ten messages."""
    at_s = [float(number) for number in range(100)]
    waiting = mapped(QueueLoad(at_s=at_s, batch_s=[0.1], window_s=10.0))
    hasty = mapped(QueueLoad(at_s=at_s, batch_s=[0.1]))

    assert 100 == hasty.arrivals
    assert 9 <= waiting.arrivals <= 11
    assert waiting.queue_ages.percentiles_s[100.0] <= 10.2


# ---------------------------------------------------------------- asynchronous events


def test_a_failed_event_is_tried_three_times():
    """At once, after a minute, after two more; then it is given up."""
    workload = Workload(
        function=function(),
        at_s=[0.0, 1.0],
        service_s=[0.1, 0.1],
        endings=[AttemptEnding.ERROR, AttemptEnding.SUCCESS],
        trigger=Trigger.ASYNCHRONOUS,
    )
    simulation = Simulation([workload])
    (seen,) = simulation.run().functions
    (simulated,) = simulation.functions

    assert (2, 1) == (seen.retries, seen.dropped)
    assert 180 == pytest.approx(simulated.started_s[0], abs=1)


def test_a_throttled_event_backs_off_until_there_is_room():
    """Nothing is lost; its attempts come a second apart, then two, four, ..."""
    one = function(reserved_concurrency=1)
    workload = Workload(function=one, at_s=[0.0] * 5, service_s=[10.0] * 5, trigger=Trigger.ASYNCHRONOUS)
    (seen,) = Simulation([workload]).run().functions

    assert (5, 0, 0) == (seen.ran, seen.throttled, seen.dropped)
    assert seen.retries >= 10


# ---------------------------------------------------------------- policies

BURSTS = drawn_workload(
    function(keep_alive_s=300.0),
    arrivals(parse_shape("onoff:20:60:240"), 1200.0, Random(1)),
    service=log_normal(0.2, 1.0),
    init=log_normal(0.5, 2.0),
    rng=Random(1),
)


@pytest.mark.parametrize(
    "policy",
    [Knative(target=0.7), TargetTracking(), Deadline(deadline_s=1.0)],
    ids=["knative", "target", "deadline"],
)
@pytest.mark.parametrize("spills", [False, True])
def test_every_event_is_brought_to_its_end(policy, spills):
    """Whatever says how many environments there are; what a policy lets go is gone."""
    scaler = ScheduledScaling(policy, 1.0, spills=spills)
    simulation = Simulation([BURSTS], scalers={"f": scaler}, horizon_s=1200.0)
    (seen,) = simulation.run().functions
    (simulated,) = simulation.functions

    assert len(BURSTS.at_s) == seen.ran + seen.throttled + seen.failed_inits
    assert 0 == simulated.fleet.statistics().in_flight
    if not spills:
        assert seen.environment_s < 40 * 1200


def test_policies_are_compared_on_the_same_events():
    """All of them; the one that knows the deadline is on the front, with the fewest environments."""
    rows = compare(
        BURSTS,
        Account(),
        price_book("us-east-1"),
        horizon_s=1200.0,
        policies=all_policies(1.0, 1200.0),
    )
    by_name = {row.policy: row for row in rows}
    ours, aws = by_name["deadline (ours)"], by_name["lambda"]

    assert 9 == len(rows)
    assert ours.efficient
    assert ours.environment_s < 0.5 * aws.environment_s
    assert ours.p99_s < 1.2 * aws.p99_s
    assert by_name["fixed 10 s"].cold_share > by_name["fixed 1200 s"].cold_share
    assert by_name["fixed 10 s"].environment_s < by_name["fixed 1200 s"].environment_s


def test_longer_keep_alive_is_never_on_the_front_for_nothing():
    """A policy is efficient if no other has both a lower p99 and fewer environment-seconds."""
    twins = [SimulatedPolicy(name="a", keep_alive_s=60), SimulatedPolicy(name="b", keep_alive_s=60)]
    rows = compare(BURSTS, Account(), price_book("us-east-1"), horizon_s=1200.0, policies=twins)

    assert [True, True] == [row.efficient for row in rows]


def test_a_fixed_keep_alive_policy_is_the_fleets_own():
    """The same cold starts, by another way."""
    workload = poisson_workload(
        function(keep_alive_s=5.0),
        rate_per_s=0.3,
        horizon_s=5000,
        service=Exponential(0.2),
        init=Constant(0.1),
        rng=Random(1),
    )
    simulation = Simulation([workload], keep_alives={"f": FixedKeepAlive(5.0)})
    (seen,) = simulation.run().functions
    ran = fast_simulator.run(workload, compiled=False)

    assert ran.totals.created == pytest.approx(seen.created, abs=2)


def test_the_histogram_learns_when_an_application_is_called():
    """Called every ten minutes: an environment goes soon, and is back in time."""
    at_s = [600.0 * number for number in range(200)]
    workload = Workload(function=function(), at_s=at_s, service_s=[0.1] * 200, inits_s=[0.5])
    policy = HybridHistogram(fixed_s=60.0)
    (seen,) = Simulation([workload], keep_alives={"f": policy}).run().functions
    (fixed,) = Simulation([workload], keep_alives={"f": FixedKeepAlive(60.0)}).run().functions

    assert 200 == fixed.cold
    assert seen.cold < 20
    assert seen.environment_s < 0.5 * at_s[-1]


def test_a_keep_alive_policy_is_for_environments_of_one_event():
    """Elsewhere it would have nothing to say."""
    workload = Workload(function=function(environment_concurrency=2), at_s=[0.0], service_s=[1.0])

    with pytest.raises(ValueError, match="f: a keep-alive policy is for on-demand environments"):
        Simulation([workload], keep_alives={"f": FixedKeepAlive(1.0)})


# ---------------------------------------------------------------- SimFaaS, transient


def test_the_transient_run_of_simfaas():
    """3 running and 5 idle at first, 300 s at 0.9/s, 1,000 times over: P(cold) = .00041845."""
    rng, cold, came = Random(1), 0, 0
    one = function(provisioned_concurrency=8, timeout_s=900.0, keep_alive_s=600.0)
    for _ in range(600):
        at_s = [0.0, 0.0, 0.0, *arrivals(parse_shape("0.9"), 300.0, rng)]
        service_s = [rng.expovariate(1 / 2.016) for _ in at_s]
        workload = Workload(function=one, at_s=at_s, service_s=service_s, inits_s=[0.0])
        cold += fast_simulator.run(workload, compiled=False).totals.created - 8
        came += len(at_s) - 3

    assert 0.00041845 == pytest.approx(cold / came, rel=0.3)
