"""The bill, against every worked example AWS prints: to the cent, line by line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.billing import asynchronous_requests, billed_ms, exactly, standing_gb_seconds
from engine.errors import ConfigError
from engine.model.cost import usage
from engine.model.cost.bill import FreeTierChoice, bill, cents
from engine.model.cost.price_book import overridden, price_book
from engine.model.cost.savings_plans import with_savings_plan

M = 1_000_000
HOUR_S = 3600
DAY_S = 86_400
BOOK = price_book("us-east-1")


def priced(*usages, free_tier=FreeTierChoice.NONE, **extra):
    return bill(usage.total(*usages), BOOK, free_tier=free_tier, **extra)


def d(text):
    return Decimal(text)


EXAMPLES = {
    "OD-1": (
        priced(usage.invocations(3 * M, 3 * M * 120, 1536), free_tier=FreeTierChoice.ALWAYS),
        {"lambda.duration": "2.33", "lambda.requests": "0.40"},
        "2.73",
    ),
    "OD-2": (
        priced(usage.invocations(7_440_000, 7_440_000 * 2000, 1024)),
        {"lambda.requests": "1.49", "lambda.duration": "248.00"},
        "249.49",
    ),
    "OD-3": (
        priced(
            usage.invocations(6 * M, 6 * M * 280, 4096, storage_mb=2048),
            free_tier=FreeTierChoice.ALWAYS,
        ),
        {"lambda.duration": "105.33", "lambda.requests": "1.00", "lambda.storage": "0.08"},
        "106.41",
    ),
    "PC-1": (
        priced(
            usage.provisioned(100, 1536, 8 * HOUR_S),
            usage.invocations(500_000, 500_000 * 100, 1536, provisioned=True),
            usage.invocations(2_500_000, 2_500_000 * 120, 1536),
            free_tier=FreeTierChoice.ALWAYS_WITH_PROVISIONED,
        ),
        {
            "lambda.provisioned.standing": "18.00",
            "lambda.requests": "0.40",
            "lambda.provisioned.duration": "0.73",
            "lambda.duration": "0.83",
        },
        "19.96",
    ),
    "PC-2": (
        priced(
            usage.provisioned(7, 4096, DAY_S),
            usage.invocations(2 * M, 2 * M * 280, 4096, provisioned=True),
        ),
        {
            "lambda.provisioned.standing": "10.08",
            "lambda.provisioned.duration": "21.78",
            "lambda.requests": "0.40",
        },
        "32.26",
    ),
    "SS-1": (
        priced(
            usage.invocations(7_440_000, 7_440_000 * 2000, 1024),
            usage.snapstart(74_400, 1024, 31 * DAY_S),
        ),
        {
            "lambda.requests": "1.49",
            "lambda.duration": "248.00",
            "lambda.snapstart.cache": "4.03",
            "lambda.snapstart.restore": "10.40",
        },
        "263.92",
    ),
    "STR-1": (
        priced(
            usage.invocations(3 * M, 3 * M * 500, 1536),
            usage.streaming(2 * M, d("0.09765625")),
            usage.streaming(M, d(7)),
            free_tier=FreeTierChoice.NONE,
        ),
        # The page deducts Lambda's free tier and says that the free 100 GB are used up.
        {"lambda.streaming": "7.81"},
        None,
    ),
    "DUR-1": (
        priced(
            usage.invocations(M, M * 32_000, 1024, "arm64"),
            usage.durable(4 * M, d(104), d("72.8")),
            free_tier=FreeTierChoice.ALWAYS,
        ),
        {
            "lambda.duration": "421.34",
            "lambda.durable.operations": "32.00",
            "lambda.durable.written": "26.00",
            "lambda.durable.retained": "10.92",
        },
        None,
    ),
    "TEN-1": (
        priced(
            usage.invocations(10 * M, 10 * M * 2000, 1024),
            usage.tenants(200_000, 1024),
        ),
        # The page rounds 333.334 up, and prices environments at 0.000167.
        {"lambda.requests": "2.00", "lambda.duration": "333.33", "lambda.tenant": "33.33"},
        "368.66",
    ),
    "ESM-S": (
        priced(
            usage.invocations(30 * M, 30 * M * 1000, 1024),
            usage.pollers("sqs", 8000, HOUR_S),
        ),
        {"lambda.duration": "500.00", "lambda.requests": "6.00", "lambda.poller": "74.00"},
        "580.00",
    ),
    "ESM-K3": (
        priced(
            usage.invocations(300 * M, 300 * M * 200, 1024),
            usage.pollers("kafka", 1, 720 * HOUR_S),
        ),
        {"lambda.duration": "1000.00", "lambda.requests": "60.00", "lambda.poller": "133.20"},
        "1193.20",
    ),
    "EDGE-1": (
        priced(usage.edge(10 * M, 10 * M * 10, 128)),
        {"edge.duration": "0.63", "edge.requests": "6.00"},
        "6.63",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_line_of_an_aws_example_is_right_to_the_cent(name):
    """Sums of rounded lines, as AWS prints them."""
    found, lines, printed_usd = EXAMPLES[name]

    assert {meter: d(usd) for meter, usd in lines.items()} == {m: cents(found.of(m)) for m in lines}
    if printed_usd is not None:
        assert d(printed_usd) == sum(cents(found.of(m)) for m in lines)


@pytest.mark.parametrize(
    ("name", "exact"),
    [("OD-1", "2.733338"), ("OD-2", "249.488496"), ("PC-1", "19.962644")],
)
def test_the_exact_sum_of_an_aws_example(name, exact):
    """Unrounded, as computed by hand."""
    assert d(exact) == EXAMPLES[name][0].usd


def test_streaming_example_str_1():
    """30.83 + 0.40 + 7.81 = 39.04, with Lambda's free tier but not that of streaming."""
    compute = priced(usage.invocations(3 * M, 3 * M * 500, 1536), free_tier=FreeTierChoice.ALWAYS)
    streamed = EXAMPLES["STR-1"][0]
    lines = [cents(compute.of(m)) for m in ("lambda.duration", "lambda.requests")]
    lines.append(cents(streamed.of("lambda.streaming")))

    assert d("976.5625") == streamed.lines[-1].quantity
    assert [d("30.83"), d("0.40"), d("7.81")] == lines
    assert d("39.04") == sum(lines)


def test_durable_example_dur_1():
    """421.34 + 0.20 + 32 + 26 + 10.92 = 490.46: two invocations per execution, a free million."""
    found = priced(
        usage.invocations(2 * M, M * 32_000, 1024, "arm64"),
        usage.durable(4 * M, d(104), d("72.8")),
        free_tier=FreeTierChoice.ALWAYS,
    )

    assert d("490.46") == sum(cents(line.usd) for line in found.lines)


def test_durable_retention_is_a_share_of_a_month():
    """104 GB for 7 days running and 14 retained of 30: 72.8 GB-months."""
    assert d("72.8") == d(104) * 21 / 30


@pytest.mark.parametrize(
    ("hourly_usd", "instances_usd", "printed_usd"),
    [("0.0457", "91.40", "160.36"), ("0.045696", "91.392", "160.352")],
)
def test_managed_instances_example_lmi_1(hourly_usd, instances_usd, printed_usd):
    """AWS rounds the discounted hour first; exact arithmetic is a cent lower."""
    fee_usd = usage.managed_fee_usd(d("0.1632"))
    found = priced(
        {"managed.requests": d(100 * M)},
        extra_usd={"EC2": 2000 * d(hourly_usd), "managed.fee": 2000 * fee_usd},
    )

    assert d("0.02448") == fee_usd
    assert d(instances_usd) == found.of("EC2")
    assert d("48.96") == found.of("managed.fee")
    assert d(printed_usd) == found.usd


def test_microvm_example_mvm_1():
    """Here AWS rounds the sum of two lines once: 630.50 + 472.88 + 134.60 + 3.24 = 1,241.22."""
    seconds = 100 * 20 * d("2.5") * HOUR_S
    cpu = priced(usage.microvm(seconds * 3 / 4 + seconds / 4 * 4, d(0))).usd
    memory = priced(usage.microvm(d(0), seconds * 3 / 4 * 2 + seconds / 4 * 8)).usd
    base = priced(usage.microvm(seconds, seconds * 2)).usd
    above = cpu + memory - base

    assert d("498.4992") + d("132.0012") == base
    assert d("630.50") == cents(base)
    assert d("373.8744") + d("99.0009") == above
    assert d("472.88") == cents(above)
    snapshots = priced(
        {
            "microvm.snapshot.write": d(12_000 * 2),
            "microvm.snapshot.read": d(12_000 * 2 + 2_000 * 2),
        }
    )
    storage = priced({"microvm.snapshot.storage": d(10) + d(100 * 2 * 20) * d("5.5") / 720})
    lines = [cents(usd) for usd in (base, above, snapshots.usd, storage.usd)]

    assert [d("630.50"), d("472.88"), d("134.60"), d("3.24")] == lines
    assert d("1241.22") == sum(lines)


def test_microvm_example_mvm_2():
    """10,000 jobs of 600 s, a tenth at 32 GB and 16 vCPU, the rest at 8 and 4; an image of 2 GB."""
    large, small = d(600_000), d(5_400_000)
    lines = [
        priced(usage.microvm(large * 16, large * 32)),
        priced(usage.microvm(small * 4, small * 8)),
        priced({"microvm.snapshot.read": d(10_000 * 2)}),
        priced({"microvm.snapshot.storage": d(2)}),
    ]

    assert [d("336.27"), d("756.60"), d("31.00"), d("0.16")] == [cents(one.usd) for one in lines]


def test_tenant_example_ten_1_as_printed():
    """The page prices an environment at 0.000167, and rounds 333.334 up: 2 + 333.34 + 33.40."""
    rounded = overridden(BOOK, {"meters": {"lambda.tenant.x86_64": "0.000167"}})
    found = bill(EXAMPLES_TENANTS, rounded)

    assert d("33.40") == cents(found.usd)


EXAMPLES_TENANTS = usage.tenants(200_000, 1024)


@pytest.mark.parametrize(("payload_bytes", "expected"), [(300 * 1024, 2), (1024 * 1024, 13), (1, 1), (0, 1)])
def test_an_asynchronous_event_counts_by_its_size(payload_bytes, expected):
    """1 request for 256 KB, and 1 for each further 64 KB."""
    assert expected == asynchronous_requests(payload_bytes)


def test_billed_time_before_and_after_august_2025():
    """AWS's own line: 250.06 ms with an init of 100.77 ms was 251 ms, and is 351 ms."""
    assert (251, 351) == (billed_ms(0.25006), billed_ms(0.25006, 0.10077))


def test_provisioned_concurrency_is_billed_in_steps_of_five_minutes():
    """A second costs as much as five minutes."""
    assert standing_gb_seconds(2, 1024, 1) == standing_gb_seconds(2, 1024, 300) == 600
    assert d(1200) == standing_gb_seconds(2, 1024, 301)


@pytest.mark.parametrize(
    ("usages", "free_tier", "expected"),
    [
        ([usage.idle_polling(5, 30)], FreeTierChoice.ALWAYS, "0.00"),
        ([usage.idle_polling(5, 30)], FreeTierChoice.NONE, "0.26"),
        ([usage.sqs(100 * M, batch=10, send_batch=10)], FreeTierChoice.ALWAYS, "11.60"),
        ([usage.sqs(100 * M)], FreeTierChoice.ALWAYS, "119.60"),
        ([usage.http_api(500 * M)], FreeTierChoice.NONE, "480.00"),
        ([usage.rest_api(2_000 * M)], FreeTierChoice.NONE, "5413.10"),
    ],
)
def test_what_stands_around_functions_costs_what_the_reference_says(usages, free_tier, expected):
    """Queues and front doors, with their tiers."""
    assert d(expected) == cents(priced(*usages, free_tier=free_tier).usd)


def test_an_idle_queue_is_polled_648000_times_a_month():
    """5 pollers, 3 long polls a minute each."""
    assert {"sqs.standard": d(648_000)} == usage.idle_polling(5, 30)


HUGE = 2_592_000 * M


@pytest.mark.parametrize(
    ("one", "free_tier", "expected"),
    [
        ({"lambda.requests": d(HUGE)}, FreeTierChoice.NONE, "518400.00"),
        ({"lambda.duration.x86_64": d(129_600 * M)}, FreeTierChoice.NONE, "1763007.84"),
        ({"lambda.duration.arm64": d(129_600 * M)}, FreeTierChoice.NONE, "1417405.32"),
        (usage.http_api(HUGE), FreeTierChoice.NONE, "2332830.00"),
        (usage.rest_api(HUGE), FreeTierChoice.NONE, "3931973.10"),
        (usage.sqs(HUGE), FreeTierChoice.ALWAYS, "1888239.60"),
        (usage.sqs(HUGE, batch=10, send_batch=10), FreeTierChoice.ALWAYS, "208623.60"),
    ],
)
def test_a_million_requests_a_second_for_a_month(one, free_tier, expected):
    """100 ms at 512 MB, 30 days: 2.592e12 requests, 1.296e11 GB-seconds."""
    assert d(expected) == cents(priced(one, free_tier=free_tier).usd)


def test_the_million_requests_a_second_use_what_the_reference_says():
    """The GB-seconds that the prices above are for."""
    used = usage.invocations(HUGE, HUGE * 100, 512)

    assert {"lambda.requests": d(HUGE), "lambda.duration.x86_64": d(129_600 * M)} == used


def test_the_free_tier_covers_both_architectures_together():
    """400,000 GB-seconds, whichever ran."""
    found = priced(
        usage.invocations(0, 300_000_000, 1024),
        usage.invocations(0, 300_000_000, 1024, "arm64"),
        free_tier=FreeTierChoice.ALWAYS,
    )

    assert [d(300_000), d(100_000)] == [line.free for line in found.lines if "duration" in line.meter]


def test_old_prices_are_a_file_away():
    """3 M x 1 s x 512 MB at the historic 0.00001667: 18.34 + 0.40."""
    old = overridden(
        BOOK,
        {
            "published": "2020-11-01",
            "source": "pricing page",
            "meters": {"lambda.duration.x86_64": "0.00001667"},
        },
    )
    found = bill(usage.invocations(3 * M, 3 * M * 1000, 512), old, free_tier=FreeTierChoice.ALWAYS)

    assert [d("0.40"), d("18.34")] == [cents(line.usd) for line in found.lines]
    assert "2020-11-01" == found.document()["prices"]["published"]


# ---------------------------------------------------------------- identities

REQUESTS = st.integers(0, 10**12)
MEMORY = st.integers(128, 10_240)
DURATION_MS = st.integers(1, 900_000)


@given(REQUESTS, MEMORY, DURATION_MS, st.integers(1, 1000))
def test_k_times_the_traffic_costs_at_most_k_times_as_much(requests, memory_mb, ms, k):
    """Prices per unit never rise with quantity."""
    once = priced(usage.invocations(requests, requests * ms, memory_mb))
    often = priced(usage.times(usage.invocations(requests, requests * ms, memory_mb), Decimal(k)))

    with exactly():
        assert often.usd <= k * once.usd


@given(REQUESTS, MEMORY, DURATION_MS, st.sampled_from(list(FreeTierChoice)))
def test_more_of_anything_never_costs_less(requests, memory_mb, ms, free_tier):
    """One more request, megabyte or millisecond."""
    base = priced(usage.invocations(requests, requests * ms, memory_mb), free_tier=free_tier)

    for more in ((requests + 1, ms, memory_mb), (requests, ms + 1, memory_mb), (requests, ms, memory_mb + 1)):
        n, each_ms, mb = more
        assert base.usd <= priced(usage.invocations(n, n * each_ms, mb), free_tier=free_tier).usd


@given(st.integers(1, 10**12), MEMORY, DURATION_MS)
def test_arm_is_always_cheaper_at_equal_duration(requests, memory_mb, ms):
    """In every tier."""
    x86 = priced(usage.invocations(requests, requests * ms, memory_mb, "x86_64"))
    arm = priced(usage.invocations(requests, requests * ms, memory_mb, "arm64"))

    assert arm.usd < x86.usd


@given(st.integers(1, 10**9), st.integers(128, 5120), DURATION_MS)
def test_twice_the_memory_is_twice_the_gb_seconds(requests, memory_mb, ms):
    """Exactly."""
    one = usage.invocations(requests, requests * ms, memory_mb)["lambda.duration.x86_64"]

    assert 2 * one == usage.invocations(requests, requests * ms, 2 * memory_mb)["lambda.duration.x86_64"]


def test_tiers_go_by_the_sum_of_all_functions():
    """Two functions of 5e9 GB-seconds reach the second tier together, though neither does alone."""
    one = usage.invocations(0, 5_000_000_000_000, 1024)
    together = priced(one, one)

    assert together.usd < 2 * priced(one).usd
    assert d("0.0000166667") * 6_000_000_000 + d("0.000015") * 4_000_000_000 == together.usd


# ---------------------------------------------------------------- the book


def test_another_region_has_prices_of_its_own_and_marks_what_is_assumed():
    """af-south-1 is a third dearer; its queues have no list."""
    book = price_book("af-south-1")

    assert d("0.0000221") == book.meters["lambda.duration.x86_64"].bands[0].usd
    assert d("0.00000027") == book.meters["lambda.requests.provisioned"].bands[0].usd
    assert "sqs.standard" in book.assumed
    assert not book.assumed & {"lambda.duration.x86_64", "lambda.provisioned.standing.x86_64"}


@pytest.mark.parametrize("region", ["us-east-11", "", "mars"])
def test_an_unknown_region_is_one_clear_line(region):
    """With the nearest name where there is one."""
    with pytest.raises(ConfigError) as caught:
        price_book(region)

    (line,) = caught.value.problems
    assert f"region {region!r}: no prices known" in line
    assert "known: us-east-1" in line


def test_a_price_file_may_name_a_region_of_its_own():
    """What it lacks is us-east-1's, and that is said."""
    book = price_book("mars-north-1", {"region": "mars-north-1", "meters": {"lambda.requests": 1}})

    assert d(1) == book.meters["lambda.requests"].bands[0].usd
    assert any("no prices known" in one for one in book.assumptions)


def test_a_book_reads_what_it_writes():
    """`document` and `overridden` are each other's inverse."""
    book = overridden(BOOK, BOOK.document())

    assert {name: m.bands for name, m in BOOK.meters.items()} == {n: m.bands for n, m in book.meters.items()}
    assert () == book.assumptions


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"meter": {}}, "meter: unknown key, did you mean 'meters'?"),
        ({"region": "eu-west-1"}, "region: the prices are for 'eu-west-1', not for 'us-east-1'"),
        ({"meters": 3}, "meters: must be a table"),
        ({"meters": {"lambda.request": 1}}, "meters.lambda.request: no such meter, did you mean"),
        ({"meters": {"sqs.fifo": -1}}, "meters.sqs.fifo: the price must be 0 or more"),
        ({"meters": {"sqs.fifo": "x"}}, "meters.sqs.fifo: the price must be a number"),
        ({"meters": {"sqs.fifo": True}}, "meters.sqs.fifo: the price must be a number"),
        ({"meters": {"sqs.fifo": "nan"}}, "meters.sqs.fifo: the price must be 0 or more"),
        ({"meters": {"sqs.fifo": {}}}, "a table must have the key 'usd'"),
        ({"meters": {"sqs.fifo": []}}, "the last band must have up_to = null"),
        ({"meters": {"sqs.fifo": [[1, 2], [1, 2]]}}, "bands must rise"),
        ({"meters": {"sqs.fifo": [[None, 2], [1, 2]]}}, "must be the last"),
        ({"meters": {"sqs.fifo": [[1]]}}, "a band is [up_to, usd]"),
        ({"meters": {"sqs.fifo": [[1, 2]]}}, "the last band must have up_to = null"),
    ],
)
def test_a_bad_price_file_names_its_problem(document, problem):
    """One line each, with the key."""
    with pytest.raises(ConfigError) as caught:
        overridden(BOOK, document)

    assert problem in caught.value.problems[0]


def test_a_savings_plan_changes_the_first_duration_tier():
    """12 % off without paying upfront."""
    book = with_savings_plan(BOOK, "no-upfront")

    assert d("0.0000147") == book.meters["lambda.duration.x86_64"].bands[0].usd
    assert BOOK.meters["lambda.duration.x86_64"].bands[1:] == book.meters["lambda.duration.x86_64"].bands[1:]
    with pytest.raises(ConfigError, match="must be one of no-upfront, all-upfront"):
        with_savings_plan(BOOK, "yearly")
    with pytest.raises(ConfigError, match="rates of no-upfront for 1 y are not known for eu-west-1"):
        with_savings_plan(price_book("eu-west-1"), "no-upfront")


def test_a_negative_quantity_is_refused():
    """Nothing pays back."""
    with pytest.raises(ValueError, match="must not be negative"):
        bill({"sqs.fifo": d(-1)}, BOOK)


def test_the_document_of_a_bill_loses_no_digit():
    """Money is text in JSON."""
    document = EXAMPLES["OD-1"][0].document()

    assert "2.733338" == document["usd"]
    assert {
        "meter": "lambda.requests",
        "unit": "request",
        "quantity": "3000000",
        "free": "1000000",
        "usd": "0.4",
    } in (document["lines"])
