"""`engine plan`: load, cold starts, throttles and the bill of a function, by formulas."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, NoReturn

import click

from engine.cli.mapping_options import RequiredUnlessBacklog, mapping_options
from engine.cli.model_options import (
    OBJECTIVE_FAILED,
    Count,
    book_of,
    container_options,
    function_of,
    function_options,
    is_given,
    money_options,
    number,
    objective_options,
    objectives_of,
    output_options,
    refuse,
    refuse_unused,
    sizes_of,
    take,
    write,
)
from engine.cli.plan.against import Asked, assumptions_of_log, observed_runs, taken_from_log
from engine.cli.plan.backlog import drain_of
from engine.cli.plan.beside import (
    AccountAnswer,
    answer_together,
    attempt_options,
    load_beside,
    load_of,
    traffic_option,
)
from engine.cli.plan.beside import lines as lines_of_account
from engine.cli.plan.beside import page as page_of_account
from engine.cli.plan.memory import SizeDurations, durations_of_cpu, durations_of_file, memory_table, unkept
from engine.cli.plan.monthly_prices import MonthlyPrices
from engine.cli.plan.page import ReportContent, page
from engine.cli.plan.text import lines
from engine.cli.prediction_tables import (
    NotedTable,
    comparison_rows,
    container_rows,
    keep_alive_rows,
    plan_rows,
    provision_rows,
    scaled_table,
)
from engine.core.function import Account, Function
from engine.model.cost.bill import bill
from engine.model.cost.containers import (
    Container,
    ContainerComparison,
    container_assumptions,
    containers_instead,
)
from engine.model.cost.memory_sizes import SIZES_MB
from engine.model.cost.monthly import FRONT_DOORS, Month, assumptions
from engine.model.cost.price_book import PriceBook
from engine.model.distributions import Distribution
from engine.model.queueing import comparison, recommendations
from engine.model.queueing.analytic import predict
from engine.model.queueing.memory_search import SizeAnswer, answers_by_memory, cheapest_kept
from engine.model.queueing.objectives import Objectives, Verdict, documents, overall
from engine.model.queueing.prediction import Prediction
from engine.model.queueing.search import UNRESERVED, Predicted, fewest_provisioned, smallest_reservation
from engine.model.simulation.workload import Trigger

_OF_ONE = (
    "find",
    "against",
    "within",
    "container",
    "front_door",
    "log_bytes",
    "savings_plan",
    "cpu_ms",
    "tuned",
    "sizes",
)
"""Options that several functions have no use for."""

_REPEATED = "owed for each hour, used or not; the time looked at repeats itself, use goes with requests"


@click.command("plan")
@traffic_option(cls=RequiredUnlessBacklog)
@click.option("--hours", type=number(above=True), default=24.0, show_default=True, help="looked at")
@function_options
@attempt_options
@click.option(
    "--beside",
    multiple=True,
    metavar="'NAME OPTIONS'",
    help="another function of the account, options as here: 'pay --traffic 20 --reserved 50'; repeatable",
)
@click.option(
    "--find",
    type=click.Choice(["reserved", "provisioned", "memory"]),
    help="the smallest reserved concurrency that keeps --throttles; the fewest provisioned ones for --cold; "
    "the memory size that keeps all objectives for the least money",
)
@click.option(
    "--cpu-ms",
    type=number(above=True),
    help="of --duration-ms, on average, at one vCPU: what shrinks as memory grows",
)
@click.option("--tuned", metavar="FILE", help="answer of engine tune --json: durations at each memory size")
@click.option(
    "--sizes",
    default=",".join(map(str, SIZES_MB)),
    show_default=True,
    help="memory sizes to choose from, MB, by commas",
)
@click.option("--front-door", type=click.Choice(FRONT_DOORS), default="none", show_default=True)
@click.option("--sqs-batch", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option(
    "--sqs-send-batch",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="messages that producers send in one call",
)
@mapping_options
@click.option("--log-bytes", type=Count(), default=0, help="of log lines, each invocation")
@click.option(
    "--against",
    metavar="FILE",
    help="REPORT lines of the function: predict as long as they last, and print both",
)
@click.option(
    "--function", "of", help="function of that file, if it has several; name of this one, with --beside"
)
@click.option("--within", type=number(0, 100), help="objective: % that prediction and REPORT lines differ")
@container_options
@money_options
@objective_options
@output_options
@click.pass_context
def plan(
    context: click.Context, /, *, as_json: bool, html: str | None, hours: float, traffic: Any, **options: Any
) -> None:
    """Predict what TRAFFIC does to a function, by formulas: answers in a second, at any size.

    Steady traffic is answered by queueing formulas, any other by the fluid model. Prints the verdict on
    the objectives first; exit code 3 if one is not kept.

    With --backlog: when the messages that wait in a queue are drained, and what that costs; TRAFFIC is then
    what comes meanwhile.
    """
    backlog = options.pop("backlog")
    if backlog is not None:
        drain_of(context, backlog, traffic, options, as_json=as_json, html=html)
        return
    refuse_unused(context, "needs --backlog", "maximum_concurrency", "provisioned_pollers")
    take(options, "maximum_concurrency", "provisioned_pollers")
    if options["front_door"] != "sqs":
        refuse_unused(context, "needs --front-door sqs", "sqs_batch", "sqs_send_batch")
    if options["savings_plan"] is None:
        refuse_unused(context, "needs --savings-plan", "plan_years")
    if not options["container"]:
        refuse_unused(context, "needs --container", "at_once")
    objectives = objectives_of(options)
    function, account, service, init = function_of(options, options["of"] or "function")
    book, free_tier, days = book_of(options)
    beside = options.pop("beside")
    if beside:
        refuse_unused(context, "several functions are planned without it", *_OF_ONE)
        said = {**options, "traffic": traffic, "service": service, "init": init}
        loads = [load_of(function, account, hours * 3600, said)]
        loads += [load_beside(text, account, hours * 3600) for text in beside]
        _tell(answer_together(loads, objectives, book, free_tier, days), html, as_json=as_json)
    asked = Asked(function, service, init, hours * 3600)
    wanted = options.pop("find")
    against, of, within = (options.pop(name) for name in ("against", "of", "within"))
    runs = None
    taken: list[str] = []
    if against is None:
        refuse_unused(context, "needs --against", "of", "within")
    elif wanted == "memory":
        refuse(["--find memory: --against holds a plan against a log of one memory size"])
    else:
        runs = observed_runs(against, of, function.memory_mb)
        asked, taken = taken_from_log(runs, asked, against, partial(is_given, context))
    function, service, init, horizon_s = asked
    containers, at_once = options.pop("container"), options.pop("at_once")
    error_share = options.pop("errors") / 100
    trigger = Trigger.ASYNCHRONOUS if options.pop("asynchronous") else Trigger.SYNCHRONOUS
    durations = _durations(context, wanted, function, service, **take(options, "cpu_ms", "tuned", "sizes"))
    if durations is not None and durations.init is not None and not is_given(context, "init"):
        init = durations.init

    def predicted(function: Function, service: Distribution = service, *, rough: bool = False) -> Prediction:
        return predict(
            function,
            account,
            traffic,
            horizon_s=horizon_s,
            service=service,
            init=init,
            error_share=error_share,
            trigger=trigger,
            rough=rough,
        )

    prices = MonthlyPrices(book, free_tier, Month(requests=0, days=days, **options), traffic)
    sizes: list[SizeAnswer] = []
    if wanted is None:
        found = predicted(function)
    elif durations is not None:
        sizes = answers_by_memory(
            durations.at,
            lambda size: predicted(replace(function, memory_mb=size), durations.at[size]),
            lambda found: prices.bill(found).usd,
            objectives,
        )
        best = cheapest_kept(sizes)
        if best is None:
            refuse([unkept(sizes)])
        found = replace(best.prediction, assumptions=(*best.prediction.assumptions, *durations.assumptions))
        service = durations.at[best.memory_mb]
    else:
        found = _searched(wanted, predicted, function, account, objectives)
    function = found.function
    instead = [_instead(found, book, days, one, at_once) for one in containers]
    more_said = (*assumptions(prices.month), *container_assumptions(instead))
    found = replace(found, assumptions=(*found.assumptions, *more_said))
    priced, offers = prices.bill(found), prices.offers(found)
    checks = objectives.checks(found, priced.usd)
    more = {
        "savings_plans": [one.document() for one in offers],
        **({"containers": [one.document() for one in instead]} if instead else {}),
        **({"memory_sizes": [one.document() for one in sizes]} if sizes else {}),
        **_recommended(Asked(function, service, init, horizon_s), account, traffic, found, prices),
    }
    compared: list[comparison.ComparisonRow] = []
    if runs is not None:
        predicted_usd = float(bill(found.usage(), book).usd)
        seen = runs.figures(horizon_s, book, function.architecture)
        compared = comparison.compared(comparison.figures(found, predicted_usd), seen)
        found = replace(found, assumptions=(*found.assumptions, *assumptions_of_log(taken)))
        more["predicted_and_observed"] = comparison.document(compared)
        more["taken_from_the_log"] = taken
    document = {
        "verdict": overall(checks).value,
        "objectives": documents(checks),
        "traffic": str(traffic),
        **({} if wanted is None else {"found": {wanted: _number_of(wanted, function)}}),
        **found.document(),
        "cost": {**priced.document(), "days": days},
        **more,
    }
    report = ReportContent(
        title=f"{traffic} requests/s on {function.memory_mb} MB",
        prediction=found,
        bill=priced,
        bill_of=f"a month of {days} days",
        checks=checks,
        document=document,
        tables={
            "Memory": memory_table(sizes),
            "More traffic": scaled_table(document),
            "Provisioned concurrency": NotedTable(provision_rows(document["provisioned"])),
            "Savings Plans": NotedTable(plan_rows(offers), _REPEATED if offers else ""),
            "Keep-alive": NotedTable(keep_alive_rows(document["keep_alive"])),
            "Instead of Lambda": NotedTable(container_rows(instead)),
            f"Against {against}": NotedTable(comparison_rows(compared)),
        },
    )
    if html is not None:
        write(html, page(report))
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(lines(report)))
    apart = within is not None and 100 * comparison.worst(compared) > within
    _exit(failed=apart or overall(checks) is Verdict.FAILS)


def _tell(answer: AccountAnswer, html: str | None, *, as_json: bool) -> NoReturn:
    """Print and write the answer for several functions."""
    if html is not None:
        write(html, page_of_account(answer))
    click.echo(json.dumps(answer.document(), indent=2) if as_json else "\n".join(lines_of_account(answer)))
    _exit(failed=overall(answer.all_checks) is Verdict.FAILS)


def _exit(*, failed: bool) -> NoReturn:
    raise click.exceptions.Exit(OBJECTIVE_FAILED if failed else 0)


def _recommended(
    asked: Asked,
    account: Account,
    traffic: Any,
    found: Prediction,
    prices: MonthlyPrices,
) -> dict[str, Any]:
    """What other traffic, provisioned concurrency and another keep-alive would change, and what to do."""
    function, service, init, horizon_s = asked
    book, month_s = prices.book, prices.month_s
    provided = recommendations.provisions(function, found, service, book, month_s, prices.free_tier)
    scaled = recommendations.scaled(
        function,
        account,
        traffic,
        horizon_s=horizon_s,
        service=service,
        init=init,
        book=book,
        month_s=month_s,
    )
    return {
        "traffic_times": recommendations.document(scaled),
        "limit_crossed_at_requests_per_s": recommendations.crossing_per_s(function, account, service),
        "provisioned": recommendations.document(provided),
        "keep_alive": [
            {"keep_alive_s": keep_s, "cold_share": cold, "environments": environments}
            for keep_s, cold, environments in recommendations.keep_alives(function, found, service)
        ],
        "recommendations": recommendations.recommendations(function, account, found, service, provided),
    }


def _instead(
    found: Prediction, book: PriceBook, days: int, container: Container, at_once: int
) -> ContainerComparison:
    """The predicted load on containers, enough for what is in flight for 99 % of the time."""
    return containers_instead(
        container,
        book,
        busy=math.ceil(found.concurrency_p99),
        billed_ms=Decimal(str(round(found.billed_ms / found.ran, 6))) if found.ran else 0,
        memory_mb=found.function.memory_mb,
        architecture=found.function.architecture,
        days=days,
        at_once=at_once,
    )


def _durations(
    context: click.Context,
    wanted: str | None,
    function: Function,
    service: Distribution,
    *,
    cpu_ms: float | None,
    tuned: str | None,
    sizes: str,
) -> SizeDurations | None:
    """How long a run takes at each memory size, if that is what is looked for; exits if it is not said."""
    if wanted != "memory":
        refuse_unused(context, "needs --find memory", "cpu_ms", "tuned", "sizes")
        return None
    if tuned is not None:
        refuse_unused(context, "--tuned says it", "service", "memory_mb", "cpu_ms", "sizes")
        return durations_of_file(tuned)
    if cpu_ms is None:
        refuse(["--find memory: needs --cpu-ms, the part of a run that shrinks with memory, or --tuned FILE"])
    return durations_of_cpu(service, cpu_ms, function.memory_mb, sizes_of(sizes))


def _searched(
    wanted: str,
    predicted: Predicted,
    function: Function,
    account: Account,
    objectives: Objectives,
) -> Prediction:
    """The answer with the smallest number of what is wanted; exits if there is none, or nothing to keep."""
    if wanted == "reserved":
        bound, option = objectives.throttled_percent, "--throttles"
    else:
        bound, option = objectives.cold_percent, "--cold"
    if bound is None:
        refuse([f"--find {wanted}: needs {option}, the percentage that is not to be passed"])
    if wanted == "reserved":
        most = account.concurrency_limit - UNRESERVED
        found = smallest_reservation(predicted, function, account, bound / 100)
    else:
        most = account.limit_of(function)
        found = fewest_provisioned(predicted, function, most, bound / 100)
    if found is None:
        refuse([f"--find {wanted}: {most:,} are not enough for {option} {bound:g}"])
    return found


def _number_of(wanted: str, function: Function) -> int | None:
    if wanted == "memory":
        return function.memory_mb
    return function.reserved_concurrency if wanted == "reserved" else function.provisioned_concurrency
