"""What planners ask about money: plans and commitments, containers, arm64, memory, instances, data."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import main
from engine.core.written_numbers import in_digits
from engine.errors import ConfigError
from engine.model.cost import usage
from engine.model.cost.bill import bill, cents
from engine.model.cost.commitments import COMMITMENT, PlanUse, best_for_stretches, committed, paid_usd
from engine.model.cost.containers import containers_instead, parse_container
from engine.model.cost.memory_sizes import HandlerRun, ServiceTime, tuned
from engine.model.cost.monthly import Month, with_memory
from engine.model.cost.node_types import EC2_USD_PER_HOUR, FARGATE_USD_PER_HOUR
from engine.model.cost.price_book import price_book
from engine.model.cost.savings_plans import RATES, with_savings_plan

M = 1_000_000
BOOK = price_book("us-east-1")
d = Decimal


def answered(words, code=0):
    """The document a command prints."""
    done = CliRunner().invoke(main, [*words.split(), "--json"])

    assert code == done.exit_code, done.output
    return json.loads(done.stdout)


def refused(words):
    """What a command says that it does not do."""
    done = CliRunner().invoke(main, words.split())

    assert 2 == done.exit_code, done.output
    return done.stderr


def listed(service, region="us-east-1"):
    """Keys and prices of a service in the lists the shipped prices are taken from."""
    with (Path(__file__).parents[1] / "core" / "price_lists.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["service"] == service]
    return {row["key"]: Decimal(row["usd"]) for row in rows if row["region"] == region}


# -------------------------------------------------------------------- Savings Plans


INSIDE = "--provisioned-requests 5M --provisioned-ms"


def plan_key(region, payment, years, meter):
    """What the lists call a rate; us-east-1's of provisioned concurrency name no payment."""
    name = meter.removeprefix("lambda.")
    if region != "us-east-1":
        return f"savingsplan.{years}yr.{payment}.{name}"
    return f"savingsplan.{name}" if name.startswith("provisioned") else f"savingsplan.{payment}.{name}"


def test_the_rates_of_plans_are_what_the_lists_have():
    """Each of them, in both regions, and none besides."""
    for region in ("us-east-1", "eu-west-1"):
        expected = {
            key: usd for key, usd in listed("lambda", region).items() if key.startswith("savingsplan")
        }
        found = {
            plan_key(region, payment, years, meter): Decimal(usd)
            for (there, payment, years), rates in RATES.items()
            if there == region
            for meter, usd in rates.usd.items()
        }

        assert expected == found


def test_what_is_not_known_of_a_plan_is_refused():
    """With what is known."""
    with pytest.raises(ConfigError, match="all-upfront for 3 y are not known for eu-west-1"):
        with_savings_plan(price_book("eu-west-1"), "all-upfront", 3)


@pytest.mark.parametrize(
    ("words", "on_demand", "no_upfront"),
    [
        (
            "--requests 0 --memory-mb 1024 --provisioned 100 --provisioned-ms 100 --provisioned-requests 1e8",
            "1197.23",
            "1056.86",
        ),
        (
            f"--requests 1M --duration-ms 300 --memory-mb 512 --provisioned 20 {INSIDE} 250",
            "117.78",
            "103.88",
        ),
        (
            "--requests 0 --memory-mb 4096 --provisioned 7 --provisioned-requests 2M --provisioned-ms 280",
            "324.58",
            "285.93",
        ),
        ("--requests 50M --duration-ms 120 --memory-mb 1024", "110.00", "98.20"),
    ],
)
def test_a_plan_covers_duration_and_provisioned_concurrency(words, on_demand, no_upfront):
    """Not requests."""
    assert on_demand == answered(f"cost {words}")["usd_printed"]
    assert no_upfront == answered(f"cost {words} --savings-plan no-upfront")["usd_printed"]


def hours_of(on_demand_usd, discount="0.118"):
    """Hours of one meter."""
    return [{"duration": PlanUse(usd, usd * (1 - d(discount)))} for usd in on_demand_usd if usd]


HOURS = hours_of([d(1)] * 8 + [d(3)] * 10 + [d(5)] * 6)


@pytest.mark.parametrize(
    ("commitment", "expected"), [(d(0), "68.00"), (d("0.882"), "65.17"), (d("0.882") * 68 / 24, "74.64")]
)
def test_what_a_commitment_costs_over_hours_that_differ(commitment, expected):
    """Unused dollars are lost: to commit to the mean is dearer than none."""
    assert d(expected) == cents(paid_usd(HOURS, commitment))


def test_the_best_commitment_is_used_in_nearly_all_hours():
    """A dollar of use: the next one would lie idle in a third of them."""
    assert d("0.882") == best_for_stretches(HOURS)


@given(
    st.lists(
        st.lists(st.tuples(st.decimals("0.01", 100, places=2), st.decimals(0, "0.5", places=2)), max_size=3),
        min_size=1,
        max_size=30,
    ),
    st.decimals(0, 100, places=2),
)
def test_no_commitment_costs_less_than_the_best(hours, other):
    """Whatever the hours and the meters in them."""
    stretches = [
        {
            str(n): PlanUse(usd, usd * (1 - cut))
            for n, (usd, cut) in enumerate(sorted(hour, key=lambda u: -u[1]))
        }
        for hour in hours
    ]
    best = paid_usd(stretches, best_for_stretches(stretches))

    assert best <= paid_usd(stretches, other) + d("1e-15")


@pytest.mark.parametrize(
    ("traffic", "busy_s"),
    [
        ("step:10:30:28800", 10),  # a third of the hours has less: a dollar more would lie idle in them
        ("step:10:30:3600", 30),  # one in 24: less than the discount
        ("onoff:30:43200:43200", 0),
        ("20", 20),
    ],
)
def test_plan_commits_to_what_nearly_all_hours_use(traffic, busy_s):
    """By the discount of 11.8 %; runs of 1 s, 1 GB; the bill with that plan is the one that was offered."""
    words = f"plan --traffic {traffic} --duration-ms 1000 --memory-mb 1024 --init-ms 0 --days 30"
    found = answered(words)
    no_upfront, all_upfront = found["savings_plans"]

    assert ("no-upfront", [1, 3]) == (no_upfront["payment"], no_upfront["years"])
    assert 3600 * busy_s * 0.0000147 == pytest.approx(float(no_upfront["commitment_usd_per_hour"]), rel=1e-6)
    assert float(all_upfront["saved_usd"]) >= float(no_upfront["saved_usd"]) >= 0
    assert float(found["cost"]["usd"]) == pytest.approx(
        float(no_upfront["usd_per_month"]) + float(no_upfront["saved_usd"])
    )
    planned = answered(f"{words} --savings-plan no-upfront")
    assert no_upfront["usd_per_month"] == planned["cost"]["usd"]


def test_cost_offers_the_plans_whose_rates_are_known():
    """With term, payment and commitment; with a plan in force, too. In eu-west-1 the terms differ."""
    words = "cost --requests 50M --duration-ms 120 --memory-mb 1024"
    found = answered(words)["savings_plans"]

    assert "98.20" == f"{float(found[0]['usd_per_month']):.2f}"
    assert found == answered(f"{words} --savings-plan all-upfront --commitment 0.05")["savings_plans"]
    there = answered(f"{words} --region eu-west-1")["savings_plans"]
    assert [("all-upfront", [1]), ("no-upfront", [3])] == [(one["payment"], one["years"]) for one in there]
    assert [] == answered(f"{words} --region sa-east-1")["savings_plans"]


def test_a_commitment_covers_what_it_makes_cheapest_and_the_rest_is_on_demand():
    """10 M GB-seconds at 147 dollars by plan: 144 are committed to, 3 of them cost 3.40 on demand."""
    used = usage.invocations(100 * M, 100 * M * 100, 1024)
    planned = bill(used, with_savings_plan(BOOK, "no-upfront"))

    found = committed(planned, d("0.2"), 720)

    assert d("144.0") == found.of(COMMITMENT)
    assert d("3.40") == cents(found.of("lambda.duration"))
    assert d("20.00") == cents(found.of("lambda.requests"))


@given(st.integers(0, 10**9), st.integers(0, 50), st.decimals(0, 10, places=3))
def test_a_commitment_is_bounded_by_on_demand_and_by_itself(requests, provisioned, commitment):
    """None costs what on demand does; any is paid in full, and saves no more than its discount."""
    used = usage.total(
        usage.invocations(requests, requests * 100, 512), usage.provisioned(provisioned, 512, 2_592_000)
    )
    planned = bill(used, with_savings_plan(BOOK, "no-upfront"))
    on_demand = bill(used, BOOK).usd

    assert on_demand == committed(planned, d(0), 720).usd
    found = committed(planned, commitment, 720)
    assert max(planned.usd, 720 * commitment) <= found.usd + d("1e-20")
    assert found.usd <= on_demand + 720 * commitment


# -------------------------------------------------------------------- containers


def test_the_prices_of_containers_are_what_the_lists_have():
    """Fargate and EC2."""
    fargate = {
        f"{name}.{part}": Decimal(usd)
        for name, prices in FARGATE_USD_PER_HOUR.items()
        for part, usd in zip(("vcpu", "memory"), prices, strict=True)
    }

    assert listed("ec2") == {f"linux.{name}": Decimal(usd) for name, usd in EC2_USD_PER_HOUR.items()}
    assert listed("fargate") == fargate


@pytest.mark.parametrize(
    ("container", "memory_mb", "ms", "per_s", "busy"),
    [
        ("fargate:1:2", 1769, 100, 4.45, 0.445),
        ("fargate:0.5:1", 885, 100, 4.18, 0.418),
        ("fargate:0.25:0.5", 512, 100, 3.32, 0.332),
        ("fargate:1:2", 512, 20, 37.4, 0.748),
    ],
)
def test_where_a_container_costs_what_lambda_does(container, memory_mb, ms, per_s, busy):
    """Requests/s of one, and how many environments they keep busy."""
    found = containers_instead(
        parse_container(container),
        BOOK,
        busy=1,
        billed_ms=ms,
        memory_mb=memory_mb,
        architecture="x86_64",
        days=30,
    )

    assert (per_s, busy) == pytest.approx((found.even_per_s, found.even_busy), rel=0.002)


@pytest.mark.parametrize(("name", "share"), [("c7i.large", 0.431), ("m5.large", 0.463)])
def test_how_busy_an_instance_of_two_vcpus_must_be(name, share):
    """Of two environments of 1,769 MB, long runs: requests cost nothing to speak of."""
    found = containers_instead(
        parse_container(f"ec2:{name}"),
        BOOK,
        busy=1,
        billed_ms=900_000,
        memory_mb=1769,
        architecture="x86_64",
        days=30,
        at_once=2,
    )

    assert share == pytest.approx(found.even_busy / 2, abs=0.0006)


def test_containers_are_sized_for_what_is_in_flight_and_not_for_its_mean():
    """2 in flight on the mean are up to 6 for 99 % of the time: three containers of two at a time."""
    words = "cost --requests 51840000 --duration-ms 100 --memory-mb 1769 --at-once 2 --container fargate:1:2"
    (found,) = answered(words)["containers"]

    assert (6, 3) == (found["busy"], found["containers"])
    assert d("106.6392") == d(found["usd"])


@pytest.mark.parametrize(
    "words", ["fargate", "fargate:1", "fargate:1:x", "fargate:0:1", "ec2:c7i.largo", "-1"]
)
def test_what_is_no_container_is_refused(words):
    """With the forms that are read, or the nearest type."""
    assert "must be fargate:" in refused(f"cost --requests 1 --container {words}") or words == "ec2:c7i.largo"
    assert "did you mean 'c7i.large'" in refused("cost --requests 1 --container ec2:c7i.largo")


# -------------------------------------------------------------------- arm64 and memory


@pytest.mark.parametrize(
    ("ms", "memory_mb", "saving"), [(100, 512, 0.161), (10, 128, 0.019), (1000, 1769, 0.199)]
)
def test_what_arm64_saves_at_equal_duration(ms, memory_mb, saving):
    """Little where requests cost most."""
    found = answered(f"cost --requests 1M --duration-ms {ms} --memory-mb {memory_mb}")
    arm = d(found["what_if"]["on arm64, at equal duration"])

    assert saving == pytest.approx(float(1 - arm / d(found["usd"])), abs=0.0006)


@pytest.mark.parametrize(
    ("speed", "cheaper"), [("0.7", False), ("0.79", False), ("0.81", True), ("1.2", True)]
)
def test_arm64_is_cheaper_while_it_takes_less_than_five_quarters_of_the_time(speed, cheaper):
    """The ratio is given, or measured; it never is 1 without a word."""
    found = answered(f"cost --requests 1M --duration-ms 1000 --memory-mb 1024 --arm-speed {speed}")
    arm = d(found["what_if"][f"on arm64, {speed} times as fast"])

    assert cheaper == (arm < d(found["usd"]))


@pytest.mark.parametrize(
    ("wait", "cpu", "at_128_ms", "per_million"),
    [
        (0, 100, 1383, {256: 3.083, 512: 3.083, 1024: 3.083, 1769: 3.079, 3008: 5.096}),
        (50, 50, 742, {256: 1.850, 512: 2.058, 1024: 2.483, 1769: 3.079, 3008: 5.096}),
        (200, 10, 339, {256: 1.325, 512: 2.158, 1024: 3.833, 1769: 6.246, 3008: 10.481}),
    ],
)
def test_only_the_cpu_part_shrinks_with_memory(wait, cpu, at_128_ms, per_million):
    """Up to one vCPU; what waits costs more with every megabyte."""
    month = Month(requests=M, duration_ms=at_128_ms, memory_mb=128)
    found = {mb: float(bill(with_memory(month, mb, d(cpu)).usage(), BOOK).usd) for mb in per_million}

    assert per_million == pytest.approx(found, rel=0.01)


@given(st.integers(128, 10_240), st.integers(128, 10_240), st.integers(1, 10_000), st.integers(0, 10_000))
def test_more_memory_never_takes_longer(some, more, cpu, wait):
    """And no less than the part that waits."""
    some, more = sorted((some, more))
    month = Month(requests=1, duration_ms=wait + -(-cpu * 1769 // min(some, 1769)), memory_mb=some)
    found = with_memory(month, more, d(cpu))

    assert wait + cpu <= found.duration_ms <= month.duration_ms


def test_twice_the_memory_needs_to_be_told_which_part_shrinks():
    """And that part must fit into the duration."""
    found = answered("cost --requests 1M --duration-ms 742 --memory-mb 128 --cpu-ms 50")

    assert "with 256 MB, 397 ms each" in found["what_if"]
    assert "--cpu-ms: 50 ms of CPU take longer than 100 ms at 128 MB" in refused(
        "cost --requests 1 --cpu-ms 50"
    )


WAITS_AND_COMPUTES = ServiceTime(runs=(HandlerRun(cpu_s=0.03, wait_s=0.02),), init=HandlerRun(0.8, 0.0))
TUNED = (128, 512, 1024, 1769)


@pytest.mark.parametrize(
    ("cold_share", "per_million"),
    [
        (0.0, (1.106, 1.233, 1.400, 1.640)),
        (0.01, (1.123, 1.300, 1.533, 1.870)),
        (0.05, (1.190, 1.567, 2.067, 2.791)),
    ],
)
def test_cold_starts_are_priced_at_each_memory_size(cold_share, per_million):
    """An init has a whole vCPU at every size: its seconds stay, and its gigabyte-seconds grow."""
    found = tuned(WAITS_AND_COMPUTES, BOOK, sizes_mb=TUNED, cold_share=cold_share)

    assert per_million == pytest.approx([float(one.usd_per_million) for one in found.sizes], abs=0.0006)


@pytest.mark.parametrize(("cold_share", "at_128_ms", "at_1769_ms"), [(0.0, 435, 50), (0.01, 1235, 850)])
def test_a_hundredth_of_cold_starts_is_the_99th_percentile(cold_share, at_128_ms, at_1769_ms):
    """And the median stays warm."""
    found = tuned(WAITS_AND_COMPUTES, BOOK, sizes_mb=TUNED, cold_share=cold_share)

    assert (at_128_ms, at_1769_ms) == pytest.approx([1000 * found.sizes[i].p99_s for i in (0, 3)], abs=0.5)
    assert 50 == pytest.approx(1000 * found.sizes[3].p50_s)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(TUNED))
def test_more_cold_starts_never_cost_less(some, more, memory_mb):
    """Nor take less time."""
    few, many = (
        tuned(WAITS_AND_COMPUTES, BOOK, sizes_mb=(memory_mb,), cold_share=one).sizes[0]
        for one in sorted((some, more))
    )

    assert few.usd_per_million <= many.usd_per_million
    assert few.mean_s <= many.mean_s
    assert few.p99_s <= many.p99_s


# -------------------------------------------------------------------- instances, durable functions, NAT


def test_managed_instances_on_the_command_line():
    """AWS's example, a cent below the printed sum: AWS rounds the discounted hour first."""
    found = answered("cost --requests 100M --managed-hours 2000 --instance-usd 0.1632 --instance-discount 72")

    assert "160.352" == found["usd"]
    assert ["20", "91.392", "48.96"] == [line["usd"] for line in found["lines"]]


def test_durable_functions_on_the_command_line():
    """AWS's example: two invocations for each of a million executions."""
    found = answered(
        "cost --requests 2M --duration-ms 16000 --memory-mb 1024 --architecture arm64 --executions 1M "
        "--durable-operations 4 --durable-kb 104 --durable-days 21 --free-tier"
    )

    assert "490.46" == found["usd_printed"]


def test_a_nat_gateway_stands_and_is_paid_by_the_gigabyte():
    """One for 30 days is 32.40; a million times 1 MB are 976.5625 GB."""
    found = answered("cost --requests 1M --duration-ms 0 --nat-gateways 1 --nat-kb 1024")
    lines = {line["meter"]: line["usd"] for line in found["lines"]}

    assert ("32.4", "43.9453125") == (lines["nat.hours"], lines["nat.data"])


@pytest.mark.parametrize(
    "words",
    ["--nat-kb 5", "--durable-kb 5", "--instance-usd 1", "--commitment 1", "--plan-years 3", "--at-once 2"],
)
def test_an_option_that_would_change_nothing_is_refused(words):
    """With the one it needs."""
    assert f"{words.split()[0]}: would change nothing: needs --" in refused(f"cost --requests 1 {words}")


def test_hours_of_instances_need_a_price():
    """There is none for a type that is not named."""
    assert "needs --instance-usd" in refused("cost --requests 1 --managed-hours 1")


@pytest.mark.parametrize("words", ["--commitment 0", "--commitment 1"])
def test_a_commitment_stands_in_what_ifs_too(words):
    """On the other architecture it is paid as well."""
    found = answered(f"cost --requests 100M --memory-mb 1024 --savings-plan no-upfront {words}")
    commitment = 720 * d(words.split()[1])

    assert commitment <= d(found["what_if"]["on arm64, at equal duration"])


# -------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3M", "3000000"),
        ("1e6", "1000000"),
        ("2.5k", "2500"),
        ("1G", "1000000000"),
        ("0.25", "0.25"),
        ("0M", "0"),
    ],
)
def test_numbers_are_read_as_people_write_them(text, expected):
    """With a unit, an exponent, or neither."""
    assert expected == in_digits(text)


@pytest.mark.parametrize("text", ["", "M", "many", "nan", "inf", "1e999999999", "1e-999999999", "3m", "3 MM"])
def test_what_is_no_number_stays_as_it_is(text):
    """Who reads it says what is wrong."""
    assert text == in_digits(text)


@pytest.mark.parametrize(
    ("words", "same"), [("--traffic 2k", "--traffic 2000"), ("--traffic 1e3", "--traffic 1000")]
)
def test_plan_takes_the_forms_that_cost_takes(words, same):
    """Of rates, and of counts."""
    found = answered(f"plan {words} --log-bytes 1k")

    assert found["cost"]["usd"] == answered(f"plan {same} --log-bytes 1000")["cost"]["usd"]


@pytest.mark.parametrize("law", ["100.4", "exp:80", "lognormal:80:400", "exp:1500"])
def test_cost_takes_the_durations_that_plan_takes(law):
    """Of a law, the mean of what is billed: the same dollars for a request, but for cold starts."""
    words = f"--duration-ms {law} --memory-mb 512"
    planned = answered(f"plan --traffic 50 {words} --init-ms 0 --timeout-s 900")
    month = 50 * 30 * 86_400

    found = answered(f"cost --requests {month} {words}")

    assert float(planned["cost"]["usd"]) == pytest.approx(float(found["usd"]), rel=1e-4)


def test_begun_milliseconds_are_billed_wherever_durations_are_given():
    """Of inits, and inside provisioned concurrency."""
    words = "cost --requests 1k --cold-starts 10 --provisioned 1 --provisioned-requests 1k"

    found = answered(f"{words} --init-ms 99.2 --provisioned-ms 10.1")

    assert answered(f"{words} --init-ms 100 --provisioned-ms 11")["usd"] == found["usd"]
