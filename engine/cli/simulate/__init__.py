"""`engine simulate`: plays traffic or a trace on the engine's own rules, in simulated time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import click

from engine.cli.durable_options import durable_of, durable_options
from engine.cli.event_option import event_option
from engine.cli.mapping_options import mapping_options, policy_of, send_batch_option
from engine.cli.model_options import (
    OBJECTIVE_FAILED,
    Text,
    attempt_options,
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
from engine.cli.options import function_named, variable_option
from engine.cli.simulate.live import Live, live
from engine.cli.simulate.nodes import NodesGiven, NodesResult, nodes_options
from engine.cli.simulate.page import page
from engine.cli.simulate.predictions import SimulatedRun, by_policy, predict
from engine.cli.simulate.result import SimulationResult
from engine.cli.simulate.streams import stream_of, stream_options
from engine.cli.simulate.text import lines
from engine.cli.simulate.workloads import Recipe, from_population, from_shape, from_trace
from engine.cli.trace_options import init_law, trace_of, trace_options
from engine.config import load_config
from engine.core.function import Account, Function
from engine.errors import ConfigError
from engine.model.queueing import comparison
from engine.model.queueing.objectives import Verdict, overall
from engine.model.queueing.prediction import Prediction
from engine.model.simulation.workload import Trigger, Workload
from engine.model.traffic.shapes import parse_shape
from engine.ports import Binding
from engine.sources.replay.published import Invocations

Bindings = Mapping[str, Sequence[Binding]]
"""All events of a configuration, by their type."""

_SQS_BATCH: Final = 10
"""Messages of one invocation where nothing is said: AWS's default."""

_NOT_DURABLE: Final = (
    *("trace", "population", "crashes", "sqs_batch", "backlog", "compare", "observed", "handler"),
    "init_times",
)
"""Options that do not go with `--durable`."""

_NOT_ON_NODES: Final = ("compare", "handler")
"""Options that do not go with `--nodes`."""

_NOT_OF_STREAMS: Final = (
    *("trace", "population", "sqs_batch", "backlog", "compare", "observed", "handler", "nodes", "durable"),
)
"""Options that do not go with `--stream`."""

_SHARE: Final = number(0, 100)
_LONG_S: Final = 3600.0
_MANY: Final = 1000
"""Seconds and calls of a trace from which a month is concluded from it without being asked for."""


@click.command("simulate")
@click.option("--traffic", type=Text("traffic", parse_shape), help="requests/s: see `engine plan --help`")
@click.option("--trace", metavar="FILE", help="a trace, instead of --traffic")
@trace_options
@click.option("--trace-durations", metavar="FILE", help="of it: azure2019, huawei2023 (function_delay)")
@click.option("--trace-memory", metavar="FILE", help="memory of the apps of an azure2019 trace")
@click.option(
    "--init-times", metavar="FILE", help="a trace or file of cold starts: environments initialise like those"
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
@attempt_options
@click.option("--crashes", type=_SHARE, default=0.0, help="% that take their environment with them")
@click.option("--sqs-batch", type=click.IntRange(1, 10_000), help="messages through a queue and its mapping")
@send_batch_option
@mapping_options
@stream_options
@durable_options
@nodes_options
@click.option("--method", type=click.Choice(["auto", "rules", "fast"]), default="auto", show_default=True)
@click.option("--compare", is_flag=True, help="the same under every policy (one function)")
@click.option(
    "--observed", metavar="FILE", help="JSON figures of a live run, to be put beside the prediction"
)
@click.option(
    "--live",
    "handler",
    metavar="MODULE.FUNCTION",
    help="run it live too, and compare; with --config a function of it, by its name",
)
@click.option("--code", default=".", show_default=True, help="folder of the live handler")
@variable_option
@event_option("event", "its event")
@click.option("--executor", default="process", show_default=True, help="what runs it, unless --config says")
@click.option("--cpu", type=click.Choice(["lambda", "host"]), help="whose CPU it has; default: the host's")
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

    One of --traffic, --trace and --population says what comes, or --backlog, which --traffic may go with.
    Prints the verdict on the objectives first;
    exit code 3 if one is not kept. The same seed gives the same answer. A cold request waits for its own
    environment, as on Lambda; what this engine does, which gives it the first that is free, stands beside it.
    """
    _refuse_unused(context, options, observed)
    seen = None if observed is None else _figures(observed)
    objectives = objectives_of(options)
    durable = durable_of(context, options, *_NOT_DURABLE)
    recipe, account, bindings = _recipe(context, options)
    stream = stream_of(context, options, recipe.function, bindings, *_NOT_OF_STREAMS)
    book, free_tier, days = book_of(options)
    backlog = options["backlog"]
    if backlog is not None and options["sqs_batch"] is None:
        options["sqs_batch"] = _SQS_BATCH
    horizon_s = options["horizon_s"]
    if (
        options["trace"] is not None or (backlog is not None and options["traffic"] is None)
    ) and not is_given(context, "horizon_s"):
        horizon_s = math.inf
    live_run = _live(recipe.function, options)
    workloads, notes, vcpus = _workloads(context, recipe, horizon_s, options)
    if live_run is not None:
        at_s = workloads[0].at_s
        times, seen = live_run.held(account, at_s, horizon_s)
        recipe = replace(recipe, service=times.service, init=times.startup)
        workloads = [recipe.workload(recipe.function.name, Invocations(list(at_s)))]
    nodes = NodesGiven.of(context, options, [one.function for one in workloads], vcpus, book.region)
    run = SimulatedRun(
        account=account,
        horizon_s=horizon_s,
        seed=options["seed"],
        policy=policy_of(options),
        has_backlog=backlog is not None,
        durable=durable,
        stream=stream,
        nodes=None if nodes is None else nodes.load,
        about_nodes=() if nodes is None else nodes.assumptions,
        **take(options, "method", "sqs_batch", "sqs_send_batch"),
    )
    simulated = predict(workloads, run)
    predictions = [replace(one, assumptions=(*one.assumptions, *notes)) for one in simulated.predictions]
    month = backlog is None and (options["trace"] is None or options["month"] or _is_long(predictions))
    if not month and objectives.usd_per_month is not None:
        ask = "a backlog" if backlog is not None else "so short a trace; ask for it by --month"
        refuse([f"--budget: no month is said of {ask}"])
    result = SimulationResult(
        predictions, objectives, book, free_tier, days if month else None, options["top"]
    )
    if simulated.nodes is not None:
        runs = None if result.days is None else result.factor
        result.nodes = NodesResult.of(simulated.nodes, runs, result.run_bill, result.bill)
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
        refuse_unused(context, "needs --trace", "layout", "spread", "month", "skip_wrong_lines")
        refuse_unused(context, "needs --trace", "trace_durations", "trace_memory")
    if options["init_times"] is not None:
        refuse_unused(context, "--init-times says it", "init")
    if options["nodes"]:
        refuse_unused(context, "the policies and a live run have no --nodes", *_NOT_ON_NODES)
    if options["population"] is not None:
        refuse_unused(context, "each made-up application has its own", "service", "memory_mb")
    if options["handler"] is None:
        refuse_unused(context, "needs --live", "code", "event", "executor", "cold_start_ms")
        refuse_unused(context, "needs --live", "variables", "cpu")
        if observed is None:
            refuse_unused(context, "needs --live or --observed", "within")
    else:
        refuse_unused(context, "--live measures it", "service", "init", "init_times")
    if options["sqs_batch"] is None and options["backlog"] is None:
        refuse_unused(context, "needs --sqs-batch", "sqs_send_batch")
        refuse_unused(context, "needs --sqs-batch", "maximum_concurrency", "provisioned_pollers")
    else:
        refuse_unused(context, "a queue tries again by itself", "asynchronous")


def _recipe(context: click.Context, options: dict[str, Any]) -> tuple[Recipe, Account, Bindings]:
    """How events are made, the account they come to, and what is configured to bring them."""
    function, account, service, init = function_of(options)
    function = replace(function, **take(options, "environment_concurrency", "overflow"))
    configured: dict[str, Function] = {}
    bindings: Bindings = {}
    if options["path"] is not None:
        account, configured, bindings = _configured(options["path"])
        if options["traffic"] is not None:  # it comes to the first
            function = next(iter(configured.values()), function)
    if options["handler"] is not None:
        function = _live_function(context, function, options)
    if options["init_times"] is not None:
        init = init_law(options["init_times"])
    recipe = Recipe(
        function=function,
        configured=configured,
        service=service,
        init=init,
        error_share=options["errors"] / 100,
        crash_share=options["crashes"] / 100,
        trigger=Trigger.ASYNCHRONOUS if options["asynchronous"] else Trigger.SYNCHRONOUS,
        rng=Random(options["seed"]),  # noqa: S311  # it simulates: the same seed, the same events
    )
    return recipe, account, bindings


def _workloads(
    context: click.Context, recipe: Recipe, until_s: float, options: dict[str, Any]
) -> tuple[list[Workload], Sequence[str], Mapping[str, float]]:
    """What comes, what is to be said of it, and the vCPUs that calls of functions were seen to take."""
    traffic, file, population = (options[name] for name in ("traffic", "trace", "population"))
    backlog = options["backlog"] or 0
    given = sum(one is not None for one in (traffic, file, population))
    if given != 1 and not (backlog and not given):
        refuse(["say what comes: one of --traffic, --trace and --population"])
    if backlog and (file is not None or population is not None):
        refuse(["--backlog: goes with --traffic alone"])
    if traffic is not None or backlog:
        return from_shape(recipe, traffic, until_s, backlog), (), {}
    if population is not None:
        return from_population(recipe, population, until_s), (), {}
    said = take(options, "layout", "spread", "skip_wrong_lines", "trace_durations", "trace_memory")
    made = from_trace(recipe, trace_of(file, **said), until_s, timeout_given=is_given(context, "timeout_s"))
    for reason, names in made.unused.items():
        refuse_unused(context, reason, *names)
    for line in made.skipped:
        click.echo(f"warning: {line}", err=True)
    return made.workloads, made.notes, made.vcpus


def _configured(path: str) -> tuple[Account, dict[str, Function], Bindings]:
    try:
        config = load_config(path)
    except ConfigError as error:
        refuse(error.problems)
    return config.account, {one.name: one for one in config.functions}, config.bindings


def _live_function(context: click.Context, function: Function, options: dict[str, Any]) -> Function:
    """What runs live: of the configuration, or a handler with the limits that the options give."""
    path = options["path"]
    if path is not None:
        refuse_unused(context, "--config says it", "code")
    named = function_named(options["handler"], path, code=options["code"], variables=options["variables"])
    given = is_given(context, "executor") or path is None
    executor = options["executor"] if given else named.executor
    if path is not None:
        return replace(named, executor=executor, cpu=options["cpu"] or named.cpu)
    return replace(
        function,
        handler=named.handler,
        code=named.code,
        environment=named.environment,
        executor=executor,
        cpu=options["cpu"],
    )


def _live(function: Function, options: dict[str, Any]) -> Live | None:
    if options["handler"] is None:
        return None
    if options["traffic"] is None:
        refuse(["--live: needs --traffic"])
    return live(function, **take(options, "event", "cold_start_ms"))


def _figures(path: str) -> dict[str, float]:
    try:
        return comparison.observed_of(json_of(path))
    except ValueError as error:
        refuse([f"{path}: {error}"])
