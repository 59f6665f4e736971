"""Options of several commands that name what to run, and how problems with it are printed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import click

from engine.app.executor_choice import refuse_clashes
from engine.cli.check import make_importable, printable
from engine.cli.template_options import PARAMETERS, values_of
from engine.config import Config, from_targets, load_config
from engine.errors import ConfigError
from engine.executors.forks import end_children
from engine.runtime.gc_tuning import paused_collector
from engine.runtime.platform import Platform, new_event_loop
from engine.runtime.process_end import leave_loop

T = TypeVar("T")

BAD_USAGE = 2
"""Exit code when the arguments or the configuration cannot be run."""


def configured(
    path: str | None,
    targets: Sequence[str],
    overrides: Mapping[str, Any],
    parameters: Sequence[str] = (),
) -> Config:
    """Return the configuration of `--config FILE`, or of targets; exits with one line for each problem."""
    if parameters and path is None:
        complain([f"{PARAMETERS} needs --config FILE"])
    if path is not None and targets:
        complain(["--config FILE and MODULE.FUNCTION exclude each other"])
    make_importable(path)
    try:
        with paused_collector():
            if path is None:
                config = from_targets(targets, overrides)
            else:
                config = load_config(path, overrides, values_of(parameters))
            refuse_clashes(config.functions, Platform())
    except ConfigError as error:
        complain(error.problems)
    return config


def complain(problems: Sequence[str]) -> NoReturn:
    """Print each problem on a line of its own, and exit."""
    for problem in problems:
        click.echo(f"error: {printable(problem)}", err=True)
    raise click.exceptions.Exit(BAD_USAGE)


def warn(config: Config) -> None:
    """Print each warning on a line of its own."""
    for warning in config.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end on a loop of its own: uvloop's, where there is one.

    What handlers left on the loop, or on threads of its executor, is not waited for.
    """
    runner = asyncio.Runner(loop_factory=new_event_loop)
    try:
        return runner.run(coroutine)
    finally:
        end_children()
        leave_loop(runner.get_loop())
