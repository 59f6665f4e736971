"""Answers by formulas agree with simulations; objectives, advice, months and comparisons say what follows."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from random import Random

import pytest

from engine.core.function import Account, Function
from engine.model.cost.bill import FreeTierChoice, bill
from engine.model.cost.memory_sizes import HandlerRun, ServiceTime, fitted, tuned
from engine.model.cost.monthly import Month, document, what_ifs
from engine.model.cost.price_book import price_book
from engine.model.distributions import Capped, Constant, mean_billed_ms, parse_distribution
from engine.model.queueing import recommendations
from engine.model.queueing.analytic import predict
from engine.model.queueing.comparison import compared, figures, observed_of, worst
from engine.model.queueing.objectives import Objectives, Verdict, overall
from engine.model.queueing.prediction import prediction_of
from engine.model.simulation import fast_simulator
from engine.model.simulation.workload import drawn_workload
from engine.model.traffic.shapes import arrivals, parse_shape

BOOK = price_book("us-east-1")


def function(**keys):
    return Function("f", handler="a.b", **{"timeout_s": 900.0, "keep_alive_s": 60.0, **keys})


def planned(shape, *, service="100", init="300", horizon_s=3600.0, account=None, **keys):
    return predict(
        function(**keys),
        account or Account(),
        parse_shape(shape),
        horizon_s=horizon_s,
        service=parse_distribution(service),
        init=parse_distribution(init),
    )


def simulated(shape, *, service, horizon_s, account=None, **keys):
    rng = Random(1)
    workload = drawn_workload(
        function(**keys),
        arrivals(parse_shape(shape), horizon_s, rng),
        service=parse_distribution(service),
        init=Constant(0.0),
        rng=rng,
    )
    ran = fast_simulator.run(workload, account, horizon_s=horizon_s, compiled=False)
    seen = fast_simulator.observe(workload, ran)
    return prediction_of(seen, horizon_s, method="simulated", error="", peak_per_s=0.0), ran


@pytest.mark.parametrize("service", ["exp:100", "100", "lognormal:80:400"])
def test_formulas_agree_with_a_simulation(service):
    """Concurrency, environments, billed time and the started environments of a steady load."""
    found = planned("50", service=service, horizon_s=1500.0, keep_alive_s=20.0)
    seen, ran = simulated("50", service=service, horizon_s=1500.0, keep_alive_s=20.0)

    assert seen.concurrency == pytest.approx(found.concurrency, rel=0.03)
    assert seen.environments == pytest.approx(found.environments, rel=0.08)
    assert seen.billed_ms == pytest.approx(found.billed_ms, rel=0.03)
    if service == "exp:100":
        assert abs(ran.totals.created - found.created) < 4 * math.sqrt(found.created)


def test_refusals_are_those_of_erlang():
    """At a reservation of 8 under 10 Erlangs."""
    found = planned("100", service="exp:100", reserved_concurrency=8, horizon_s=1000.0)
    seen, _ = simulated("100", service="exp:100", horizon_s=1000.0, reserved_concurrency=8)

    assert seen.throttled_share == pytest.approx(found.throttled_share, rel=0.03)
    assert {"function_limit"} == set(found.refusals)


def test_moving_traffic_is_answered_by_the_fluid_model():
    """With samples to be drawn, and the mean of the shape."""
    found = planned("sine:200:100:3600", horizon_s=7200.0)

    assert "fluid" == found.method
    assert 200 == pytest.approx(found.mean_per_s, rel=1e-3)
    assert {"at_s", "rate_per_s", "in_flight", "environments"} <= set(found.samples)


@pytest.mark.parametrize("text", ["exp:3", "exp:60", "lognormal:20:90", "15.2", "exp:400"])
def test_mean_billed_milliseconds(text):
    """Each invocation is rounded up, then they are averaged."""
    distribution, rng = Capped(parse_distribution(text), 900.0), Random(1)
    drawn = [math.ceil(round(distribution.draw_s(rng) * 1000, 6)) for _ in range(40_000)]

    assert sum(drawn) / len(drawn) == pytest.approx(mean_billed_ms(distribution), rel=0.02)


def test_the_deadline_caps_what_is_billed():
    """Nothing takes longer than the timeout, and what does is never answered well."""
    found = planned("10", service="exp:1000", timeout_s=0.5)

    assert math.inf == found.warm_times.percentiles_s[99.9]
    assert found.warm_times.mean_s < 0.5
    assert found.billed_ms - found.init_ms < 501 * found.requests


def test_an_answer_is_json():
    """Whatever the method."""
    for shape in ("100", "onoff:100:10:10"):
        text = json.dumps(planned(shape).document(), allow_nan=False)

        assert json.loads(text)["requests_per_s"]["mean"] > 0


def test_usage_of_a_month():
    """Requests and GB-seconds of the horizon, times the months in it; provisioned ones stand all month."""
    found = planned("10", horizon_s=86_400.0, provisioned_concurrency=3, memory_mb=1024)
    used = found.usage(30 * 86_400)
    requests = used["lambda.requests"] + used["lambda.requests.provisioned"]

    assert 10 * 86_400 * 30 == pytest.approx(float(requests), rel=1e-4)
    assert Decimal(3 * 30 * 86_400) == used["lambda.provisioned.standing.x86_64"]
    assert used["lambda.requests.provisioned"] > used["lambda.requests"]


# ---------------------------------------------------------------- objectives


@pytest.mark.parametrize(
    ("p99_ms", "verdict"),
    [(200, Verdict.OK), (105, Verdict.AT_RISK), (99, Verdict.FAILS), (None, Verdict.OK)],
)
def test_the_verdict(p99_ms, verdict):
    """Kept with room to spare, kept, not kept."""
    checks = Objectives(p99_ms=p99_ms).checks(planned("100"), None)

    assert verdict is overall(checks)


def test_the_worst_objective_counts():
    """One that fails is enough."""
    checks = Objectives(p99_ms=1000, usd_per_month=1.0).checks(planned("100"), Decimal("2.5"))

    assert [Verdict.OK, Verdict.FAILS] == [check.verdict for check in checks]
    assert Verdict.FAILS is overall(checks)


# ---------------------------------------------------------------- advice


def test_more_traffic_meets_its_limits():
    """100 in flight now: at ten times that, one in a hundred of a thousand is refused."""
    rows = recommendations.scaled(
        function(),
        Account(),
        parse_shape("1000"),
        horizon_s=3600,
        service=parse_distribution("100"),
        init=parse_distribution("300"),
        book=BOOK,
        month_s=30 * 86_400,
    )
    crossing = recommendations.crossing_per_s(function(), Account(), parse_distribution("100"))

    assert [100, 1000, 100_000] == pytest.approx([rows[0].in_flight, rows[2].in_flight, rows[-1].in_flight])
    assert 9712.041 == pytest.approx(crossing, abs=0.01)
    assert rows[0].throttled_share < 1e-9 < rows[2].throttled_share
    assert rows == sorted(rows, key=lambda row: row.usd_per_month)


def test_provisioned_concurrency_for_cost_and_for_cold_starts():
    """10 Erlangs: nine cost least and spill 27 %; 18 spill 1 %, 29 one in a million."""
    found = planned("100", memory_mb=1024, horizon_s=86_400.0)
    rows = recommendations.provisions(
        function(), found, parse_distribution("100"), BOOK, 30 * 86_400, FreeTierChoice.NONE
    )

    assert [0, 9, 18, 29] == [row.environments for row in rows]
    assert 0.2732 == pytest.approx(rows[1].spill_share, abs=1e-4)
    assert min(row.usd_per_month for row in rows) == rows[1].usd_per_month


def test_a_quota_that_is_too_small_is_said():
    """30,000 requests/s of 20 ms: 600 in flight, and yet 3,000 of quota."""
    found = planned("30000", service="20")
    said = recommendations.recommendations(function(), Account(), found, parse_distribution("20"), [])

    assert any("ask for a concurrency of 3,000 or more" in one for one in said)


def test_longer_keep_alive_means_fewer_cold_starts():
    """And more environments."""
    rows = recommendations.keep_alives(function(), planned("1"), parse_distribution("100"))

    assert rows == sorted(rows)
    assert [cold for _, cold, _ in rows] == sorted((cold for _, cold, _ in rows), reverse=True)
    assert [pool for *_, pool in rows] == sorted(pool for *_, pool in rows)


# ---------------------------------------------------------------- months


def test_a_month_of_everything():
    """Each part adds its lines; the sum is exact."""
    month = Month(
        requests=1_000_000,
        duration_ms=100,
        memory_mb=1024,
        cold_starts=1000,
        init_ms=500,
        provisioned=2,
        provisioned_requests=500_000,
        provisioned_ms=90,
        snapstart=True,
        event_kb=300,
        streamed_mb=Decimal(7),
        response_kb=10,
        log_bytes=500,
        front_door="http",
    )
    found = bill(month.usage(), BOOK)

    assert found.usd == sum(line.usd for line in found.lines)
    assert {"lambda.snapstart.cache", "lambda.streaming", "transfer.out", "logs.cloudwatch"} <= {
        line.meter for line in found.lines
    }
    assert Decimal(2_000_000) == month.usage()["lambda.requests"]  # 300 KB count twice
    assert "1500000 requests" not in json.dumps(document(found, 1_500_000))


@pytest.mark.parametrize(("door", "usd"), [("none", "0"), ("url", "0"), ("http", "1.00"), ("rest", "3.50")])
def test_front_doors(door, usd):
    """A million requests."""
    with_it = bill(Month(requests=1_000_000, front_door=door).usage(), BOOK).usd
    without = bill(Month(requests=1_000_000).usage(), BOOK).usd

    assert Decimal(usd) == with_it - without


def test_a_queue_in_front_is_billed_by_calls():
    """Ten million messages in batches of ten: three million calls, or 12 if they are sent one by one.

    An idle one polls all month.
    """
    busy = Month(requests=1_000_000, front_door="sqs", sqs_send_batch=10).usage()
    single = Month(requests=1_000_000, front_door="sqs").usage()
    idle = Month(requests=0, front_door="sqs").usage()

    assert Decimal(3_000_000) == busy["sqs.standard"]
    assert Decimal(12_000_000) == single["sqs.standard"]
    assert Decimal(648_000) == idle["sqs.standard"]


def test_what_if():
    """arm64 is cheaper, the free tier too."""
    usage = Month(requests=10_000_000, memory_mb=1024).usage()
    paid = bill(usage, BOOK).usd
    others = what_ifs(usage, BOOK, FreeTierChoice.NONE)

    assert 2 == len(others)
    assert all(usd < paid for usd in others.values())


# ---------------------------------------------------------------- memory sizes


def test_cpu_and_waiting_from_two_sizes():
    """The fit gives back what made the durations."""
    known = ServiceTime(runs=(HandlerRun(0.5, 0.2),))
    found = fitted(256, known.seconds_at(256)[0], 1024, known.seconds_at(1024)[0])

    assert (0.5, 0.2) == pytest.approx(found)


def test_the_primes_of_aws():
    """Pure CPU: eight times the memory takes an eighth, and costs the same; 11.722 s to 1.465 s."""
    cpu_s = 11.722 * 128 / 1769
    found = tuned(
        ServiceTime(runs=(HandlerRun(cpu_s, 0.0),)), BOOK, sizes_mb=(128, 256, 512, 1024, 1769, 3008)
    )
    by_size = {one.memory_mb: one for one in found.sizes}

    assert [11.722, 5.861, 2.931, 1.465] == pytest.approx(
        [by_size[mb].mean_s for mb in (128, 256, 512, 1024)], abs=0.001
    )
    assert 24.62 == pytest.approx(float(by_size[128].usd_per_million), abs=0.01)
    assert 1769 == found.fastest.memory_mb
    assert by_size[3008].mean_s == by_size[1769].mean_s


def test_pure_waiting_is_cheapest_at_the_smallest_size():
    """More memory buys nothing."""
    found = tuned(ServiceTime(runs=(HandlerRun(0.0, 0.5),)), BOOK)

    assert 128 == found.cheapest.memory_mb == found.fastest.memory_mb == found.balanced.memory_mb


def test_a_size_without_memory_enough_is_no_choice():
    """What was seen, and a tenth more, must have room."""
    found = tuned(ServiceTime(runs=(HandlerRun(0.0, 0.5),), peak_mb=240), BOOK)

    assert 512 == found.cheapest.memory_mb
    with pytest.raises(ValueError, match="no size has room for the 4000 MB"):
        tuned(ServiceTime(runs=(HandlerRun(0.0, 0.5),), peak_mb=4000), BOOK)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [((256, 1.0, 256, 0.5), "two sizes"), ((256, 1.0, 3008, 0.5), "two sizes"), ((128, 1, 256, 2), "longer")],
)
def test_two_runs_that_cannot_be_fitted(sizes, problem):
    """One clear line."""
    with pytest.raises(ValueError, match=problem):
        fitted(*sizes)


# ---------------------------------------------------------------- comparisons


def test_predicted_and_observed_side_by_side():
    """Shares by which the prediction is above; the worst of those that are judged."""
    found = planned("10", horizon_s=100.0)
    predicted = figures(found, 0.5)
    rows = compared(predicted, {"requests": 1000.0, "concurrency": 0.8, "cost_usd": 0.5, "p99_ms": 50.0})

    assert 0.25 == pytest.approx(worst(rows), abs=0.01)
    assert 1.0 == pytest.approx(next(row.difference for row in rows if row.name == "p99_ms"), abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ([], "must be a JSON object"),
        ({"speed": 3}, "speed: no such figure"),
        ({"requests": -1}, "requests: must be a number"),
        ({"requests": "many"}, "requests: must be a number"),
    ],
)
def test_figures_that_are_none(wrong, problem):
    """One clear line."""
    with pytest.raises(ValueError, match=problem):
        observed_of(wrong)
