"""`engine plan --beside`: several functions under one account limit, one by one and in sum."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

import click

from engine.cli.model_options import Text, attempt_options, limited, one_function_options, refuse
from engine.cli.plan.page import cost_section, noted_html, verdict_heading
from engine.cli.prediction_tables import (
    NotedTable,
    assumption_lines,
    bill_rows,
    check_lines,
    count,
    dollars,
    percent,
    price_line,
    seconds,
    span,
)
from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import Bill, FreeTierChoice, bill
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import DAY_S, total
from engine.model.queueing.objectives import ObjectiveCheck, Objectives, documents, overall
from engine.model.queueing.planned_load import PlannedLoad
from engine.model.queueing.shared_pool import SharedPrediction, predict_together
from engine.model.simulation.workload import Trigger
from engine.model.traffic.shapes import parse_shape
from engine.report import page as kit
from engine.report.tables import text_table

F = TypeVar("F", bound=Callable[..., Any])


def traffic_option(cls: type[click.Option] = click.Option) -> Callable[[F], F]:
    """What comes to a function."""
    return click.option(
        "--traffic",
        cls=cls,
        type=Text("traffic", parse_shape),
        required=True,
        help="requests/s: a number, or poisson:R, constant:R, sine:MEAN:AMPLITUDE:PERIOD_S, "
        "step:BEFORE:AFTER:AT_S, ramp:BEFORE:AFTER:LENGTH_S, spike:BASE:PEAK:AT_S:LENGTH_S, "
        "onoff:RATE:ON_S:OFF_S",
    )


@click.command("beside", add_help_option=False)
@click.argument("name")
@traffic_option()
@attempt_options
@one_function_options
def _beside(**_options: Any) -> None:
    """Read options of another function; never run."""


def load_of(
    function: Function, account: Account, horizon_s: float, options: Mapping[str, Any]
) -> PlannedLoad:
    """A function with what comes to it, as the options say."""
    return PlannedLoad(
        function,
        account,
        options["traffic"],
        horizon_s,
        options["service"],
        options["init"],
        options["errors"] / 100,
        Trigger.ASYNCHRONOUS if options["asynchronous"] else Trigger.SYNCHRONOUS,
    )


def load_beside(text: str, account: Account, horizon_s: float) -> PlannedLoad:
    """The function that `text` describes: a name, and options as those of `engine plan`; exits if none."""
    try:
        options = _beside.make_context("--beside", shlex.split(text)).params
    except click.UsageError as error:
        refuse([f"--beside {text!r}: {error.format_message()}"])
    except ValueError as error:
        refuse([f"--beside {text!r}: {error}"])
    return load_of(limited(account, options, options["name"]), account, horizon_s, options)


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """Functions of one account: what becomes of them, priced and judged.

    Attributes:
        together: The predictions.
        bill, bills: Of a month, US dollars: of all, and of each alone.
        checks, own_checks: Objectives of all, and of each function.
        days: Length of the month.
    """

    together: SharedPrediction
    bill: Bill
    bills: Sequence[Bill]
    checks: Sequence[ObjectiveCheck]
    own_checks: Sequence[Sequence[ObjectiveCheck]]
    days: int

    @property
    def all_checks(self) -> list[ObjectiveCheck]:
        """Each function's, by its name, and those of all."""
        return [
            *(
                check._replace(name=f"{one.function.name}: {check.name}")
                for one, checks in zip(self.together.functions, self.own_checks, strict=True)
                for check in checks
            ),
            *self.checks,
        ]

    @property
    def assumptions(self) -> list[str]:
        """What is taken for granted of any of them, each sentence once."""
        said = (line for one in self.together.functions for line in one.assumptions)
        return [*dict.fromkeys([*said, *self.bill.book.assumptions])]

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        together = self.together
        return {
            "verdict": overall(self.all_checks).value,
            "objectives": documents(self.all_checks),
            "account": together.limits.document(),
            "requests": together.requests,
            "concurrency": {"mean": together.concurrency, "p99": together.concurrency_p99},
            "throttles": {"share": together.throttled_share},
            "cold_starts": {"share": together.cold_share},
            "functions": {
                one.function.name: {
                    "verdict": overall(checks).value,
                    "usd_per_month": str(priced.usd),
                    **one.document(),
                }
                for one, checks, priced in zip(together.functions, self.own_checks, self.bills, strict=True)
            },
            "cost": {**self.bill.document(), "days": self.days},
            "assumptions": self.assumptions,
        }


def answer_together(
    loads: Sequence[PlannedLoad],
    objectives: Objectives,
    book: PriceBook,
    free_tier: FreeTierChoice,
    days: int,
) -> AccountAnswer:
    """Predict, price and judge functions of one account; exits with one line if that cannot be."""
    names = [one.function.name for one in loads]
    if len({*names}) < len(names):
        refuse([f"--beside: two functions of one name ({', '.join(names)}); --function names the first"])
    try:
        together = predict_together(loads)
    except ValueError as error:
        refuse([str(error)])
    usages = [one.usage(days * DAY_S) for one in together.functions]
    priced = bill(total(*usages), book, free_tier=free_tier)
    return AccountAnswer(
        together,
        priced,
        [bill(one, book) for one in usages],
        objectives.checks_of_all(together.throttled_share, priced.usd),
        [objectives.checks(one, None) for one in together.functions],
        days,
    )


def lines(shown: AccountAnswer) -> list[str]:
    """Return verdict, functions, account and bill, line by line."""
    said = [*check_lines(shown.all_checks), ""] if shown.all_checks else []
    for name, table in _tables(shown).items():
        said += [name, *text_table(table.rows), *([table.note] if table.note else ()), ""]
    said += [_bill_of(shown), *text_table(bill_rows(shown.bill)), price_line(shown.bill), ""]
    return [*said, *assumption_lines(shown.assumptions)]


def page(shown: AccountAnswer) -> str:
    """Return the HTML of the page."""
    title = f"{len(shown.together.functions)} functions of one account"
    sections = [
        ("What was asked", "".join(f"<p>{escape(line)}</p>" for line in check_lines(shown.all_checks))),
        *((name, noted_html(table)) for name, table in _tables(shown).items()),
        (_bill_of(shown), cost_section(shown.bill)),
        ("What this takes for granted", kit.bullet_list(shown.assumptions)),
    ]
    return kit.page(
        f"Invocation engine: {title}",
        *(kit.section(name, inside) for name, inside in sections if inside),
        heading=title,
        header=verdict_heading(shown.all_checks),
        document=shown.document(),
    )


def _bill_of(shown: AccountAnswer) -> str:
    return f"A month of {shown.days} days"


def _tables(shown: AccountAnswer) -> dict[str, NotedTable]:
    return {"Functions": _function_table(shown), "Account": _account_table(shown.together)}


def _function_table(shown: AccountAnswer) -> NotedTable:
    together = shown.together
    rows: list[Sequence[str]] = [
        ("function", "requests/s", "reserved", "in flight", "99 % of time", "p99", "cold", "refused", "alone")
    ]
    for one, priced in zip(together.functions, shown.bills, strict=True):
        reserved = one.function.reserved_concurrency
        rows.append(
            (
                one.function.name,
                f"{one.mean_per_s:,.4g}",
                "shares" if reserved is None else f"{reserved:,}",
                f"{one.concurrency:,.4g}",
                count(one.concurrency_p99),
                seconds(one.all_times.percentiles_s[99.0]),
                percent(one.cold_share),
                percent(one.throttled_share),
                dollars(priced.usd),
            )
        )
    first = together.functions[0]
    rows.append(
        (
            f"all {len(together.functions)}",
            f"{together.requests / first.horizon_s:,.4g}",
            f"{together.limits.reserved:,}",
            f"{together.concurrency:,.4g}",
            count(together.concurrency_p99),
            "",
            percent(together.cold_share),
            percent(together.throttled_share),
            dollars(shown.bill.usd),
        )
    )
    methods = ", ".join(dict.fromkeys(one.method for one in together.functions))
    errors = "; ".join(dict.fromkeys(one.error for one in together.functions))
    how = f"{span(first.horizon_s)}; {methods}: {errors}"
    return NotedTable(rows, f"{how}; refusals of what is shared within 4 points if the traffic moves")


def _account_table(together: SharedPrediction) -> NotedTable:
    limits = together.limits
    return NotedTable(
        [
            ("of the account", "concurrency"),
            ("limit", f"{limits.limit:,}"),
            ("reserved", f"{limits.reserved:,}"),
            ("provisioned without a reservation", f"{limits.provisioned:,}"),
            ("shared by the functions without a reservation", f"{limits.shared:,}"),
        ]
    )
