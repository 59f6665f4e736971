"""`engine load`: drives functions, an engine or a URL with Locust, and judges what came of it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import click

from engine.cli.options import complain, python_option
from engine.cli.template_options import TemplateCommand, template_options
from engine.cli.values import HEADER, NUMBER, SECONDS, WHOLE

_NEEDED: Final = ("locust", "hdrh")
"""Packages of the extra `loadtest`."""


@click.command("load", cls=TemplateCommand)
@click.argument("words", nargs=-1, metavar="[SCENARIO] [[NAME=]MODULE.FUNCTION ...]")
@click.option("--list", "lists", is_flag=True, help="list the scenarios and what they ask")
@click.option("--config", "path", metavar="FILE", help="functions of this engine.toml or template.yaml")
@template_options
@click.option(
    "--function", "functions", metavar="NAME", multiple=True, help="of --config or --url; default: all"
)
@click.option("--url", metavar="URL", help="drive a running engine (its admin address), or any HTTP URL")
@click.option("--rate", type=NUMBER, metavar="N", help="requests/s, Poisson; default: 50")
@click.option(
    "--profile",
    metavar="WORDS",
    help="poisson:R, constant:R, step:BEFORE:AFTER:AT_S, ramp:BEFORE:AFTER:LENGTH_S, "
    "spike:BASE:PEAK:AT_S:LENGTH_S, onoff:RATE:ON_S:OFF_S, sine:MEAN:AMPLITUDE:PERIOD_S, trace:FILE",
)
@click.option("--duration", type=SECONDS, metavar="S", help="of the load, 90, 90s or 1.5m; default: 15")
@click.option(
    "--warmup", type=SECONDS, metavar="S", help="before it, left out of percentiles; default: 2; 0 = none"
)
@click.option(
    "--event",
    "events",
    metavar="FILE|DIR|JSON",
    multiple=True,
    help="what is sent; of several, each as often; SOURCE[:FIELD=VALUE,...]: see engine events; default: {}",
)
@click.option("--via", type=click.Choice(["invoke", "http", "queue", "bucket"]), help="default: invoke")
@click.option("--path", "target", metavar="PATH", help="of HTTP requests; default: the function's route")
@click.option("--method", metavar="METHOD", help="of HTTP requests")
@click.option(
    "--header", "headers", type=HEADER, metavar="NAME:VALUE", multiple=True, help="of HTTP requests"
)
@click.option("--slo", metavar="BOUNDS", help="what must hold: p99=300ms,max=2s,errors=0.1%,throttles=0")
@click.option(
    "--stub",
    "stubs",
    metavar="TARGET=LATENCY,...",
    multiple=True,
    help="stand-in for an AWS service or HTTP upstream: dynamodb=8ms,0.1% or https://api.example=40ms±10",
)
@click.option("--stop-on-breach", is_flag=True, help="end the run as soon as the --slo is missed")
@click.option("--compare", metavar="run.json", help="compare with an earlier run")
@click.option("--out", metavar="DIR", help="a new folder for the report; default: one in ./reports")
@click.option("--json", "as_json", is_flag=True, help="print the document instead of the summary")
@click.option("--publish", metavar="DIR", help="keep the numbers of a run that passed in DIR, by scenario")
@click.option("--capacity", type=NUMBER, metavar="N", help="requests/s that shares are of; default: measured")
@click.option("--scale", type=NUMBER, metavar="F", help="multiply rates and counts of a scenario")
@click.option("--users", type=WHOLE, metavar="N", help="closed model with N users on each stream")
@click.option("--processes", type=WHOLE, metavar="N", help="of the generator; default: as the rate needs")
@click.option("--seed", type=int, default=1, show_default=True, help="same seed, same arrivals")
@click.option("--no-prometheus", "prometheus", flag_value=False, default=True, help="do not start one")
@click.option("--executor", metavar="NAME", help="of the functions: auto, loop, thread, process, ...")
@python_option
@click.option("--memory-mb", type=int, metavar="N", help="configured memory of every function")
@click.option("--timeout-s", type=float, metavar="S", help="deadline of every function")
@click.option("--concurrency-limit", type=int, metavar="N", help="invocations at a time, over all functions")
def load(**options: Any) -> None:
    """Drive functions in an open model, judge what came of it, and write a report.

    Named handlers, or functions of --config, run in an engine of their own, in a process of its own. A
    SCENARIO (see --list) has functions of its own; with handlers named, those take their place.

    Exit code 0: passed; 1: something was lost or a bound was missed; 2: it could not be run; 3: the
    generator was the limit, so the numbers say little.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        complain([f"engine load needs {' and '.join(missing)}: pip install 'invocation-engine[loadtest]'"])
    import_module("engine.cli.load.running").run_load(options)
