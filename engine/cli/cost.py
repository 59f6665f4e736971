"""`engine cost`: what a month of invocations costs on AWS, line by line, exactly."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any, Final

import click

from engine.cli.model_options import (
    OBJECTIVE_FAILED,
    Text,
    book_of,
    money_options,
    number,
    refuse,
)
from engine.cli.plan.tables import bill_rows, dollars, price_line
from engine.core.billing import exactly
from engine.model.cost.bill import bill, plain
from engine.model.cost.monthly import FRONT_DOORS, Month, assumptions, document, what_ifs
from engine.report.tables import text_table

_COUNT = click.IntRange(min=0, max=10**15)
_UNITS: Final = {"k": 10**3, "M": 10**6, "G": 10**9}


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} must be 0 or more")
    return value


def _requests(text: str) -> int:
    """A whole number, also as 1e6, 2.5k, 3M or 1G."""
    unit = _UNITS.get(text[-1:], 1)
    value = _decimal(text if unit == 1 else text[:-1]) * unit
    if value != value.to_integral_value() or value > 10**15:
        raise ValueError(f"{text!r} must be a whole number up to 1e15")
    return int(value)


def _billed_ms(text: str) -> int:
    """Milliseconds that are billed: begun ones count."""
    value = _decimal(text)
    if value > 10**15:
        raise ValueError(f"{text!r} must be up to 1e15")
    return math.ceil(value)


@click.command("cost")
@click.option(
    "--requests",
    type=Text("requests", _requests),
    metavar="INTEGER RANGE",
    required=True,
    help="invocations a month, on demand: 3000000, 3e6 or 3M",
)
@click.option(
    "--duration-ms",
    type=Text("ms", _billed_ms),
    metavar="INTEGER RANGE",
    default=100,
    show_default=True,
    help="billed, of each: begun milliseconds count",
)
@click.option("--memory-mb", type=click.IntRange(128, 10_240), default=128, show_default=True)
@click.option("--architecture", type=click.Choice(["x86_64", "arm64"]), default="x86_64", show_default=True)
@click.option("--storage-mb", type=click.IntRange(512, 10_240), default=512, show_default=True)
@click.option("--cold-starts", type=_COUNT, default=0, help="invocations that initialised an environment")
@click.option("--init-ms", type=_COUNT, default=0, help="billed with each of these")
@click.option("--provisioned", type=_COUNT, default=0, help="environments of provisioned concurrency")
@click.option("--provisioned-hours", type=number(), help="how long it is enabled; default: the whole month")
@click.option("--provisioned-requests", type=_COUNT, default=0, help="invocations inside it")
@click.option("--provisioned-ms", type=_COUNT, default=0, help="billed duration of each of these")
@click.option("--snapstart", is_flag=True, help="of a Python or .NET function: each cold start restores")
@click.option("--event-kb", type=_COUNT, default=0, help="size of an asynchronous event")
@click.option("--streamed-mb", type=Text("mb", _decimal), default="0", help="size of a streamed response")
@click.option("--response-kb", type=_COUNT, default=0, help="that leaves AWS with each response")
@click.option("--log-bytes", type=_COUNT, default=0, help="log lines of each invocation")
@click.option("--front-door", type=click.Choice(FRONT_DOORS), default="none", show_default=True)
@click.option("--sqs-batch", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option(
    "--sqs-send-batch",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="messages that producers send in one call",
)
@money_options
@click.option("--budget", type=Text("usd", _decimal), help="exit with 3 if the bill is higher")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def cost(*, budget: Decimal | None, as_json: bool, **options: Any) -> None:
    """Price a month of invocations: Lambda, and what stands before and around it.

    Exit code 3 if the bill is above --budget.
    """
    book, free_tier, days = book_of(options)
    month = Month(**options, days=days)
    if month.cold_starts > month.requests:
        refuse([f"--cold-starts {month.cold_starts}: more than --requests {month.requests}"])
    if month.provisioned_requests and not month.provisioned:
        refuse(["--provisioned-requests: there is no --provisioned concurrency for them to run in"])
    usage = month.usage()
    sum_up = bill(usage, book, free_tier=free_tier)
    others = what_ifs(usage, book, free_tier)
    requests = month.requests + month.provisioned_requests
    found = document(sum_up, requests)
    granted = [*book.assumptions, *assumptions(month)]
    if as_json:
        found["assumptions"] = granted
        found["what_if"] = {name: plain(usd) for name, usd in others.items()}
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(text_table(bill_rows(sum_up))))
        if requests:
            with exactly():
                each = dollars(sum_up.usd * 1_000_000 / requests)
            click.echo(f"\n{each} for a million requests")
        click.echo("\n".join(text_table((f"  {name}", dollars(usd)) for name, usd in others.items())))
        click.echo(f"\n{price_line(sum_up)}")
        for assumption in granted:
            click.echo(f"- {assumption}")
    if budget is not None and sum_up.usd > budget:
        click.echo(f"FAILS: {dollars(sum_up.usd)} is above the budget of {dollars(budget)}", err=True)
        raise click.exceptions.Exit(OBJECTIVE_FAILED)
