"""Commands against an independent program: closed forms and simulations that share nothing with the model.

The numbers are those of the referee, with its tolerances; each group is one rule that a wrong answer broke.
"""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.model.cost.memory_sizes import HandlerRun, ServiceTime, tuned
from engine.model.cost.price_book import price_book
from engine.model.distributions import Capped, parse_distribution
from engine.model.queueing.provisioning import break_even as break_even_of
from engine.model.queueing.regular_arrivals import loss_of_exponential, loss_of_fixed
from engine.model.simulation.confidence_intervals import count_interval, dispersion, share_interval
from engine.model.simulation.levels import level_quantile, seconds_at_levels
from engine.model.traffic.shapes import parse_shape


def answered(words, code=0):
    """The document of a command."""
    done = CliRunner().invoke(main, [*words.split(), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception

    assert code == done.exit_code, done.output
    return json.loads(done.stdout)


def refused(words):
    """The only line of stderr, of a command that computed nothing."""
    done = CliRunner().invoke(main, words.split())

    assert 2 == done.exit_code, done.output
    (line,) = done.stderr.splitlines()
    return line


def approximately(value, rel=None, of=None):
    return pytest.approx(value, rel=rel, abs=of)


# ---------------------------------------------------------------- an attempt is what runs


@pytest.mark.parametrize(
    ("words", "attempts", "in_flight", "usd", "tolerance"),
    [
        (
            "--traffic 1 --duration-ms 1000 --memory-mb 1024 --errors 100 --seconds 3600",
            3,
            2.93,
            131.16,
            0.02,
        ),
        (
            "--traffic 1 --duration-ms 1000 --memory-mb 1024 --errors 50 --seconds 3600",
            1.75,
            1.71,
            76.51,
            0.03,
        ),
        ("--traffic 5 --duration-ms 200 --memory-mb 512 --errors 10", 1.11, 1.11, 26.85, 0.03),
    ],
)
def test_retries_are_run_billed_and_in_flight(words, attempts, in_flight, usd, tolerance):
    """A = 1 + e + e^2 attempts for each event."""
    found = answered(f"simulate --asynchronous {words}")

    assert attempts == approximately(found["attempts"] / found["requests"], rel=0.01)
    assert in_flight == approximately(found["concurrency"]["mean"], rel=0.05)
    assert usd == approximately(float(found["cost"]["usd"]), rel=tolerance)


def test_the_bill_with_errors_is_that_without_times_the_attempts():
    """Same seed; but for the inits."""
    words = "simulate --asynchronous --traffic 2 --duration-ms 500 --seconds 3600 --init-ms 0"
    plain, failing = answered(words), answered(f"{words} --errors 25")

    assert 1.3125 == approximately(float(failing["cost"]["usd"]) / float(plain["cost"]["usd"]), rel=0.01)


def test_plan_counts_attempts_too():
    """In the long run: lambda A S in flight; e^3 of the events are lost."""
    found = answered("plan --traffic 2 --duration-ms 500 --asynchronous --errors 25")

    assert 1.3125 == approximately(found["attempts"] / found["requests"], rel=1e-6)
    assert 1.3125 == approximately(found["concurrency"]["mean"], rel=0.01)
    assert 0.25**3 == approximately(found["failures"]["events_lost"])


# ---------------------------------------------------------------- a moving rate is integrated


@pytest.mark.parametrize(
    ("traffic", "hours", "requests", "peak"),
    [
        ("spike:10:5000:60:5", 24, 888_950, 5000),
        ("onoff:100:1:9", 24, 864_000, 100),
        ("onoff:100:60:540", 24, 864_000, 100),
        ("sine:100:100:20", 24, 8_640_000, 200),
        ("spike:50:2000:43205:7", 24, 4_333_650, 2000),
        ("onoff:40:3:57", 24, 172_800, 40),
        ("onoff:7:11:13", 1, 11_550, 7),
        ("sine:300:250:7", 1, 1_080_340.498, 550),
        ("step:20:700:86399", 24, 1_728_680, 700),
        ("spike:5:800:3590:30", 1, 25_950, 800),
        ("sine:50:80:3600", 1, 200_244.593, 130),
    ],
)
def test_requests_are_the_integral_of_the_rate(traffic, hours, requests, peak):
    """And its peak the supremum, wherever it is."""
    shape = parse_shape(traffic)

    assert requests == approximately(shape.requests(hours * 3600), rel=1e-6)
    assert peak == approximately(shape.peak_per_s(hours * 3600), rel=1e-9)


@pytest.mark.parametrize(
    ("words", "requests", "share"),
    [
        ("spike:10:5000:60:5 --duration-ms 300 --hours 0.0333", 9170, 0.351),
        ("spike:50:2000:40:7 --duration-ms 500 --reserved 600 --hours 0.033333333", 5855, 0.298),
        (
            "spike:5:800:20:30 --duration-ms 1000 --reserved 400 --init-ms 200 --hours 0.033333333",
            12_048,
            0.492,
        ),
    ],
)
def test_a_spike_that_is_shorter_than_a_minute_is_refused(words, requests, share):
    """Within the four points that the fluid model states; and not more than 5 % of the refusals."""
    found = answered(f"plan --throttles 1 --traffic {words}", code=3)

    assert share == approximately(found["throttles"]["share"], of=0.04)
    assert requests == approximately(found["throttles"]["share"] * found["requests"], rel=0.05)


def test_one_run_of_a_spike_differs_by_its_arrivals_whatever_the_rule_of_cold_starts():
    """9,170 +- 150 of the referee is one run and one standard deviation; the mean of many is 9,197."""
    words = "--traffic spike:10:5000:60:5 --duration-ms 300"
    found = answered(f"plan {words} --hours 0.0333")
    runs = [answered(f"simulate {words} --seconds 119.88 --seed {seed}") for seed in range(1, 4)]
    refused = [one["throttles"]["by_reason"]["account_limit"] for one in runs]

    assert any("one run differs from that by 155" in one for one in found["assumptions"])
    assert 9_197 == approximately(sum(refused) / len(refused), of=3 * 155 / len(refused) ** 0.5)
    assert 35.17 == approximately(100 * found["throttles"]["share"], of=1.2)


def test_a_spike_in_a_day_fails_what_is_asked():
    """9,170 refused of 888,950 are more than 1 %."""
    found = answered("plan --traffic spike:10:5000:60:5 --duration-ms 300 --throttles 1", code=3)

    assert ("fails", 888_950) == (found["verdict"], found["requests"])


# ---------------------------------------------------------------- a trace ends with its last completion


@pytest.fixture
def trace(tmp_path):
    """Writes a trace of moments."""

    def write(*at_s, functions=("f",)):
        file = tmp_path / "trace.csv"
        rows = "".join(f"{at},{name}\n" for at in at_s for name in functions)
        file.write_text(f"timestamp,function\n{rows}")
        return file

    return write


@pytest.mark.parametrize(
    ("at_s", "words", "window_s", "usd"),
    [
        ((0,), "", 0.4, 1.0333e-6),
        ((0, 0.95, 1.9), "", 2.0, 1.85e-6),
        (range(10), "--duration-ms 30000 --timeout-s 60 --memory-mb 256", 39.3, 1.2645e-3),
    ],
)
def test_a_trace_is_billed_as_it_is(trace, at_s, words, window_s, usd):
    """From the first call to the last completion; no month is said of so little."""
    found = answered(f"simulate --trace {trace(*at_s)} {words}")

    assert window_s == approximately(found["horizon_s"])
    assert usd == approximately(float(found["cost"]["usd"]), rel=1e-4)
    assert "run" == found["cost"]["of"]


def test_means_are_over_the_window(trace):
    """Ten calls of 30 s, one a second: 7.71 in flight, not 33."""
    words = "--duration-ms 30000 --timeout-s 60 --memory-mb 256"
    found = answered(f"simulate --trace {trace(*range(10))} {words}")

    assert 7.71 == approximately(found["concurrency"]["mean"], of=0.01)
    assert 10 == found["concurrency"]["peak"]


def test_a_backlog_drains_as_the_pollers_grow(trace):
    """50,000 messages at once, one by one: 30.6 s; single sends are in the bill."""
    file = trace(*[0] * 50_000)
    found = answered(f"simulate --trace {file} --sqs-batch 1 --duration-ms 50 --init-ms 0")
    lines = {line["meter"]: float(line["usd"]) for line in found["cost"]["lines"]}

    assert 30.64 == approximately(found["horizon_s"], of=0.7)
    assert 0.06 == approximately(lines["sqs.standard"])
    assert 0.015208 == approximately(lines["lambda.requests"] + lines["lambda.duration.x86_64"], rel=1e-3)


def test_a_month_of_a_trace_is_said_when_asked_for(trace):
    """With the factor; a budget of one that is too short is refused."""
    file = trace(0, 5)
    found = answered(f"simulate --trace {file} --month")

    assert ("month", 30 * 86_400 / 5.1) == (found["cost"]["of"], approximately(found["cost"]["times"]))
    assert "no month is said of so short a trace" in refused(f"simulate --trace {file} --budget 3")


def test_seconds_cut_a_trace(trace):
    """What comes later is left out; the window is what was asked for."""
    found = answered(f"simulate --trace {trace(0, 5, 50)} --seconds 20")

    assert (2, 20.0) == (found["requests"], found["horizon_s"])


# ---------------------------------------------------------------- ten requests/s for a unit of concurrency


@pytest.mark.parametrize(
    ("words", "share", "crossing"),
    [
        ("5000 --duration-ms 10 --reserved 100", 0.8, 1010.1),
        ("20000 --duration-ms 20", 0.5, 10_101),
        ("300 --duration-ms 50 --reserved 20", 0.3346, 202.02),
        ("1200 --duration-ms 5 --reserved 100", 0.16667, 1010.1),
        ("90 --duration-ms 20 --reserved 5", 0.4461, 50.5),
        ("450 --duration-ms 100 --reserved 50", 0.0541, 379.0),
        ("9900 --duration-ms 100", 0.0190, 9712.0),
    ],
)
def test_the_rate_of_requests_is_in_the_verdict(words, share, crossing):
    """Refused >= 1 - 10 R / lambda."""
    found = answered(f"plan --throttles 1 --traffic {words}", code=3)

    assert share == approximately(found["throttles"]["share"], of=1e-3)
    assert crossing == approximately(found["limit_crossed_at_requests_per_s"], rel=1e-3)


def test_simulate_knows_the_rate_of_requests():
    """300/s on a reservation of 20 for a minute: 31.9 %."""
    found = answered("simulate --traffic 300 --duration-ms 50 --reserved 20 --seconds 60")
    free = answered(
        "simulate --traffic 300 --duration-ms 50 --reserved 20 --seconds 60 --requests-per-concurrency 0"
    )

    assert 0.319 == approximately(found["throttles"]["share"], of=0.015)
    assert free["throttles"]["share"] < 0.1


# ---------------------------------------------------------------- a time-out is a failure


@pytest.mark.parametrize(
    ("words", "late", "billed_s", "in_flight"),
    [
        ("10 --duration-ms 5000 --timeout-s 3", 1.0, 3.0, 33.0),
        ("10 --duration-ms exp:2000 --timeout-s 3", 0.22313, 1.55374, 16.2),
        ("20 --duration-ms exp:500 --timeout-s 3", 0.002479, 0.49876, 10.0),
        ("5 --duration-ms lognormal:800:4000 --timeout-s 3", 0.02803, 0.98710, 5.0),
        ("50 --duration-ms lognormal:80:400 --timeout-s 0.25", 0.04978, 0.09682, 5.59),
        ("2 --duration-ms exp:10000 --timeout-s 15", 0.22313, 7.76870, 15.7),
    ],
)
def test_time_outs_fail_are_billed_and_cost_an_environment(words, late, billed_s, in_flight):
    """The cold share is at least theirs, and each pays an init."""
    found = answered(f"plan --traffic {words}", code=3 if late > 0.5 else 0)
    service, timeout_s = words.split()[2], float(words.split()[4]) if "timeout" in words else 3.0

    assert late == approximately(found["failures"]["timeouts"], rel=1e-3)
    assert late <= found["cold_starts"]["share"] <= late * 1.2 + 0.001
    assert billed_s == approximately(Capped(parse_distribution(service), timeout_s).mean_s, rel=1e-4)
    assert in_flight == approximately(found["concurrency"]["mean"], rel=0.015)
    assert "ok" != found["verdict"]


def test_failures_are_an_objective():
    """More than is asked fails, with exit code 3; p99 is never the deadline."""
    found = answered("plan --traffic 10 --duration-ms exp:2000 --timeout-s 3 --failures 1 --p99-ms 3100", 3)
    simulated = answered(
        "simulate --traffic 10 --duration-ms exp:2000 --timeout-s 3 --failures 1 --seconds 60", 3
    )

    assert ["fails", "fails"] == [one["verdict"] for one in found["objectives"]]
    assert found["response"]["all"]["p99"] is None
    assert "fails" == simulated["verdict"]


# ---------------------------------------------------------------- constant arrivals are not Poisson


@pytest.mark.parametrize(
    ("words", "share"),
    [
        ("constant:1 --duration-ms 500 --reserved 1", 0.0),
        ("constant:10 --duration-ms 250 --reserved 3", 0.0),
        ("constant:10 --duration-ms 250 --reserved 2", 1 / 3),
        ("constant:7 --duration-ms 200 --reserved 1", 0.5),
        ("constant:10 --duration-ms exp:500 --reserved 8 --timeout-s 60", 0.017455),
        ("constant:10 --duration-ms exp:500 --reserved 6 --timeout-s 60", 0.111528),
        ("constant:20 --duration-ms exp:200 --reserved 6", 0.043031),
        ("constant:2 --duration-ms exp:1000 --reserved 3 --timeout-s 60", 0.098317),
        ("constant:100 --duration-ms exp:50 --reserved 7 --requests-per-concurrency 0", 0.049587),
    ],
)
def test_arrivals_at_equal_distances_are_refused_less(words, share):
    """D/D/c and D/M/c/c."""
    assert share == approximately(answered(f"plan --traffic {words}")["throttles"]["share"], of=1e-5)


@pytest.mark.parametrize(
    ("words", "p99"),
    [
        ("constant:10 --duration-ms exp:500", 9),
        ("constant:10 --duration-ms exp:2000", 28),
        ("constant:50 --duration-ms exp:200", 15),
        ("constant:10 --duration-ms lognormal:80:400", 3),
        ("constant:10 --duration-ms 100", 1),
    ],
)
def test_arrivals_at_equal_distances_vary_less(words, p99):
    """A sum of Bernoulli numbers, at a random moment."""
    assert p99 == answered(f"plan --traffic {words} --timeout-s 60")["concurrency"]["p99"]


def test_the_losses_in_closed_form():
    """Their bounds."""
    assert 1.0 == loss_of_exponential(3.0, 0) == loss_of_fixed(3.0, 0)
    assert loss_of_exponential(900.0, 1000) < loss_of_exponential(900.0, 900) < 0.05
    assert 0.0 == loss_of_fixed(2.5, 3) == loss_of_fixed(3.0, 3)


# ---------------------------------------------------------------- one rule for a cold request


@pytest.mark.parametrize(
    ("words", "share", "environments"),
    [
        ("0.9 --duration-ms exp:1991 --init-ms 253", 0.001329, 7.6919),
        ("0.9 --duration-ms exp:1991 --init-ms 2000", 0.001329, 7.6919),
        ("1 --duration-ms exp:1000 --keep-alive-s 60", 0.011393, 4.5950),
        ("10 --duration-ms exp:200 --keep-alive-s 300", 0.000225, 9.3128),
        ("0.2 --duration-ms exp:5000 --init-ms 1000", 0.005383, 5.0539),
        ("3 --duration-ms exp:500 --init-ms 250 --keep-alive-s 120", 0.001912, 6.8181),
    ],
)
def test_cold_starts_of_a_steady_load(words, share, environments):
    """Where each waits for its own environment."""
    found = answered(f"plan --timeout-s 900 --traffic {words}")

    assert share == approximately(found["cold_starts"]["share"], rel=0.01)
    assert environments == approximately(found["environments"]["mean"], rel=0.001)


def test_plan_and_simulate_say_the_same_of_cold_starts():
    """Both fail; what this engine does, which is less, stands beside it and as many environments start."""
    words = "--cold 0.1 --traffic 0.9 --duration-ms exp:1991 --init-ms 253 --timeout-s 900"
    planned = answered(f"plan {words}", code=3)["cold_starts"]
    found = answered(f"simulate {words} --seconds 150000", code=3)["cold_starts"]
    low, high = found["interval"]

    assert ("own", "own") == (planned["rule"], found["rule"])
    assert low < planned["share"] < high
    assert 0.0004 < found["on_engine"]["share"] < 0.0009


# ---------------------------------------------------------------- a fast method answers the same questions


def test_the_fast_simulator_speaks_of_the_live_pool():
    """Environments at once, not all that were ever made; time, not the peak."""
    words = "--traffic 0.9 --duration-ms exp:1991 --timeout-s 900 --seconds 200000 --method fast"
    found = answered(f"simulate {words}")

    assert 7.70 == approximately(found["environments"]["mean"], of=0.25)
    assert 10 <= found["environments"]["peak"] <= 15 < found["environments"]["created"]
    assert found["concurrency"]["p99"] in (5, 6)  # P(N <= 5) is 98.97 %
    assert 1.792 == approximately(found["concurrency"]["mean"], of=0.03)


def test_levels_are_weighed_by_time():
    """Two stretches that overlap for a second of ten."""
    seconds = seconds_at_levels([1.0, 3.0], [4.0, 8.0], 10.0)

    assert [3.0, 6.0, 1.0] == seconds
    assert (0, 1, 2) == tuple(level_quantile(seconds, share) for share in (0.3, 0.9, 0.95))
    assert [10.0] == seconds_at_levels([], [], 10.0)


# ---------------------------------------------------------------- provisioned: decided where it ran


@pytest.mark.parametrize(
    ("words", "share", "on_demand_usd", "usd"),
    [
        ("50 --duration-ms 200 --provisioned 12 --memory-mb 1024", 0.88026, 51.73, 429.07),
        ("20 --duration-ms exp:300 --provisioned 5 --memory-mb 512", 0.63960, 46.71, 132.43),
        ("100 --duration-ms lognormal:80:400 --provisioned 12 --memory-mb 1024", 0.87399, 55.32, 460.60),
        ("8 --duration-ms exp:1000 --provisioned 10 --memory-mb 2048", 0.87834, 84.09, 658.39),
    ],
)
def test_the_share_inside_provisioned_concurrency(words, share, on_demand_usd, usd):
    """1 - B(P, rho) in plan, and in a simulation of what really ran there."""
    found = answered(f"plan --timeout-s 900 --traffic {words}")
    lines = {line["meter"]: float(line["usd"]) for line in found["cost"]["lines"]}

    assert share == approximately(found["inside_provisioned_share"], of=1e-4)
    assert on_demand_usd == approximately(lines["lambda.duration.x86_64"], rel=0.01)
    assert usd == approximately(float(found["cost"]["usd"]), rel=0.005)
    if words.startswith("20 "):
        seen = answered(f"simulate --timeout-s 900 --seconds 1800 --traffic {words}")

        assert share == approximately(seen["inside_provisioned_share"], of=0.015)


# ---------------------------------------------------------------- chance on top of the moving mean


@pytest.mark.parametrize(
    ("words", "p99", "mean"),
    [
        ("sine:100:80:86400 --duration-ms lognormal:80:400", 25, 10.163),
        ("onoff:100:60:540 --hours 10", 14, 1.0),
        ("onoff:50:30:270 --duration-ms exp:200 --hours 10", 14, 1.0),
        ("step:10:60:1800 --duration-ms 500 --hours 1", 42, 17.5),
        ("sine:40:30:600 --duration-ms exp:1000 --hours 2 --timeout-s 60", 82, 39.99),
        ("spike:20:400:600:30 --duration-ms 250 --hours 1 --init-ms 0", 13, 5.79),
        ("onoff:200:6:54 --duration-ms 300 --hours 2", 70, 6.0),
    ],
)
def test_percentiles_of_what_is_in_flight(words, p99, mean):
    """Poisson about the moving mean, weighed by time."""
    found = answered(f"plan --traffic {words}")["concurrency"]

    assert abs(p99 - found["p99"]) <= max(1, 0.03 * p99)
    assert mean == approximately(found["mean"], rel=0.01)


# ---------------------------------------------------------------- a bill is of everything


def test_a_list_may_be_cut_and_a_sum_may_not(trace):
    """30 functions, 100 calls each: the same bill whatever is listed."""
    file = trace(*range(100), functions=[f"f{number}" for number in range(30)])
    all_of_them, some = (answered(f"simulate --trace {file} --top {top}") for top in (30, 20))

    assert all_of_them["cost"] == some["cost"]
    assert (30, 20) == (len(all_of_them["functions"]), len(some["functions"]))
    assert (3000, 30) == (some["requests"], some["function_count"])
    assert 0.00124376 == approximately(float(some["cost"]["usd"]), rel=1e-5)


# ---------------------------------------------------------------- words for uncertainty


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (1, 1, 0.025, 1.0),
        (0, 1000, 0.0, 0.0037),
        (1, 600, 0.00004, 0.0093),
        (6, 600, 0.0037, 0.022),
        (7, 18_000, 0.00016, 0.00080),
        (3, 3, 0.29, 1.0),
        (1_200, 900_000, 0.00126, 0.00141),
    ],
)
def test_the_interval_of_a_share_is_exact(count, of, low, high):
    """Clopper and Pearson; never outside 0 to 100 %."""
    found = share_interval(count, of)

    assert (low, high) == (approximately(found[0], rel=0.06), approximately(found[1], rel=0.03))


def test_clusters_tell_less_than_their_number():
    """Ten cold starts at once are one event; spread out they are ten."""
    together, apart = dispersion([5.0] * 10, 1000.0), dispersion(range(50, 1000, 100), 1000.0)

    assert 1.0 == apart
    assert 10 == approximately(together)
    assert share_interval(10, 10_000, together)[1] > 2 * share_interval(10, 10_000, apart)[1]
    assert (0.62, 8.77) == approximately(count_interval(3), rel=0.05)


# ---------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("words", "on_demand", "planned"),
    [
        ("--provisioned 100 --memory-mb 1024 --provisioned-requests 100000000", 1197.23, 1056.86),
        (
            "--provisioned 7 --memory-mb 4096 --provisioned-requests 2000000 --provisioned-ms 280",
            324.58,
            285.93,
        ),
    ],
)
def test_a_savings_plan_covers_provisioned_concurrency(words, on_demand, planned):
    """Standing, and duration inside it."""
    words = f"cost --requests 0 --provisioned-ms 100 {words}"

    assert on_demand == approximately(float(answered(words)["usd"]), of=0.01)
    assert planned == approximately(float(answered(f"{words} --savings-plan no-upfront")["usd"]), of=0.01)


@pytest.mark.parametrize(
    ("invocations", "batch", "send_batch", "usd"),
    [
        (1_000_000, 10, 10, 1.20),
        (1_000_000, 10, 1, 4.80),
        (1_000_000, 1, 1, 1.20),
        (200_000, 5, 1, 0.56),
        (30_000, 100, 10, 0.36),
    ],
)
def test_who_sends_single_messages_pays_for_each(invocations, batch, send_batch, usd):
    """Sends, and receives and deletes of up to ten."""
    words = f"--requests {invocations} --front-door sqs --sqs-batch {batch} --sqs-send-batch {send_batch}"
    found = answered(f"cost {words}")
    (line,) = (one for one in found["lines"] if one["meter"] == "sqs.standard")

    assert usd == approximately(float(line["usd"]), of=1e-4)
    assert any(f"sent {send_batch} at a time" in one for one in found["assumptions"])


# ---------------------------------------------------------------- an input that changes nothing is refused


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("simulate --traffic 1 --layout azure2019", "--layout"),
        ("simulate --traffic 1 --within 5", "--within"),
        ("simulate --traffic 1 --event x.json", "--event"),
        ("simulate --traffic 1 --sqs-send-batch 2", "--sqs-send-batch"),
        ("simulate --traffic 1 --sqs-batch 2 --asynchronous", "--asynchronous"),
        ("simulate --population 3 --memory-mb 512", "--memory-mb"),
        ("plan --traffic 1 --sqs-batch 5", "--sqs-batch"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(words, option):
    """In one line that names it."""
    assert f"error: {option}: would change nothing: " in refused(words)


# ---------------------------------------------------------------- what a planner asks


@pytest.mark.parametrize(
    ("words", "reserved"),
    [
        ("50 --duration-ms 200 --throttles 1", 18),
        ("50 --duration-ms 200 --throttles 0.1", 21),
        ("400 --duration-ms 20 --throttles 1", 40),
        ("10 --duration-ms 3000 --timeout-s 10 --throttles 1", 42),
        ("1000 --duration-ms 100 --throttles 1", 117),
        ("120 --duration-ms 80 --throttles 0.1", 21),
        ("sine:100:80:3600 --duration-ms lognormal:80:400 --throttles 1", 25),
    ],
)
def test_which_reserved_concurrency(words, reserved):
    """The larger of what Erlang B and the rate of requests want."""
    assert {"reserved": reserved} == answered(f"plan --find reserved --traffic {words}")["found"]


def test_how_many_provisioned_environments():
    """One less leaves more cold than was asked for; what is not to be had is refused."""
    words = "plan --traffic 50 --duration-ms exp:200 --keep-alive-s 60 --cold 0.001"
    found = answered(f"{words} --find provisioned")
    number = found["found"]["provisioned"]

    assert found["cold_starts"]["share"] <= 1e-5
    answered(f"{words} --provisioned {number - 1}", code=3)
    assert "are not enough for --throttles 0.001" in refused(
        "plan --find reserved --traffic 50000 --duration-ms 200 --throttles 0.001"
    )
    assert "needs --cold" in refused("plan --find provisioned --traffic 5")


SIZES_MB = (128, 256, 512, 1024, 1769, 3008)


@pytest.mark.parametrize(
    ("wait_ms", "cpu_ms", "usd_per_million"),
    [
        (0, 100, (3.081, 3.083, 3.083, 3.083, 3.079, 5.096)),
        (50, 50, (1.746, 1.850, 2.058, 2.483, 3.079, 5.096)),
        (200, 10, (0.906, 1.325, 2.158, 3.833, 6.246, 10.481)),
    ],
)
def test_what_each_memory_size_costs_under_load(wait_ms, cpu_ms, usd_per_million):
    """The part that is CPU shrinks up to 1,769 MB; what is in flight goes with it."""
    words = f"--duration-ms {wait_ms + cpu_ms} --memory-mb 1769 --cpu-ms {cpu_ms} --init-ms 0"
    found = answered(f"plan --traffic 1 {words} --find memory --sizes {','.join(map(str, SIZES_MB))}")
    sizes = found["memory_sizes"]
    requests = 2_592_000

    assert list(SIZES_MB) == [one["memory_mb"] for one in sizes]
    dollars = [1e6 * float(one["usd_per_month"]) / requests for one in sizes]
    assert list(usd_per_million) == approximately(dollars, of=0.0006)
    times_ms = [wait_ms + cpu_ms * 1769 / min(size, 1769) for size in SIZES_MB]
    assert times_ms == approximately([one["mean_ms"] for one in sizes], rel=1e-6)
    assert times_ms == approximately([1000 * one["in_flight"] for one in sizes], rel=1e-6)
    assert {"memory": SIZES_MB[dollars.index(min(dollars))]} == found["found"]


def test_the_memory_size_is_the_cheapest_that_keeps_everything():
    """Each row is the plan of that size alone; cold starts are priced; time-outs are not kept for cheap."""
    words = "plan --traffic step:5:9:40000 --init-ms 800 --cpu-ms 100"
    found = answered(f"{words} --duration-ms exp:120 --memory-mb 1769 --find memory --p99-ms 2500")
    small, middle = found["memory_sizes"][1:3]
    law = f"exp:{20 + 100 * 1769 / 512:.12g}"
    by_itself = answered(f"plan --traffic step:5:9:40000 --init-ms 800 --duration-ms {law} --memory-mb 512")

    assert {"memory": 512} == found["found"]
    assert small["p99_ms"] is None  # it timed out
    assert middle["p99_ms"] <= 2500
    assert not small["kept"]
    assert middle["usd_per_month"] == found["cost"]["usd"]
    assert float(by_itself["cost"]["usd"]) == approximately(float(middle["usd_per_month"]), rel=1e-6)
    assert by_itself["cold_starts"]["share"] == approximately(middle["cold_share"])
    late = answered("plan --traffic 1 --duration-ms 400 --memory-mb 1769 --cpu-ms 390 --find memory")
    assert [True, False] == [late["memory_sizes"][0]["timeout_share"] > 0.99, late["memory_sizes"][0]["kept"]]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "needs --cpu-ms, the part of a run that shrinks with memory, or --tuned FILE"),
        ("--cpu-ms 10", "50 ms"),
        ("--cpu-ms 5 --p99-ms 1", "no size of 128 to 3,008 MB keeps what is asked; at 3,008 MB p99 (ms) is"),
        ("--cpu-ms 5 --sizes 64", "--sizes 64: memory is 128 to 10240 MB"),
        ("--cpu-ms 5 --against log", "--against holds a plan against a log of one memory size"),
        ("--cpu-ms 5 --find reserved --throttles 1", "--cpu-ms: would change nothing: needs --find memory"),
    ],
)
def test_a_memory_size_that_cannot_be_found_is_one_line(words, problem):
    """With what is missing, or how far the largest size is off."""
    assert problem in refused(f"plan --traffic 1 --find memory --duration-ms 50 --memory-mb 256 {words}")


def test_measured_sizes_are_taken_as_they_are(tmp_path):
    """Durations and init of a tuning; sizes without memory enough are no choice."""
    runs = tuple(HandlerRun(0.05, 0.001 * number) for number in range(20))
    measured = ServiceTime(runs=runs, init=HandlerRun(0.4, 0.1), peak_mb=200)
    tuning = tuned(measured, price_book("us-east-1"), sizes_mb=(128, 256, 512, 1024))
    file = tmp_path / "tuned.json"
    file.write_text(json.dumps({"init_ms": 1000 * measured.init_s, **tuning.document()}))
    found = answered(f"plan --traffic 2 --find memory --tuned {file} --p99-ms 220")

    assert [256, 512, 1024] == [one["memory_mb"] for one in found["memory_sizes"]]
    assert [1000 * one.mean_s for one in tuning.sizes[1:]] == approximately(
        [one["mean_ms"] for one in found["memory_sizes"]]
    )
    assert {"memory": 512} == found["found"]
    assert found["init_ms"] == approximately(500 * found["environments"]["created"], rel=1e-6)
    assert f"{file}: " not in (line := refused(f"plan --traffic 2 --find memory --tuned {file} --sizes 512"))
    assert "--sizes: would change nothing: --tuned says it" in line
    file.write_text('{"sizes": [{"memory_mb": 128}], "init_ms": 1}')
    assert "must be an answer of engine tune --json" in refused(
        f"plan --traffic 2 --find memory --tuned {file}"
    )


@pytest.mark.parametrize("requests", ["3M", "3e6", "3000k", "3000000"])
def test_numbers_as_people_write_them(requests):
    """Begun milliseconds are billed."""
    found, exact = (answered(f"cost --requests {one} --duration-ms 99.2") for one in (requests, 3_000_000))

    assert exact["usd"] == found["usd"]
    assert found["usd"] == answered("cost --requests 3000000 --duration-ms 100")["usd"]


@pytest.mark.parametrize(
    ("region", "break_even"),
    [
        ("us-east-1", 0.60),
        ("eu-west-1", 0.797),
        ("us-west-1", 0.939),
        ("eu-north-1", 0.698),
        ("ap-east-1", 0.596),
    ],
)
def test_when_provisioned_concurrency_pays_is_a_matter_of_the_region(region, break_even):
    """Its standing price over what a second inside saves."""
    assert break_even == approximately(float(break_even_of(price_book(region))), of=0.001)


def test_where_provisioned_concurrency_never_pays_none_is_advised():
    """In sa-east-1 a second inside saves next to nothing."""
    found = answered("plan --traffic 50 --duration-ms 200 --region sa-east-1")
    best = next(one for one in found["provisioned"] if one["purpose"] == "least cost")

    assert 0 == best["environments"]
    assert any("of 2024-08" in one for one in found["cost"]["prices"]["assumptions"])


def test_a_bill_of_another_region():
    """ap-southeast-1: ten provisioned environments of 1 GB for a month, five million calls inside them."""
    words = "--provisioned 10 --memory-mb 1024 --provisioned-requests 5000000 --provisioned-ms 200"
    found = answered(f"cost --requests 0 --region ap-southeast-1 {words}")

    assert 147.89 == approximately(float(found["usd"]), of=0.01)
