"""What `cost`, `plan`, `simulate` and `tune` share: options, the price file, and how a mistake is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from click.core import ParameterSource

from engine.cli.price_age import STALE_DAYS, age_days
from engine.core.function import Account, Function
from engine.core.written_numbers import in_digits
from engine.errors import ConfigError
from engine.model.cost.bill import FreeTierChoice
from engine.model.cost.containers import parse_container
from engine.model.cost.price_book import PriceBook, price_book
from engine.model.cost.savings_plans import PAYMENTS, YEARS, with_savings_plan
from engine.model.distributions import Distribution, parse_distribution
from engine.model.queueing.objectives import Objectives

BAD_USAGE: Final = 2
OBJECTIVE_FAILED: Final = 3
"""Exit code when an objective is not kept."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def refuse(problems: Iterable[str]) -> NoReturn:
    """Say what is wrong, a line each, and exit."""
    for problem in problems:
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in problem)
        click.echo(f"error: {line}", err=True)
    raise click.exceptions.Exit(BAD_USAGE)


def is_given(context: click.Context, name: str) -> bool:
    """Whether the user wrote that option."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_unused(context: click.Context, reason: str, *names: str) -> None:
    """Exit if one of these options was given: each would change nothing, for that reason."""
    words = {one.name: one.opts[0] for one in context.command.params}
    given = [words[name] for name in names if is_given(context, name)]
    if given:
        refuse(f"{word}: would change nothing: {reason}" for word in given)


class Text(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """An option that `parse` reads; a ValueError of it is the message."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, read."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Count(click.IntRange):
    """A whole number from `min` up, as people write it: 3000000, 3e6, 2.5k, 3M or 1G."""

    def __init__(self, max: int | None = None, min: int = 0) -> None:  # noqa: A002  # as click has them
        super().__init__(min=min, max=max)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        written: Any = in_digits(value) if isinstance(value, str) else value
        return super().convert(written, param, ctx)


def number(least: float = 0.0, most: float | None = None, *, above: bool = False) -> click.FloatRange:
    """A number from `least` (or above it) to `most`."""
    return click.FloatRange(min=least, max=most, min_open=above)


def _service(text: str) -> Distribution:
    distribution = parse_distribution(text)
    if distribution.mean_s <= 0:
        raise ValueError(f"{text!r}: a handler takes more than 0 milliseconds")
    return distribution


_COUNT: Final = Count()


def one_function_options(command: F) -> F:
    """What is said of a function."""
    options = (
        click.option(
            "--duration-ms",
            "service",
            type=Text("law", _service),
            default="100",
            show_default=True,
            help="in the handler: MS, exp:MEAN or lognormal:MEDIAN:P99",
        ),
        click.option(
            "--init-ms",
            "init",
            type=Text("law", parse_distribution),
            default="300",
            show_default=True,
            help="of an environment, as above",
        ),
        click.option("--memory-mb", type=click.IntRange(128, 10_240), default=128, show_default=True),
        click.option(
            "--architecture", type=click.Choice(["x86_64", "arm64"]), default="x86_64", show_default=True
        ),
        click.option("--timeout-s", type=number(0, 900, above=True), default=3.0, show_default=True),
        click.option("--reserved", type=_COUNT, metavar="R", help="reserved concurrency"),
        click.option("--provisioned", type=_COUNT, default=0, metavar="P", help="provisioned concurrency"),
        click.option(
            "--keep-alive-s",
            type=number(),
            default=600.0,
            show_default=True,
            help="how long an idle environment lives; AWS does not say",
        ),
    )
    return with_options(command, options)


def function_options(command: F) -> F:
    """What is said of a function and its account."""
    options = (
        one_function_options,
        click.option("--concurrency-limit", type=click.IntRange(min=1), default=1000, show_default=True),
        click.option(
            "--scaling-rate",
            type=_COUNT,
            default=1000,
            show_default=True,
            help="environments that may be added per 10 s; 0 = any number",
        ),
        click.option(
            "--requests-per-concurrency",
            type=_COUNT,
            default=10,
            show_default=True,
            help="synchronous requests/s that each unit of concurrency admits; 0 = any number",
        ),
    )
    return with_options(command, options)


def attempt_options(command: F) -> F:
    """Whether events are tried again, and how much of what runs fails."""
    asynchronous = click.option("--asynchronous", is_flag=True, help="events are tried again, as Lambda does")
    errors = click.option("--errors", type=number(0, 100), default=0.0, help="% of invocations that fail")
    return asynchronous(errors(command))


def price_options(command: F) -> F:
    """Where prices come from; `prices_of` reads them."""
    options = (
        click.option("--region", default="us-east-1", show_default=True),
        click.option("--prices", metavar="FILE", help="a JSON file of prices that replace the shipped ones"),
        click.option("--savings-plan", type=click.Choice(PAYMENTS), help="Compute Savings Plan"),
        click.option(
            "--plan-years", type=click.Choice([str(one) for one in YEARS]), default="1", show_default=True
        ),
    )
    return with_options(command, options)


def money_options(command: F) -> F:
    """The same, and what the bill of a month needs; `book_of` reads them."""
    options = (
        price_options,
        click.option("--free-tier", is_flag=True, help="subtract the free tier"),
        click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="of a month"),
    )
    return with_options(command, options)


def container_options(command: F) -> F:
    """What Lambda is held against."""
    options = (
        click.option(
            "--container",
            type=Text("container", parse_container),
            multiple=True,
            help="instead of Lambda: fargate:VCPU:GB, fargate-arm64:VCPU:GB, ec2:TYPE or dollars an hour; "
            "repeatable",
        ),
        click.option(
            "--at-once",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="requests that one of these serves at a time",
        ),
    )
    return with_options(command, options)


def objective_options(command: F) -> F:
    """What is asked of the function: exit code 3 if it is not kept."""
    options = (
        click.option("--p99-ms", type=number(above=True), help="objective: 99 % of responses within"),
        click.option("--cold", "cold_percent", type=number(0, 100), help="objective: % of cold starts"),
        click.option("--throttles", "throttled_percent", type=number(0, 100), help="objective: % refused"),
        click.option(
            "--failures",
            "failed_percent",
            type=number(0, 100),
            help="objective: % of attempts that fail, time-outs included; more than 0.1 warns in any case",
        ),
        click.option("--budget", "usd_per_month", type=number(), help="objective: US dollars a month"),
    )
    return with_options(command, options)


def output_options(command: F) -> F:
    """How the answer is given."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="print one JSON object"),
        click.option("--html", metavar="FILE", help="write the report as one HTML file"),
    )
    return with_options(command, options)


def take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Move those options out of `options`."""
    return {name: options.pop(name) for name in names}


def function_of(
    options: dict[str, Any], name: str = "function"
) -> tuple[Function, Account, Distribution, Distribution]:
    """The function, its account, and the laws of service and init, taken out of `options`."""
    account = Account(
        region=options["region"],
        concurrency_limit=options.pop("concurrency_limit"),
        scaling_rate=options.pop("scaling_rate"),
        requests_per_concurrency=options.pop("requests_per_concurrency"),
    )
    function = limited(account, options, name)
    return function, account, options.pop("service"), options.pop("init")


def limited(account: Account, options: dict[str, Any], name: str) -> Function:
    """A function with its limits, taken out of `options`; exits if the account has not that much."""
    reserved, provisioned = options.pop("reserved"), options.pop("provisioned")
    ceiling = account.concurrency_limit if reserved is None else reserved
    if provisioned > ceiling:
        refuse([f"--provisioned {provisioned}: more than the {ceiling} that may run at a time"])
    if reserved is not None and reserved > account.concurrency_limit:
        refuse([f"--reserved {reserved}: more than --concurrency-limit {account.concurrency_limit}"])
    return Function(
        name,
        handler="handler.handler",
        reserved_concurrency=reserved,
        provisioned_concurrency=provisioned,
        **take(options, "memory_mb", "architecture", "timeout_s", "keep_alive_s"),
    )


def book_of(options: dict[str, Any]) -> tuple[PriceBook, FreeTierChoice, int]:
    """The prices, what is free, and the days of a month, taken out of `options`."""
    free = FreeTierChoice.ALWAYS if options.pop("free_tier") else FreeTierChoice.NONE
    return prices_of(options), free, options.pop("days")


def prices_of(options: dict[str, Any]) -> PriceBook:
    """The prices, taken out of `options`; that they are old stands among what they take for granted."""
    path, region, plan = options.pop("prices"), options.pop("region"), options.pop("savings_plan")
    years = int(options.pop("plan_years"))
    try:
        book = price_book(region, None if path is None else price_file(path))
        if plan is not None:
            book = with_savings_plan(book, plan, years)
    except ConfigError as error:
        refuse(f"{path}: {one}" if path is not None else one for one in error.problems)
    age = age_days(book.published, datetime.now(UTC).date())
    if age is not None and age > STALE_DAYS:
        old = f"the prices of {book.region} are at least {age} days old: see --prices"
        click.echo(f"warning: {old}", err=True)
        book = replace(book, assumptions=(old, *book.assumptions))
    return book


def objectives_of(options: dict[str, Any]) -> Objectives:
    """What is asked for, taken out of `options`."""
    return Objectives(
        **take(options, "p99_ms", "cold_percent", "throttled_percent", "failed_percent", "usd_per_month")
    )


def sizes_of(text: str) -> list[int]:
    """Memory sizes written with commas, MB; exits if they are none."""
    try:
        sizes = [int(one) for one in text.split(",")]
    except ValueError:
        refuse([f"--sizes {text}: must be whole numbers of MB, by commas"])
    if not all(128 <= one <= 10_240 for one in sizes):
        refuse([f"--sizes {text}: memory is 128 to 10240 MB"])
    return sizes


def price_file(path: str) -> Mapping[str, Any]:
    """The document of a price file, its numbers exact; exits if it is none."""
    text = text_of(path)
    try:
        document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except ValueError as error:
        refuse([f"{path}: is no JSON: {error}"])
    if not isinstance(document, dict):
        refuse([f"{path}: must be a JSON object"])
    return document


def json_of(path: str) -> Any:
    """The JSON document in the file; exits if it is none."""
    try:
        return json.loads(text_of(path))
    except ValueError as error:
        refuse([f"{path}: is no JSON: {error}"])


def text_of(path: str) -> str:
    """What is in the file; exits if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        refuse([f"{path}: {getattr(error, 'strerror', None) or error}"])


def write(path: str, text: str) -> None:
    """Write the file; exits if it cannot be."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        refuse([f"{path}: {error.strerror or error}"])


def with_options(command: F, options: Iterable[Callable[[F], F]]) -> F:
    """`command` with these, in the order in which `--help` lists them."""
    for option in reversed(tuple(options)):
        command = option(command)
    return command
