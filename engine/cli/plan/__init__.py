"""`engine plan`: load, cold starts, throttles and the bill of a function, by formulas."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NoReturn

import click

from engine.cli.durable_options import PlannedExecutions, durable_of, durable_options
from engine.cli.mapping_options import RequiredUnlessBacklog, mapping_options, send_batch_option
from engine.cli.model_options import (
    OBJECTIVE_FAILED,
    Count,
    attempt_options,
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
    take,
    write,
)
from engine.cli.plan.against import Asked, ObservedLog, observed_runs
from engine.cli.plan.answer import answer_of
from engine.cli.plan.backlog import drain_of
from engine.cli.plan.beside import (
    AccountAnswer,
    answer_together,
    load_beside,
    load_of,
    traffic_option,
)
from engine.cli.plan.beside import lines as lines_of_account
from engine.cli.plan.beside import page as page_of_account
from engine.cli.plan.memory import durations_of
from engine.cli.plan.monthly_prices import MonthlyPrices
from engine.cli.plan.nodes import NodesQuestion, nodes_options
from engine.cli.plan.page import page
from engine.cli.plan.question import PlanQuestion, answer_to
from engine.cli.plan.text import lines
from engine.model.cost.memory_sizes import SIZES_MB
from engine.model.cost.monthly import FRONT_DOORS, Month
from engine.model.queueing.objectives import Verdict, overall
from engine.model.simulation.workload import Trigger

_OF_ONE = (
    "find",
    "against",
    "within",
    "container",
    "nodes",
    "front_door",
    "log_bytes",
    "savings_plan",
    "cpu_ms",
    "tuned",
    "sizes",
)
"""Options that several functions have no use for."""

_NOT_DURABLE = (
    *("backlog", "beside", "against", "container", "nodes", "front_door", "cpu_ms", "tuned", "sizes"),
)
"""Options that do not go with `--durable`."""


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
@send_batch_option
@mapping_options
@durable_options
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
@nodes_options
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
    durable = durable_of(context, options, *_NOT_DURABLE)
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
    nodes = NodesQuestion.of(context, options, function)
    book, free_tier, days = book_of(options)
    beside = options.pop("beside")
    if beside:
        refuse_unused(context, "several functions are planned without it", *_OF_ONE)
        said = {**options, "traffic": traffic, "service": service, "init": init}
        loads = [load_of(function, account, hours * 3600, said)]
        loads += [load_beside(text, account, hours * 3600) for text in beside]
        _tell(answer_together(loads, objectives, book, free_tier, days), html, as_json=as_json)
    executions = None if durable is None else PlannedExecutions.of(durable, function)
    if executions is not None:
        service, traffic = executions.sample.service, executions.invocations(traffic)
    asked, wanted = Asked(function, service, init, hours * 3600), options.pop("find")
    log = _log(context, wanted, function.memory_mb, **take(options, "against", "of", "within"))
    if log is not None:
        asked = log.completed(asked, partial(is_given, context))
    durations = durations_of(context, wanted, asked, **take(options, "cpu_ms", "tuned", "sizes"))
    if durations is not None and durations.init is not None and not is_given(context, "init"):
        asked = asked._replace(init=durations.init)
    containers, at_once = options.pop("container"), options.pop("at_once")
    error_share = options.pop("errors") / 100
    trigger = Trigger.ASYNCHRONOUS if options.pop("asynchronous") else Trigger.SYNCHRONOUS
    prices = MonthlyPrices(book, free_tier, Month(requests=0, days=days, **options), traffic)
    question = PlanQuestion(asked, account, traffic, error_share, trigger, prices, objectives, executions)
    found = answer_to(question, wanted, durations)
    answer = answer_of(question, found, containers=containers, at_once=at_once, nodes=nodes, log=log)
    report = answer.report()
    if html is not None:
        write(html, page(report))
    click.echo(json.dumps(report.document, indent=2) if as_json else "\n".join(lines(report)))
    missed = log is not None and log.is_missed(answer.compared)
    _exit(failed=missed or overall(answer.checks) is Verdict.FAILS)


def _log(
    context: click.Context,
    wanted: str | None,
    memory_mb: int,
    *,
    against: str | None,
    of: str | None,
    within: float | None,
) -> ObservedLog | None:
    """The log that `--against` names; exits if it cannot be held against this plan."""
    if against is None:
        refuse_unused(context, "needs --against", "of", "within")
        return None
    if wanted == "memory":
        refuse(["--find memory: --against holds a plan against a log of one memory size"])
    return ObservedLog(against, observed_runs(against, of, memory_mb), within)


def _tell(answer: AccountAnswer, html: str | None, *, as_json: bool) -> NoReturn:
    """Print and write the answer for several functions."""
    if html is not None:
        write(html, page_of_account(answer))
    click.echo(json.dumps(answer.document(), indent=2) if as_json else "\n".join(lines_of_account(answer)))
    _exit(failed=overall(answer.all_checks) is Verdict.FAILS)


def _exit(*, failed: bool) -> NoReturn:
    raise click.exceptions.Exit(OBJECTIVE_FAILED if failed else 0)
