"""One backlog of a queue: when it is drained and what it costs, by `plan`, by `simulate`, by the referee."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.core.function import Account, Function
from engine.core.scaling.pollers import ProvisionedPollers, SqsPollers
from engine.model.cost.usage import provisioned_pollers
from engine.model.distributions import Capped, Constant
from engine.model.queueing.backlog import Backlog, drain


def answered(command, words):
    """The document of a command."""
    done = CliRunner().invoke(main, [command, *words.split(), "--json"], catch_exceptions=False)

    assert 0 == done.exit_code, done.output
    return json.loads(done.stdout)


def usd(found, *meters):
    """The part of the bill that these meters are."""
    return sum(float(line["usd"]) for line in found["cost"]["lines"] if line["meter"].startswith(meters))


def quantity(found, meter):
    return sum(float(line["quantity"]) for line in found["cost"]["lines"] if line["meter"] == meter)


# ---------------------------------------------------------------- plan, against the referee


@pytest.mark.parametrize(
    ("words", "invocations", "drained_s", "peak", "lambda_usd", "sqs_usd"),
    [
        ("1M --duration-ms 200 --memory-mb 512", 100_000, (87.39, 89.51), 447, 0.1867, 0.48),
        (
            "1M --duration-ms 200 --memory-mb 512 --sqs-send-batch 10",
            100_000,
            (88.45, 88.7),
            447,
            0.1867,
            0.12,
        ),
        ("200k --duration-ms 1000 --memory-mb 1024", 20_000, (88.45, 89.05), 447, 0.337334, 0.096),
        ("5M --duration-ms 1000 --memory-mb 512", 500_000, (599.0, 599.65), 1000, 4.266675, 2.40),
        ("50k --sqs-batch 1 --duration-ms 50", 50_000, (30.64, 31.0), 158, 0.015208, 0.06),
        (
            "300k --sqs-batch 100 --duration-ms 3000 --timeout-s 9 --memory-mb 2048",
            3000,
            (59.0, 60.65),
            292,
            0.300601,
            0.144,
        ),
        ("10k --duration-ms 30000 --timeout-s 60", 1000, (123.9, 124.1), 475, None, 0.0048),
        ("10k --duration-ms 30000 --timeout-s 60 --maximum-concurrency 50", 1000, (600, 612), 50, None, None),
    ],
)
def test_when_a_backlog_is_drained_and_what_it_costs(
    words, invocations, drained_s, peak, lambda_usd, sqs_usd
):
    """In whole runs: a little later than by the closed form. Inits apart, the bill is exact."""
    found = answered("plan", f"--backlog {words} --init-ms 0")

    assert invocations == found["invocations"]
    assert drained_s[0] <= found["drained_s"] <= drained_s[1]
    assert peak == pytest.approx(found["concurrency"]["peak"], abs=3)
    if lambda_usd is not None:
        assert lambda_usd == pytest.approx(usd(found, "lambda"), rel=1e-3)
    if sqs_usd is not None:
        assert sqs_usd == pytest.approx(usd(found, "sqs"))


def test_a_backlog_with_inits_and_with_steps():
    """447 inits of 300 ms; and 122 s if AWS adds pollers once a minute."""
    found = answered("plan", "--backlog 1M --duration-ms 200 --memory-mb 512")

    assert 226 == pytest.approx(found["concurrency"]["mean"], abs=1)
    assert 0.188 == pytest.approx(usd(found, "lambda"), rel=3e-3)
    assert 10_000 + 67 == pytest.approx(found["gb_seconds"], abs=1)
    assert 122.3 == pytest.approx(found["drained_s_if"]["pollers are added once a minute"], abs=0.5)


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        ("10M --sqs-send-batch 10", 3_000_000),
        ("10M", 12_000_000),
        ("1M --sqs-batch 1", 3_000_000),
        ("1M --sqs-batch 5", 1_400_000),
        ("1M --sqs-send-batch 3", 533_334),
        ("3M --sqs-batch 100 --sqs-send-batch 10", 900_000),
    ],
)
def test_every_call_of_the_queue_is_in_the_bill(words, calls):
    """Sends, and receives and deletes of up to ten."""
    assert calls == quantity(answered("plan", f"--backlog {words}"), "sqs.standard")


@pytest.mark.parametrize("seed", range(8))
def test_drains_follow_the_closed_form(seed):
    """t = (sqrt(c^2 + 2 r W) - c) / r up to the maximum, then W / c: later by a run, and by a step."""
    rng = Random(seed)
    service_s, most = rng.choice([0.05, 0.3, 1.0]), rng.choice([50, 400, 1000])
    policy, first, per_s = rng.choice(
        [
            (SqsPollers(maximum_concurrency=most), 5, 5.0),
            (ProvisionedPollers(minimum_pollers=3, maximum_pollers=most // 10), 30, 1000 / 60),
        ]
    )
    batches = rng.randrange(2_000, 200_000)
    work_s, ramp_s = batches * service_s, (most**2 - first**2) / 2 / per_s
    if work_s <= ramp_s:
        expected_s = (math.sqrt(first**2 + 2 * per_s * work_s) - first) / per_s
    else:
        expected_s = (most - first) / per_s + (work_s - ramp_s) / most
    found = drain(
        Backlog(
            function=Function("f", handler="a.b"),
            account=Account(),
            messages=batches * 10,
            policy=policy,
            service=Capped(Constant(service_s), 3.0),
            init=Constant(0.0),
        )
    )

    assert expected_s <= found.drained_s <= expected_s + service_s + 0.3


def test_provisioned_pollers_are_paid_by_the_second():
    """Each from when it is added, a minute at least; those that are taken away end."""
    assert {"lambda.poller.sqs": 260 / 3600} == {
        name: pytest.approx(float(value))
        for name, value in provisioned_pollers([(0.0, 20), (90.0, 21), (99.0, 20)], 100.0).items()
    }
    assert {} == provisioned_pollers([], 100.0)


# ---------------------------------------------------------------- plan and simulate


@pytest.mark.parametrize(
    "words",
    [
        "60k --sqs-batch 100 --duration-ms 3000 --timeout-s 9 --memory-mb 2048",
        "10k --duration-ms 30000 --timeout-s 60",
        "10k --duration-ms 30000 --timeout-s 60 --maximum-concurrency 50",
        "20k --duration-ms 200 --maximum-concurrency 20",
        "20k --duration-ms 1000 --provisioned-pollers 5:100",
        "20k --duration-ms 1000 --reserved 20 --maximum-concurrency 20",
        "20k --duration-ms exp:300 --timeout-s 20",
        "20k --duration-ms lognormal:500:5000 --timeout-s 60",
        "37 --duration-ms 200",
    ],
)
def test_plan_and_simulate_agree(words):
    """Within the error that plan states: 2 % and 2 s, and with a law one of its longest runs."""
    planned = answered("plan", f"--backlog {words}")
    played = answered("simulate", f"--backlog {words}")
    longest_s = 5.0 if "lognormal" in words else 1.4 if "exp" in words else 0.0

    assert planned["invocations"] == played["requests"]
    assert planned["drained_s"] == pytest.approx(played["drained_s"], rel=0.02, abs=2 + longest_s)
    assert played["drained_s"] == pytest.approx(played["horizon_s"])
    assert planned["concurrency"]["peak"] == pytest.approx(played["concurrency"]["peak"], rel=0.02, abs=10)
    assert float(planned["cost"]["usd"]) == pytest.approx(float(played["cost"]["usd"]), rel=0.02)
    assert "run" == played["cost"]["of"]


def test_plan_and_simulate_agree_while_messages_come():
    """Until for the first time nothing waits; the simulation goes on."""
    words = "--backlog 10k --duration-ms 200 --traffic 300 --maximum-concurrency 20"
    planned, played = answered("plan", words), answered("simulate", f"{words} --seconds 30")

    assert planned["drained_s"] == pytest.approx(played["drained_s"], rel=0.02, abs=2)
    assert 30 == played["horizon_s"]


def test_a_batch_that_is_refused_is_tried_again_soon():
    """Not only after the visibility timeout: a reservation below what the mapping may have costs little."""
    planned, played = (
        answered(one, "--backlog 6k --duration-ms 500 --reserved 5") for one in ("plan", "simulate")
    )

    assert 0 < played["throttles"]["share"]
    assert planned["drained_s"] <= played["drained_s"] <= 1.25 * planned["drained_s"]
    assert any("may come to 1,250 batches where 5 may run" in one for one in planned["to_check"])


def test_provisioned_pollers_are_in_both_bills():
    """And the calls that one can make are named."""
    words = "--backlog 20k --duration-ms 200 --provisioned-pollers 5:100"
    planned, played = answered("plan", words), answered("simulate", words)

    paid = [quantity(one, "lambda.poller.sqs") for one in (planned, played)]

    assert paid[0] == pytest.approx(paid[1], abs=2 / 60)  # a minute of two pollers
    assert 5 / 60 < paid[0]
    assert planned["drained_s"] < planned["drained_s_if"]["a poller's 10 receives/s bind"]


def test_the_fewest_pollers_stand_all_month():
    """Two for 720 hours; without a backlog there is no drain to tell of."""
    words = "--traffic 5 --seconds 60 --sqs-batch 5 --provisioned-pollers 2:10"
    found = answered("simulate", words)

    assert 1440 == pytest.approx(quantity(found, "lambda.poller.sqs"))
    assert "drained_s" not in found


def test_a_backlog_that_is_never_drained_says_so():
    """All of it fails: there is no moment."""
    found = answered("simulate", "--backlog 20 --errors 100 --seconds 90")

    assert found["drained_s"] is None


# ---------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    "words",
    [
        "cost --requests 1M --front-door sqs --sqs-send-batch 3",
        "plan --traffic 1 --front-door sqs --sqs-send-batch 3",
        "plan --backlog 1k --sqs-send-batch 3",
        "simulate --traffic 1 --seconds 5 --sqs-batch 2 --sqs-send-batch 3",
        "simulate --backlog 100 --sqs-send-batch 3",
    ],
)
def test_how_messages_are_sent_is_said_with_every_bill_of_a_queue(words):
    """It is a third of the calls or more."""
    assert "sent 3 at a time" in CliRunner().invoke(main, words.split()).stdout


def test_a_backlog_for_people(tmp_path):
    """Text, and a page with charts."""
    file = tmp_path / "backlog.html"
    done = CliRunner().invoke(main, ["plan", "--backlog", "1M", "--sqs-batch", "100", "--html", str(file)])

    assert "drained after" in done.stdout.splitlines()[0]
    assert "* batching window" in done.stdout
    assert 2 < file.read_text().count("<svg")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("plan --backlog 1k --errors 3", "--errors: would change nothing"),
        ("plan --backlog 1k --duration-ms exp:2000", "22.3 % of the batches time out"),
        ("plan --backlog 1k --traffic 1M", "never drained: 1,000 batches at a time"),
        ("plan --backlog 1k --traffic sine:9:1:60", "beside --backlog a steady rate"),
        ("plan --traffic 1 --maximum-concurrency 5", "needs --backlog"),
        (
            "plan --backlog 9 --maximum-concurrency 5 --provisioned-pollers 2:3",
            "--maximum-concurrency and --provisioned-pollers exclude each other",
        ),
        ("simulate --traffic 1 --provisioned-pollers 2:3", "needs --sqs-batch"),
        ("simulate --backlog 9 --population 3", "--backlog: goes with --traffic alone"),
        ("simulate --backlog 9 --budget 3", "no month is said of a backlog"),
        ("simulate --backlog 1G", "too many to simulate"),
    ],
)
def test_what_has_no_answer_is_refused_in_a_line(words, problem):
    """With exit code 2."""
    done = CliRunner().invoke(main, words.split())

    assert 2 == done.exit_code
    assert problem in done.stderr


@pytest.mark.parametrize("bounds", ["5", "1:3", "3:2", "x:y", "2:30000"])
def test_bounds_of_pollers_that_are_none(bounds):
    """As click tells it, with AWS's bounds."""
    done = CliRunner().invoke(main, ["plan", "--backlog", "9", "--provisioned-pollers", bounds])

    assert 2 == done.exit_code
    assert "Invalid value for '--provisioned-pollers'" in done.stderr


def test_without_a_backlog_traffic_is_required():
    """As it always was."""
    assert "Missing option '--traffic'" in CliRunner().invoke(main, ["plan"]).stderr
