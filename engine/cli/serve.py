"""`engine serve`: runs functions until a stop signal, then drains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from engine.app.early_start import started_early
from engine.cli.options import (
    complain,
    configured,
    python_option,
    streaming_option,
    variable_option,
    variables_of,
    warn,
    with_variables,
)
from engine.cli.template_options import TemplateCommand, template_options
from engine.config import Config, debugged
from engine.machine.descriptors import FEWEST, raise_limit
from engine.runtime.gc_tuning import paused_collector
from engine.runtime.output import StandardOutput


@click.command("serve", cls=TemplateCommand)
@click.argument("targets", nargs=-1, metavar="[[NAME=]MODULE.FUNCTION ...]")
@click.option("--config", "path", metavar="FILE", help="engine.toml or a SAM template.yaml")
@template_options
@click.option("--http", metavar="HOST:PORT", help="HTTP events; default 127.0.0.1:3000, port 0 picks one")
@click.option("--aws", metavar="HOST:PORT", help="AWS clients (AWS_ENDPOINT_URL); default 127.0.0.1:4566")
@click.option("--admin", metavar="HOST:PORT", help="metrics and status; default 127.0.0.1:9464")
@click.option("--cluster", metavar="HOST:PORT", help="run functions on nodes, whose agents connect there")
@click.option("--ray", metavar="auto|HOST:PORT", help="the same, on the nodes of this Ray cluster")
@click.option("--insecure-ray", is_flag=True, help="also where Ray asks nobody for a token")
@click.option(
    "--executor",
    metavar="NAME",
    help="auto, loop, thread, process, a registered or module:Class one",
)
@python_option
@streaming_option
@variable_option
@click.option("--memory-mb", type=int, metavar="N", help="configured memory of every function")
@click.option("--timeout-s", type=float, metavar="S", help="deadline of every function")
@click.option("--keep-alive-s", type=float, metavar="S", help="how long idle environments live")
@click.option("--concurrency-limit", type=int, metavar="N", help="invocations at a time, over all functions")
@click.option("--log-format", type=click.Choice(["text", "json", "off"]), help="platform log on stderr")
@click.option(
    "--state-dir",
    metavar="DIR",
    help="keep functions created over the Lambda API, objects and executions in DIR",
)
@click.option("--debug", is_flag=True, help="for breakpoints: thread, one at a time, no deadline")
@click.option("--reload", "reloads", is_flag=True, help="give changed code to new environments")
@click.pass_obj
def serve(
    at_once: Mapping[str, Any] | None,
    /,
    targets: tuple[str, ...],
    path: str | None,
    *,
    parameters: tuple[str, ...],
    variables: tuple[str, ...],
    debug: bool,
    reloads: bool,
    **overrides: Any,
) -> None:
    """Run handlers, named here or in FILE, until a signal that ends processes; a second one forces.

    With none named, the functions are those that clients create over the Lambda API.

    One handler gets every HTTP route, as behind a Function URL; of several each gets /NAME. When all
    listeners are open, their addresses are printed as one line of JSON on stdout; logs go to stderr.
    """
    if overrides["state_dir"] is not None:
        overrides["state_dir"] = os.path.abspath(overrides["state_dir"])
    if debug and overrides["executor"] is not None:
        complain(["--debug and --executor exclude each other: breakpoints need the executor thread"])
    most = raise_limit()
    if most < FEWEST:
        complain([f"the limit of open files (ulimit -n) is {most}: the engine needs {FEWEST} at least"])
    with StandardOutput(between=not debug) as output:
        given = variables_of(variables)

        def changed(config: Config) -> Config:
            return with_variables(debugged(config) if debug else config, given)

        config = configured(path, targets, overrides, parameters, changed)
        warn(config)
        with started_early(config, at_once or {}) as started:
            with paused_collector():
                from engine.cli.served import run_until_stopped

            run_until_stopped(config, output, started, reloads=reloads)
