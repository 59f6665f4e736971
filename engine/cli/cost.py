"""`engine cost`: what a month of invocations costs on AWS, line by line, exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

import click

from engine.cli.mapping_options import send_batch_option
from engine.cli.model_options import (
    OBJECTIVE_FAILED,
    Count,
    Text,
    book_of,
    container_options,
    money_options,
    number,
    refuse,
    refuse_unused,
    take,
)
from engine.cli.prediction_tables import bill_rows, container_rows, dollars, plan_rows, price_line
from engine.core.billing import exactly
from engine.core.written_numbers import in_digits
from engine.model.cost.bill import Bill, FreeTierChoice, bill, plain
from engine.model.cost.commitments import committed, plan_offers
from engine.model.cost.containers import (
    Container,
    ContainerComparison,
    container_assumptions,
    containers_instead,
)
from engine.model.cost.monthly import FRONT_DOORS, Month, assumptions, document, what_ifs, with_memory
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import DAY_S, Usage
from engine.model.distributions import Capped, mean_billed_ms, parse_distribution
from engine.model.queueing.formulas import poisson_quantile
from engine.report.tables import text_table

_MAX_MB: Final = 10_240
_LONGEST_S: Final = 900.0
"""Lambda's longest time-out: nothing that is billed takes longer."""

_COUNT: Final = Count(max=10**15)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} must be 0 or more")
    return value


def _billed_ms(text: str) -> int | Decimal:
    """Milliseconds that are billed, begun ones count; of a law, their mean."""
    if ":" in text:
        mean_ms = mean_billed_ms(Capped(parse_distribution(text), _LONGEST_S))
        return Decimal(str(round(mean_ms, 6)))
    value = _decimal(in_digits(text))
    if value > 10**15:
        raise ValueError(f"{text!r} must be up to 1e15")
    return math.ceil(value)


def _ratio(text: str) -> Decimal:
    value = _decimal(text)
    if not value:
        raise ValueError(f"{text!r} must be above 0")
    return value


def _percent(text: str) -> Decimal:
    """A share, written in percent."""
    value = _decimal(text)
    if value > 100:
        raise ValueError(f"{text!r} must be up to 100")
    return value / 100


_MS: Final = Text("ms", _billed_ms)


@click.command("cost")
@click.option(
    "--requests",
    type=_COUNT,
    required=True,
    help="invocations a month, on demand: 3000000, 3e6 or 3M",
)
@click.option(
    "--duration-ms",
    type=_MS,
    metavar="INTEGER RANGE",
    default=100,
    show_default=True,
    help="billed, of each: MS (begun ones count), exp:MEAN or lognormal:MEDIAN:P99",
)
@click.option("--memory-mb", type=click.IntRange(128, 10_240), default=128, show_default=True)
@click.option("--architecture", type=click.Choice(["x86_64", "arm64"]), default="x86_64", show_default=True)
@click.option("--storage-mb", type=click.IntRange(512, 10_240), default=512, show_default=True)
@click.option("--cold-starts", type=_COUNT, default=0, help="invocations that initialised an environment")
@click.option("--init-ms", type=_MS, metavar="INTEGER RANGE", default=0, help="billed with each of these")
@click.option("--provisioned", type=_COUNT, default=0, help="environments of provisioned concurrency")
@click.option("--provisioned-hours", type=number(), help="how long it is enabled; default: the whole month")
@click.option("--provisioned-requests", type=_COUNT, default=0, help="invocations inside it")
@click.option(
    "--provisioned-ms",
    type=_MS,
    metavar="INTEGER RANGE",
    default=0,
    help="billed duration of each of these",
)
@click.option("--snapstart", is_flag=True, help="of a Python or .NET function: each cold start restores")
@click.option("--event-kb", type=_COUNT, default=0, help="size of an asynchronous event")
@click.option("--streamed-mb", type=Text("mb", _decimal), default="0", help="size of a streamed response")
@click.option("--response-kb", type=_COUNT, default=0, help="that leaves AWS with each response")
@click.option("--log-bytes", type=_COUNT, default=0, help="log lines of each invocation")
@click.option("--front-door", type=click.Choice(FRONT_DOORS), default="none", show_default=True)
@click.option("--sqs-batch", type=click.IntRange(1, 10_000), default=10, show_default=True)
@send_batch_option
@click.option("--nat-gateways", type=_COUNT, default=0, help="NAT gateways, which stand all month")
@click.option("--nat-kb", type=_COUNT, default=0, help="that go through them with each invocation")
@click.option("--executions", type=_COUNT, default=0, help="durable executions of these invocations")
@click.option("--durable-operations", type=_COUNT, default=0, help="of each execution")
@click.option("--durable-kb", type=_COUNT, default=0, help="that each execution writes")
@click.option("--durable-days", type=_COUNT, default=0, help="that it is kept, running and after")
@click.option(
    "--managed-hours",
    type=Text("hours", _decimal),
    default="0",
    help="of Managed Instances, all together: they run the on-demand requests",
)
@click.option("--instance-usd", type=Text("usd", _decimal), default="0", help="an hour of one, on demand")
@click.option(
    "--instance-discount", type=Text("percent", _percent), default="0", help="% that a plan takes off it"
)
@money_options
@click.option("--commitment", type=Text("usd", _decimal), help="US dollars an hour, with --savings-plan")
@click.option(
    "--arm-speed", type=Text("ratio", _ratio), help="how many times as fast as x86_64 arm64 is, as measured"
)
@click.option(
    "--cpu-ms", type=Text("ms", _ratio), help="of each duration, at one vCPU: prices twice the memory too"
)
@container_options
@click.option("--budget", type=Text("usd", _decimal), help="exit with 3 if the bill is higher")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
@click.pass_context
def cost(context: click.Context, /, *, budget: Decimal | None, as_json: bool, **options: Any) -> None:
    """Price a month of invocations: Lambda, and what stands before and around it.

    Exit code 3 if the bill is above --budget.
    """
    _refuse_what_changes_nothing(context, options)
    book, free_tier, days = book_of(options)
    otherwise = take(options, "commitment", "arm_speed", "cpu_ms", "container", "at_once")
    month = Month(**options, days=days)
    if month.cold_starts > month.requests:
        refuse([f"--cold-starts {month.cold_starts}: more than --requests {month.requests}"])
    if month.provisioned_requests and not month.provisioned:
        refuse(["--provisioned-requests: there is no --provisioned concurrency for them to run in"])
    sum_up = _bill(month, otherwise["commitment"], month.usage(), book, free_tier)
    others = _others(month, book, free_tier, otherwise)
    offers = plan_offers(
        month.usage(), book, hours=days * 24, free_tier=free_tier, extra_usd=month.given_usd()
    )
    compared = [_compared(month, book, one, otherwise["at_once"]) for one in otherwise["container"]]
    requests = month.requests + month.provisioned_requests
    found = document(sum_up, requests)
    granted = [*sum_up.book.assumptions, *assumptions(month), *container_assumptions(compared)]
    if compared:
        granted.append("containers: requests come at the same rate all month (engine plan knows others)")
    if as_json:
        found["assumptions"] = granted
        found["what_if"] = {name: plain(usd) for name, usd in others.items()}
        found["savings_plans"] = [one.document() for one in offers]
        if compared:
            found["containers"] = [one.document() for one in compared]
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(text_table(bill_rows(sum_up))))
        if requests:
            with exactly():
                each = dollars(sum_up.usd * 1_000_000 / requests)
            click.echo(f"\n{each} for a million requests")
        click.echo("\n".join(text_table((f"  {name}", dollars(usd)) for name, usd in others.items())))
        for rows in (plan_rows(offers), container_rows(compared)):
            if len(rows) > 1:
                click.echo("\n" + "\n".join(text_table(rows)))
        click.echo(f"\n{price_line(sum_up)}")
        for assumption in granted:
            click.echo(f"- {assumption}")
    if budget is not None and sum_up.usd > budget:
        click.echo(f"FAILS: {dollars(sum_up.usd)} is above the budget of {dollars(budget)}", err=True)
        raise click.exceptions.Exit(OBJECTIVE_FAILED)


def _refuse_what_changes_nothing(context: click.Context, options: Mapping[str, Any]) -> None:
    """Exit if an option was given that needs another."""
    if not options["nat_gateways"]:
        refuse_unused(context, "needs --nat-gateways", "nat_kb")
    if not options["executions"]:
        refuse_unused(context, "needs --executions", "durable_operations", "durable_kb", "durable_days")
    if not options["managed_hours"]:
        refuse_unused(context, "needs --managed-hours", "instance_usd", "instance_discount")
    elif not options["instance_usd"]:
        refuse(["--managed-hours: needs --instance-usd, the price of one of them an hour"])
    if options["savings_plan"] is None:
        refuse_unused(context, "needs --savings-plan", "plan_years", "commitment")
    if not options["container"]:
        refuse_unused(context, "needs --container", "at_once")


def _others(
    month: Month, book: PriceBook, free_tier: FreeTierChoice, otherwise: Mapping[str, Any]
) -> dict[str, Decimal]:
    """What the month would cost otherwise, by how."""
    price = partial(_usd, month, otherwise["commitment"])
    found = what_ifs(month.usage(), book, free_tier, arm_speed=otherwise["arm_speed"], price=price)
    if otherwise["cpu_ms"] is not None:
        try:
            twice = with_memory(month, min(2 * month.memory_mb, _MAX_MB), otherwise["cpu_ms"])
        except ValueError as error:
            refuse([f"--cpu-ms: {error}"])
        found[f"with {twice.memory_mb} MB, {twice.duration_ms} ms each"] = price(
            twice.usage(), book, free_tier
        )
    return found


def _bill(
    month: Month, commitment_usd: Decimal | None, usage: Usage, book: PriceBook, free_tier: FreeTierChoice
) -> Bill:
    """The bill of a usage, with what the month has besides: instances, and a commitment."""
    found = bill(usage, book, free_tier=free_tier, extra_usd=month.given_usd())
    return found if commitment_usd is None else committed(found, commitment_usd, month.days * 24)


def _usd(
    month: Month, commitment_usd: Decimal | None, usage: Usage, book: PriceBook, free_tier: FreeTierChoice
) -> Decimal:
    return _bill(month, commitment_usd, usage, book, free_tier).usd


def _compared(month: Month, book: PriceBook, container: Container, at_once: int) -> ContainerComparison:
    """All of the month's requests on containers instead."""
    in_flight = month.requests * float(month.duration_ms) / 1000 / (month.days * DAY_S)
    return containers_instead(
        container,
        book,
        busy=poisson_quantile(in_flight, 0.99),
        billed_ms=month.duration_ms,
        memory_mb=month.memory_mb,
        architecture=month.architecture,
        days=month.days,
        at_once=at_once,
    )
