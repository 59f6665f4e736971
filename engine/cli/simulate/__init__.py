"""`engine simulate`: plays traffic or a trace on the engine's own rules, in simulated time."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import click

from engine.cli.model_options import (
    OBJECTIVE_FAILED,
    Text,
    book_of,
    function_of,
    function_options,
    is_given,
    json_of,
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
from engine.cli.simulate.live import Live, live
from engine.cli.simulate.page import page
from engine.cli.simulate.predictions import SimulatedRun, by_policy, predict
from engine.cli.simulate.result import SimulationResult
from engine.cli.simulate.text import lines
from engine.cli.simulate.workloads import Recipe, from_population, from_shape, from_trace, layouts
from engine.config import load_config
from engine.core.function import Account, Function
from engine.errors import ConfigError
from engine.model.queueing import comparison
from engine.model.queueing.objectives import Verdict, overall
from engine.model.queueing.prediction import Prediction
from engine.model.simulation.workload import Trigger, Workload
from engine.model.traffic.shapes import parse_shape
from engine.model.traffic.traces import Invocations

_SHARE: Final = number(0, 100)
_LONG_S: Final = 3600.0
_MANY: Final = 1000
"""Seconds and calls of a trace from which a month is concluded from it without being asked for."""


@click.command("simulate")
@click.option("--traffic", type=Text("traffic", parse_shape), help="requests/s: see `engine plan --help`")
@click.option("--trace", metavar="FILE", help="a trace, instead of --traffic")
@click.option("--layout", type=click.Choice(layouts()), default="events", show_default=True, help="of it")
@click.option(
    "--spread",
    type=click.Choice(["uniform", "even", "start"]),
    default="uniform",
    show_default=True,
    help="where in its minute a call of a trace comes that was only counted",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=20, show_default=True, help="functions that are listed"
)
@click.option("--population", type=click.IntRange(min=1), help="so many made-up applications instead")
@click.option(
    "--seconds",
    "horizon_s",
    type=number(above=True),
    default=600.0,
    show_default=True,
    help="looked at; a trace: to its last completion, unless given",
)
@click.option("--month", is_flag=True, help="say what a month of a trace costs, however short it is")
@function_options
@click.option("--config", "path", metavar="FILE", help="engine.toml: limits of the functions it names")
@click.option("--environment-concurrency", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--overflow", type=click.Choice(["throttle", "queue"]), default="throttle", show_default=True)
@click.option("--asynchronous", is_flag=True, help="events are tried again, as Lambda does")
@click.option("--errors", type=_SHARE, default=0.0, help="% of invocations that fail")
@click.option("--crashes", type=_SHARE, default=0.0, help="% that take their environment with them")
@click.option("--sqs-batch", type=click.IntRange(1, 10_000), help="messages through a queue and its mapping")
@click.option(
    "--sqs-send-batch",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="messages that producers send in one call",
)
@click.option("--method", type=click.Choice(["auto", "rules", "fast"]), default="auto", show_default=True)
@click.option("--compare", is_flag=True, help="the same under every policy (one function)")
@click.option(
    "--observed", metavar="FILE", help="JSON figures of a live run, to be put beside the prediction"
)
@click.option("--live", "handler", metavar="MODULE.FUNCTION", help="run it live too, and compare")
@click.option("--code", default=".", show_default=True, help="folder of the live handler")
@click.option("--event", metavar="FILE", help="JSON of its event; default: {}")
@click.option("--executor", default="process", show_default=True, help="what runs it")
@click.option("--cold-start-ms", type=number(), default=0.0, help="added to each of its cold starts")
@click.option("--within", type=_SHARE, help="objective: % that prediction and live run may be apart")
@click.option("--seed", type=int, default=1, show_default=True)
@money_options
@objective_options
@output_options
@click.pass_context
def simulate(
    context: click.Context, /, *, as_json: bool, html: str | None, observed: str | None, **options: Any
) -> None:
    """Play traffic on the rules of the live engine, in simulated time: the same code decides.

    One of --traffic, --trace and --population says what comes. Prints the verdict on the objectives first;
    exit code 3 if one is not kept. The same seed gives the same answer. A cold request waits for its own
    environment, as on Lambda; what this engine does, which gives it the first that is free, stands beside it.
    """
    _refuse_unused(context, options, observed)
    seen = None if observed is None else _figures(observed)
    objectives, seed = objectives_of(options), options["seed"]
    function, account, service, init = function_of(options)
    book, free_tier, days = book_of(options)
    function = replace(function, **take(options, "environment_concurrency", "overflow"))
    configured: dict[str, Function] = {}
    if options["path"] is not None:
        account, configured = _configured(options["path"])
        if options["traffic"] is not None:  # it comes to the first
            function = next(iter(configured.values()), function)
    recipe = Recipe(
        function=function,
        configured=configured,
        service=service,
        init=init,
        error_share=options["errors"] / 100,
        crash_share=options["crashes"] / 100,
        trigger=Trigger.ASYNCHRONOUS if options["asynchronous"] else Trigger.SYNCHRONOUS,
        rng=Random(seed),  # noqa: S311  # it simulates: the same seed, the same events
    )
    horizon_s = options["horizon_s"]
    if options["trace"] is not None and not is_given(context, "horizon_s"):
        horizon_s = math.inf
    live_run = _live(recipe.function, **options)
    workloads = _workloads(recipe, horizon_s, **options)
    if live_run is not None:
        at_s = workloads[0].at_s
        times, seen = live_run.held(account, at_s, horizon_s)
        recipe = replace(recipe, service=times.service, init=times.startup)
        workloads = [recipe.workload(recipe.function.name, Invocations(list(at_s)))]
    run = SimulatedRun(
        account=account,
        horizon_s=horizon_s,
        seed=seed,
        **take(options, "method", "sqs_batch", "sqs_send_batch"),
    )
    predictions = predict(workloads, run)
    month = options["trace"] is None or options["month"] or _is_long(predictions)
    if not month and objectives.usd_per_month is not None:
        refuse(["--budget: no month is said of so short a trace; ask for it by --month"])
    result = SimulationResult(
        predictions, objectives, book, free_tier, days if month else None, options["top"]
    )
    if options["compare"]:
        compared = workloads[: options["top"]]
        result.policies = by_policy(compared, account, book, result.horizon_s, objectives.p99_ms)
    if seen is not None:
        result.comparison = comparison.compared(result.figures(), seen)
    if html is not None:
        write(html, page(result))
    click.echo(json.dumps(result.document(), indent=2) if as_json else "\n".join(lines(result)))
    within = options["within"]
    apart = within is not None and 100 * comparison.worst(result.comparison) > within
    if apart or overall(result.checks) is Verdict.FAILS:
        raise click.exceptions.Exit(OBJECTIVE_FAILED)


def _is_long(predictions: Sequence[Prediction]) -> bool:
    """Whether a month can be concluded from a trace."""
    requests = sum(one.requests for one in predictions)
    return predictions[0].horizon_s >= _LONG_S and requests >= _MANY


def _refuse_unused(context: click.Context, options: dict[str, Any], observed: str | None) -> None:
    """Exit if an option was given that changes nothing in what was asked."""
    if options["trace"] is None:
        refuse_unused(context, "needs --trace", "layout", "spread", "month")
    if options["trace"] is not None and options["layout"] in ("events", "azure2021", "huawei2025"):
        refuse_unused(context, f"layout {options['layout']} has the moment of each call", "spread")
    if options["population"] is not None:
        refuse_unused(context, "each made-up application has its own", "service", "memory_mb")
    if options["handler"] is None:
        refuse_unused(context, "needs --live", "code", "event", "executor", "cold_start_ms")
        if observed is None:
            refuse_unused(context, "needs --live or --observed", "within")
    else:
        refuse_unused(context, "--live measures it", "service", "init")
    if options["sqs_batch"] is None:
        refuse_unused(context, "needs --sqs-batch", "sqs_send_batch")
    else:
        refuse_unused(context, "--sqs-batch: a queue tries again by itself", "asynchronous")


def _workloads(
    recipe: Recipe,
    until_s: float,
    *,
    traffic: Any,
    trace: str | None,
    population: int | None,
    layout: str,
    spread: Any,
    **_others: Any,
) -> list[Workload]:
    if sum(one is not None for one in (traffic, trace, population)) != 1:
        refuse(["say what comes: one of --traffic, --trace and --population"])
    if traffic is not None:
        return from_shape(recipe, traffic, until_s)
    if trace is not None:
        return from_trace(recipe, trace, layout, spread, until_s)
    return from_population(recipe, population or 1, until_s)


def _configured(path: str) -> tuple[Account, dict[str, Function]]:
    try:
        config = load_config(path)
    except ConfigError as error:
        refuse(error.problems)
    return config.account, {one.name: one for one in config.functions}


def _live(
    function: Function,
    *,
    handler: str | None,
    traffic: Any,
    code: str,
    event: str | None,
    executor: str,
    cold_start_ms: float,
    **_others: Any,
) -> Live | None:
    if handler is None:
        return None
    if traffic is None:
        refuse(["--live: needs --traffic"])
    return live(handler, function, code=code, executor=executor, event=event, cold_start_ms=cold_start_ms)


def _figures(path: str) -> dict[str, float]:
    try:
        return comparison.observed_of(json_of(path))
    except ValueError as error:
        refuse([f"{path}: {error}"])
