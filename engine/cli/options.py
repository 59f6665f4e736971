"""Options of several commands that name what to run, and how problems with it are printed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import click

from engine.app.executor_choice import refuse_clashes
from engine.app.python_choice import line_of, with_pythons
from engine.cli.template_options import PARAMETERS, values_of
from engine.config import Config, from_targets, load_config
from engine.core.function import Function
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
    change: Callable[[Config], Config] = lambda config: config,
) -> Config:
    """Return the configuration of `--config FILE`, or of targets; exits with one line for each problem.

    `change` is made before it is decided what handlers run in.
    """
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
            config = with_pythons(change(config))
            refuse_clashes(config.functions, Platform())
    except ConfigError as error:
        complain(error.problems)
    return config


def variable_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--env`, which commands have that run handlers."""
    text = "a variable for the handler; repeatable"
    return click.option("--env", "variables", metavar="NAME=VALUE", multiple=True, help=text)(command)


def python_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--python`, which commands have that run handlers: an absolute path, or None."""
    return click.option(
        "--python",
        metavar="PATH",
        callback=lambda _context, _option, value: value and os.path.abspath(os.path.expanduser(value)),
        help="what handlers run in: a virtual environment's folder or an interpreter",
    )(command)


def streaming_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--streaming`, which commands have that run handlers: `generator`, or None."""
    text = "stream what generators yield; AWS has announced this for Python, and not shipped it"
    return click.option("--streaming", is_flag=True, flag_value="generator", default=None, help=text)(command)


def function_named(
    handler: str,
    path: str | None,
    *,
    code: str,
    variables: Sequence[str] = (),
    parameters: Sequence[str] = (),
    python: str | None = None,
) -> Function:
    """The function of that name in `--config FILE`, else `module.function` in `code`; with `--env` variables.

    Exits with one line for each problem.
    """
    overrides = {"python": python} | ({"code": code} if path is None else {})
    config = configured(path, () if path else (handler,), overrides, parameters)
    function = next((one for one in config.functions if path is None or one.name == handler), None)
    if function is None:
        names = ", ".join(one.name for one in config.functions) or "none"
        complain([f"{path}: no function {handler!r}; it has {names}"])
    function = replace(function, environment={**function.environment, **variables_of(variables)})
    chosen = (config.pythons or {})[function.name]
    if chosen.interpreter is not None:
        click.echo(printable(line_of(chosen)), err=True)
        function = replace(function, python=chosen.interpreter.executable)
    return replace(function, cpu=function.cpu or config.cpu)


def with_variables(config: Config, variables: Mapping[str, str]) -> Config:
    """`config` with these variables for every function; they win over its own."""
    return config.changed(lambda one: replace(one, environment={**one.environment, **variables}))


def variables_of(texts: Sequence[str]) -> dict[str, str]:
    """The variables of `--env`; exits with one line for what is none."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            complain([f"--env {text}: must be NAME=VALUE"])
        found[name] = value
    return found


def make_importable(path: str | None) -> None:
    """Let `module:Class` name what lies beside the configuration, or else in the working directory."""
    folder = os.path.dirname(os.path.abspath(path)) if path is not None else os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)


def printable(text: str, also: str = "") -> str:
    """`text` on one line, control characters but `also` escaped: a file must not steer the terminal."""
    return "".join(
        c if c.isprintable() or c in also else c.encode("unicode_escape").decode("ascii") for c in text
    )


def complain(problems: Sequence[str]) -> NoReturn:
    """Print each problem on a line of its own, and exit."""
    for problem in problems:
        click.echo(f"error: {printable(problem)}", err=True)
    raise click.exceptions.Exit(BAD_USAGE)


def http_address(url: str, option: str = "--url") -> tuple[str, int]:
    """Host and port of an `http://` URL; exits with one line if it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:  # a port beyond 65535, half an IPv6 address
        complain([f"{option} {url}: {error}"])
    if parts.scheme != "http" or host is None:
        complain([f"{option} {url}: not an http:// URL"])
    return host, port


def warn(config: Config) -> None:
    """Print each warning on a line of its own."""
    for warning in config.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)


def run(
    coroutine: Coroutine[Any, Any, T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop,
) -> T:
    """Run `coroutine` to its end on a loop of its own: uvloop's, where there is one.

    What handlers left on the loop, or on threads of its executor, is not waited for.
    """
    runner = asyncio.Runner(loop_factory=loop_factory)
    try:
        return runner.run(coroutine)
    finally:
        end_children()
        leave_loop(runner.get_loop())
