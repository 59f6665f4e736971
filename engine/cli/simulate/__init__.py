"""`engine simulate`: plays traffic or a trace on the engine's own rules, in simulated time."""

from __future__ import annotations

import json
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
    json_of,
    money_options,
    number,
    objective_options,
    objectives_of,
    output_options,
    refuse,
    take,
    write,
)
from engine.cli.simulate.live import Live, live
from engine.cli.simulate.page import page
from engine.cli.simulate.predictions import by_policy, predict
from engine.cli.simulate.result import SimulationResult
from engine.cli.simulate.text import lines
from engine.cli.simulate.workloads import Recipe, from_population, from_shape, from_trace, layouts
from engine.config import load_config
from engine.core.function import Account, Function
from engine.errors import ConfigError
from engine.model.queueing import comparison
from engine.model.queueing.objectives import Verdict, overall
from engine.model.simulation.workload import Trigger, Workload
from engine.model.traffic.shapes import parse_shape
from engine.model.traffic.traces import Invocations

_SHARE: Final = number(0, 100)


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
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="functions of a trace")
@click.option("--population", type=click.IntRange(min=1), help="so many made-up applications instead")
@click.option("--seconds", "horizon_s", type=number(above=True), default=600.0, show_default=True)
@function_options
@click.option("--config", "path", metavar="FILE", help="engine.toml: limits of the functions it names")
@click.option("--environment-concurrency", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--overflow", type=click.Choice(["throttle", "queue"]), default="throttle", show_default=True)
@click.option("--asynchronous", is_flag=True, help="events are tried again, as Lambda does")
@click.option("--errors", type=_SHARE, default=0.0, help="% of invocations that fail")
@click.option("--crashes", type=_SHARE, default=0.0, help="% that take their environment with them")
@click.option("--sqs-batch", type=click.IntRange(1, 10_000), help="messages through a queue and its mapping")
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
def simulate(*, as_json: bool, html: str | None, observed: str | None, **options: Any) -> None:
    """Play traffic on the rules of the live engine, in simulated time: the same code decides.

    One of --traffic, --trace and --population says what comes. Prints the verdict on the objectives first;
    exit code 3 if one is not kept. The same seed gives the same answer.
    """
    seen = None if observed is None else _figures(observed)
    objectives, seed, horizon_s = objectives_of(options), options["seed"], options["horizon_s"]
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
    live_run = _live(recipe.function, **options)
    workloads = _workloads(recipe, **options)
    if live_run is not None:
        at_s = workloads[0].at_s
        times, seen = live_run.held(account, at_s, horizon_s)
        recipe = replace(recipe, service=times.service, init=times.startup)
        workloads = [recipe.workload(recipe.function.name, Invocations(list(at_s)))]
    if options["trace"] is not None:
        horizon_s = max(one.at_s[-1] for one in workloads) or 1.0
    predictions = predict(
        workloads, account, horizon_s, seed=seed, method=options["method"], sqs_batch=options["sqs_batch"]
    )
    result = SimulationResult(predictions, objectives, book, free_tier, days)
    if options["compare"]:
        result.policies = by_policy(workloads, account, book, horizon_s, objectives.p99_ms)
    if seen is not None:
        result.comparison = comparison.compared(result.figures(), seen)
    if html is not None:
        write(html, page(result))
    click.echo(json.dumps(result.document(), indent=2) if as_json else "\n".join(lines(result)))
    within = options["within"]
    apart = within is not None and 100 * comparison.worst(result.comparison) > within
    if apart or overall(result.checks) is Verdict.FAILS:
        raise click.exceptions.Exit(OBJECTIVE_FAILED)


def _workloads(
    recipe: Recipe,
    *,
    traffic: Any,
    trace: str | None,
    population: int | None,
    horizon_s: float,
    layout: str,
    spread: Any,
    top: int,
    **_others: Any,
) -> list[Workload]:
    if sum(one is not None for one in (traffic, trace, population)) != 1:
        refuse(["say what comes: one of --traffic, --trace and --population"])
    if traffic is not None:
        return from_shape(recipe, traffic, horizon_s)
    if trace is not None:
        return from_trace(recipe, trace, layout, spread, top)
    return from_population(recipe, population or 1, horizon_s)


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
