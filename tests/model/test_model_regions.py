"""Prices outside us-east-1: each meter's own, marked where it is assumed, and told to be old when it is."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import main
from engine.cli.model_options import prices_of
from engine.cli.price_age import age_days
from engine.core.lambda_prices import REGIONS
from engine.model.cost import usage
from engine.model.cost.bill import bill, cents
from engine.model.cost.price_book import overridden, price_book
from engine.model.cost.price_list import meters
from engine.model.cost.regional_services import OLDEST_LIST, SERVICES
from engine.model.queueing.provisioning import break_even, cheapest

M = 1_000_000
METERS = {
    "http": "apigateway.http",
    "rest": "apigateway.rest",
    "websocket": "apigateway.websocket",
    "standard": "sqs.standard",
    "fifo": "sqs.fifo",
    "ingest": "logs.cloudwatch",
    "get": "s3.get",
    "put": "s3.put",
    "storage": "s3.storage",
    "out": "transfer.out",
}
NO_METER = {("logs", "storage")}


def listed_services():
    """(region, meter) to its prices, lowest band first, from the lists; S3 storage has one band here."""
    with (Path(__file__).parents[1] / "core" / "price_lists.csv").open(newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if row["service"] in {"apigateway", "sqs", "logs", "s3", "transfer"}
        ]
    found: dict[tuple[str, str], tuple[Decimal, ...]] = {}
    for row in rows:
        first, _, rest = row["key"].partition(".")
        if (row["service"], first) in NO_METER or (
            row["service"] == "s3" and rest.endswith(("tier2", "tier3"))
        ):
            continue
        name = f"{METERS[first]}.{rest}" if first == "websocket" else METERS[first]
        found[row["region"], name] = (*found.get((row["region"], name), ()), Decimal(row["usd"]))
    return found


def test_services_cost_what_the_lists_have():
    """Every region and meter that is listed, and no other."""
    expected = {key: prices for key, prices in listed_services().items() if key[0] != "us-east-1"}
    found = {
        (region, name): tuple(Decimal(one) for one in prices)
        for region, services in SERVICES.items()
        for name, prices in services.items()
    }

    assert expected == found
    assert SERVICES.keys() == OLDEST_LIST.keys()


def test_the_services_of_the_home_region_cost_what_the_lists_have():
    """Band by band."""
    for (region, name), prices in listed_services().items():
        if region == "us-east-1":
            assert prices == tuple(band.usd for band in meters()[name].bands)


@pytest.mark.parametrize(
    ("region", "used", "expected"),
    [
        (
            "ap-southeast-1",
            usage.total(
                usage.provisioned(10, 1024, 30 * 86_400),
                usage.invocations(5 * M, 5 * M * 200, 1024, provisioned=True),
            ),
            ["134.76", "1.00", "12.13"],
        ),
        ("eu-west-1", usage.http_api(400 * M), ["433.00"]),
        ("eu-west-1", usage.rest_api(500 * M), ["1698.23"]),
    ],
)
def test_bills_of_other_regions(region, used, expected):
    """Line by line, to the cent."""
    found = bill(used, price_book(region))

    assert expected == [str(cents(line.usd)) for line in found.lines]
    assert [] == found.document()["prices"]["assumed"]


BREAK_EVENS = {
    ".600": ("us-east-1", "us-east-2", "us-west-2", "eu-south-1"),
    ".601": ("af-south-1",),
    ".596": ("ap-east-1",),
    ".585": ("me-south-1",),
    ".698": ("eu-north-1",),
    ".729": ("ap-south-1",),
    ".797": ("ca-central-1", "eu-west-1"),
    ".895": ("eu-west-2",),
    ".917": ("eu-west-3",),
    ".939": ("us-west-1",),
    "1.01": ("eu-central-1", "eu-central-2"),
    "1.09": ("ap-northeast-2",),
    "1.15": ("ap-southeast-1", "ap-southeast-5"),
    "1.18": ("ap-southeast-2", "ap-southeast-4"),
    "1.31": ("ap-northeast-1", "ap-northeast-3"),
    "5.6": ("sa-east-1",),
}


@pytest.mark.parametrize(
    ("expected", "region"), [(one, region) for one, regions in BREAK_EVENS.items() for region in regions]
)
def test_provisioned_concurrency_pays_above_a_use_that_each_region_has_by_itself(expected, region):
    """Standing over what is saved inside."""
    places = len(expected.partition(".")[2])

    assert Decimal(expected) == round(break_even(price_book(region)), places)


@given(st.sampled_from(REGIONS), st.floats(0.01, 2000))
def test_where_provisioned_concurrency_never_pays_the_advice_is_none(region, erlangs):
    """No load keeps an environment busy for more than all of the time."""
    least = break_even(price_book(region))

    assert least < 1 or 0 == cheapest(erlangs, float(least)).environments


@given(st.sampled_from(REGIONS))
def test_a_line_without_a_price_of_its_region_says_assumed(region):
    """And only such a line: its price is us-east-1's."""
    book, home = price_book(region), price_book("us-east-1")
    unverified = {name for name in book.assumed if "provisioned" in name and name.endswith("arm64")}

    assert all(book.meters[name] == home.meters[name] for name in book.assumed - unverified)
    assert book.assumed <= book.meters.keys()
    assert set() == book.assumed or region != "us-east-1"


def test_a_price_of_ones_own_is_not_assumed():
    """The file has what the list lacks."""
    book = overridden(price_book("ap-south-2"), {"meters": {"lambda.duration.arm64": "0.00001"}})

    assert "lambda.duration.arm64" not in book.assumed
    assert "lambda.provisioned.standing.x86_64" in book.assumed


@pytest.mark.parametrize(
    ("region", "expected"), [("us-east-1", 91), ("eu-west-2", 687), ("ap-south-2", 718), ("eu-west-1", 79)]
)
def test_the_age_of_a_list_is_counted_from_the_last_day_its_date_may_mean(region, expected):
    """A day, a month, a year, or a span of them."""
    assert expected == age_days(price_book(region).published, date(2026, 12, 19))


@pytest.mark.parametrize("published", ["soon", "", "2026-13", "2026-02-30"])
def test_a_date_that_cannot_be_read_has_no_age(published):
    """Such as one in a file of the reader's own."""
    assert age_days(published, date(2026, 12, 19)) is None


@pytest.mark.parametrize(
    "command",
    [
        ["cost", "--requests", "1000", "--duration-ms", "100"],
        ["plan", "--traffic", "1", "--duration-ms", "100"],
        ["simulate", "--traffic", "1", "--duration-ms", "100", "--seconds", "10"],
    ],
    ids=lambda words: words[0],
)
def test_that_prices_are_old_is_said_in_every_output(command, tmp_path):
    """Terminal, JSON and HTML."""
    page = tmp_path / "page.html"
    html = [] if command[0] == "cost" else ["--html", str(page)]
    said = "the prices of eu-west-2 are at least"
    asked = [*command, "--region", "eu-west-2"]
    text = CliRunner().invoke(main, [*asked, *html]).stdout
    document = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)
    prices = document.get("cost", document)["prices"]

    assert said in text
    assert said in " ".join(prices["assumptions"])
    assert not html or said in page.read_text(encoding="utf-8")


def test_tune_says_so_too_and_has_no_month():
    """Its figures are of an invocation: no free tier, no days."""
    options = {"prices": None, "region": "eu-west-2", "savings_plan": None, "plan_years": "1"}
    refused = [CliRunner().invoke(main, ["tune", "a.b", *one]) for one in (["--free-tier"], ["--days", "3"])]

    assert "the prices of eu-west-2 are at least" in " ".join(prices_of(options).assumptions)
    assert [2, 2] == [one.exit_code for one in refused]
    assert all("would change nothing" in one.output for one in refused)
