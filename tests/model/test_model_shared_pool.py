"""Several functions under one account limit: formulas against closed forms and against the live rules."""

from __future__ import annotations

import json
from random import Random

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.core.function import Account, Function
from engine.model.distributions import parse_distribution
from engine.model.queueing.analytic import predict
from engine.model.queueing.formulas import blocking
from engine.model.queueing.planned_load import PlannedLoad
from engine.model.queueing.shared_pool import predict_together
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import ColdStartRule, Trigger, drawn_workload
from engine.model.traffic.shapes import arrivals, parse_shape


def load(
    traffic,
    duration_ms,
    *,
    limit,
    hours=1,
    reserved=None,
    provisioned=0,
    init_ms="0",
    trigger=Trigger.SYNCHRONOUS,
):
    """A function with its traffic, in an account with that limit."""
    function = Function(
        f"f-{traffic}-{duration_ms}".replace(":", "-").replace(".", "-"),
        handler="a.b",
        timeout_s=60,
        reserved_concurrency=reserved,
        provisioned_concurrency=provisioned,
    )
    return PlannedLoad(
        function,
        Account(concurrency_limit=limit, requests_per_concurrency=10),
        parse_shape(traffic),
        hours * 3600,
        parse_distribution(duration_ms),
        parse_distribution(init_ms),
        trigger=trigger,
    )


def simulated(loads, seed):
    """Refused shares of the live rules."""
    rng = Random(seed)
    drawn = [
        drawn_workload(
            one.function,
            arrivals(one.shape, one.horizon_s, rng),
            service=one.service,
            init=one.init,
            rng=rng,
        )
        for one in loads
    ]
    run = Simulation(drawn, loads[0].account, horizon_s=loads[0].horizon_s, cold_start=ColdStartRule.OWN)
    return [seen.throttled_share for seen in run.run().functions]


def refused(loads):
    return [one.throttled_share for one in predict_together(loads).functions]


def test_a_pool_is_full_for_all_that_share_it():
    """Erlang B at the sum of the loads, whatever the laws of the runs; a reservation is cut out."""
    loads = [load("50", "1000", limit=220), load("200", "exp:300", limit=220), load("100", "100", limit=220)]
    loads.append(load("20", "1000", limit=220, reserved=100))
    full = blocking(50 + 60 + 10, 120)

    assert [full, full, full, blocking(20, 100)] == pytest.approx(refused(loads), rel=1e-3)
    together = predict_together(loads)
    assert (220, 100, 120) == (together.limits.limit, together.limits.reserved, together.limits.shared)
    assert 3600 * 370 == pytest.approx(together.requests)
    assert together.throttled_share == pytest.approx(full * 350 / 370, rel=1e-3)


def test_one_function_beside_reservations_has_what_they_leave():
    """As alone in an account of that size; with nobody beside it, as alone."""
    one = load("sine:100:80:3600", "exp:900", limit=250)
    other = load("10", "1000", limit=250, reserved=100)
    alone = predict(
        one.function,
        Account(concurrency_limit=150, requests_per_concurrency=10),
        one.shape,
        horizon_s=3600,
        service=one.service,
        init=one.init,
    )

    assert alone.throttled_share == refused([one, other])[0] > 0.005


def test_the_rate_of_requests_is_shared():
    """10 a second for each of 100 units: half of 2,000 go, of all alike; events are not refused by rate."""
    loads = [load("500", "1", limit=100), load("1500", "2", limit=100)]
    event = load("300", "1", limit=100, trigger=Trigger.ASYNCHRONOUS)

    assert [0.5, 0.5, 0] == pytest.approx(refused([*loads, event]), abs=1e-6)


def test_provisioned_concurrency_is_its_owners():
    """The other function finds that much less; the owner asks the pool for what spills over."""
    owner, other = load("60", "1000", limit=200, provisioned=80), load("100", "1000", limit=200)
    by_owner, by_other = refused([owner, other])
    full = blocking(100 + 60 * blocking(60, 80), 120)

    assert by_other == pytest.approx(full, rel=1e-3)
    assert by_owner == pytest.approx(blocking(60, 80) * full, rel=1e-3)


@pytest.mark.parametrize(
    ("traffic", "points"),
    [
        ((("12", "exp:3000"), ("18", "4000")), 1.5),
        ((("onoff:90:60:60", "1000"), ("sine:30:25:120", "1000")), 2),
        ((("spike:5:500:100:20", "500"), ("60", "lognormal:500:3000")), 3),
    ],
)
def test_refusals_are_those_of_the_live_rules(traffic, points):
    """Percentage points, of each function; the second half of `onoff` meets the first in every cycle."""
    loads = [load(*one, limit=100, hours=1 / 9) for one in traffic]
    seen = simulated(loads, 5)

    assert [100 * one for one in seen] == pytest.approx([100 * one for one in refused(loads)], abs=points)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"reserved": 950}, "reservations of 950 leave 50 of 1,000 unreserved: AWS keeps 100 of it so"),
        ({"provisioned": 950}, "provisioned concurrency of 950 leaves 50 of the 1,000"),
    ],
)
def test_what_an_account_has_not_is_refused(words, problem):
    """A hundred stay for functions without a reservation."""
    with pytest.raises(ValueError, match=problem):
        predict_together([load("10", "100", limit=1000, **words), load("10", "100", limit=1000)])


def test_cycles_that_are_too_many_are_refused():
    """No sum is cut short in silence."""
    loads = [
        load("onoff:10:1:1", "100", limit=1000, hours=24),
        load("step:5:9:40", "100", limit=1000, hours=24),
    ]

    with pytest.raises(ValueError, match="too many cycles in 24 h"):
        predict_together(loads)


def command(*words):
    return CliRunner().invoke(main, ["plan", *words])


def test_plan_answers_for_each_function_and_in_sum():
    """A small reservation fails by itself, and the account with it; the bill is of all."""
    words = ("--traffic", "20", "--duration-ms", "500", "--function", "web", "--throttles", "1", "--json")
    pay = "pay --traffic 30 --duration-ms 1000 --memory-mb 512 --reserved"
    done = command(*words, "--beside", f"{pay} 20", "--beside", "rare --traffic 0.1")
    found = json.loads(done.stdout)

    assert 3 == done.exit_code
    assert ["fails", "ok", "fails", "ok"] == [
        found["verdict"],
        *(found["functions"][name]["verdict"] for name in ("web", "pay", "rare")),
    ]
    assert blocking(30, 20) == pytest.approx(found["functions"]["pay"]["throttles"]["share"], rel=1e-3)
    assert found["throttles"]["share"] == pytest.approx(blocking(30, 20) * 30 / 50.1, rel=1e-3)
    assert {"concurrency_limit": 1000, "reserved": 20, "unreserved": 980, "shared": 980} == {
        name: found["account"][name] for name in ("concurrency_limit", "reserved", "unreserved", "shared")
    }
    alone = sum(float(one["usd_per_month"]) for one in found["functions"].values())
    assert alone == pytest.approx(float(found["cost"]["usd"]))
    kept = command(*words, "--beside", f"{pay} 50", "--beside", "rare --traffic 0.1")
    assert (0, "ok") == (kept.exit_code, json.loads(kept.stdout)["verdict"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--beside", "pay"), "error: --beside 'pay': Missing option '--traffic'."),
        (("--beside", "pay --traffic 1 --hours 2"), "error: --beside 'pay --traffic 1 --hours 2': No such"),
        (("--beside", "pay --traffic x"), "error: --beside 'pay --traffic x': Invalid value"),
        (("--beside", "function --traffic 1"), "error: --beside: two functions of one name"),
        (("--beside", "pay --traffic 1 --reserved 950"), "error: reservations of 950 leave 50 of 1,000"),
        (("--beside", "pay --traffic 1", "--find", "reserved"), "error: --find: would change nothing"),
        (("--beside", "pay --traffic 1", "--at-once", "2"), "error: --at-once: would change nothing"),
        (("--beside", "pay --traffic 1", "--plan-years", "3"), "error: --plan-years: would change nothing"),
        (("--beside", "pay --traffic '1"), 'error: --beside "pay --traffic \'1": No closing quotation'),
    ],
)
def test_functions_that_cannot_be_planned_together_are_one_line(words, problem):
    """And exit code 2."""
    done = command("--traffic", "1", *words)
    (line,) = done.stderr.splitlines()

    assert 2 == done.exit_code
    assert line.startswith(problem)
