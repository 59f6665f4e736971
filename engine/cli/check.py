"""`engine check`: checks whether a configuration can be run, and shows what would run."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TextIO

import click

from engine.app.cpu_in_force import cpu_in_force
from engine.app.executor_choice import choose, refuse_clashes, streaming_lines
from engine.app.preflight import queue_warnings, serving_problems, stream_warnings
from engine.app.python_choice import python_lines, with_pythons
from engine.cli.options import make_importable, printable, python_option
from engine.cli.template_options import TemplateCommand, template_options, values_of
from engine.config import Config, load_config
from engine.core.function import Function
from engine.core.table import SettingsTable
from engine.errors import ConfigError
from engine.runtime.platform import Platform
from engine.sources.http.settings import DEFAULT_PATH, FrontDoor, HttpEvent

_PROBLEMS: Final = 2
_COLUMNS: Final = ("function", "handler", "memory", "timeout", "executor", "concurrency", "events")


@click.command("check", cls=TemplateCommand)
@click.option("--config", "path", metavar="FILE", required=True, help="engine.toml or a SAM template.yaml")
@template_options
@python_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def check(path: str, *, parameters: tuple[str, ...], python: str | None, as_json: bool) -> None:
    """Validate FILE and print what would run.

    Every problem is one line on stderr: key, value, bound and the nearest valid name. Exit code 2
    if there is any, else 0, and warnings are counted. No handler is imported.
    """
    make_importable(path)
    try:
        config = with_pythons(load_config(path, {"python": python}, values_of(parameters)))
        refuse_clashes(config.functions, Platform())
        if problems := serving_problems(config):
            raise ConfigError(tuple(problems))
        more = (*queue_warnings(config), *stream_warnings(config, Platform().clock.wall()))
        config = dataclasses.replace(config, warnings=(*config.warnings, *more))
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "file": path, "problems": list(error.problems)}, indent=2))
        for problem in error.problems:
            click.echo(printable(problem), err=True)
        raise click.exceptions.Exit(_PROBLEMS) from error
    if as_json:
        click.echo(json.dumps(as_document(config, path), indent=2, default=str))
        return
    print_table(config, sys.stdout, boxed=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    _print_notes(config)
    for warning in config.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
    if config.warnings:
        count = len(config.warnings)
        click.echo(f"{count} {'warning' if count == 1 else 'warnings'}", err=True)


def as_document(config: Config, path: str) -> dict[str, Any]:
    """What `--json` prints: keys of engine.toml, events with the defaults of their sources."""
    account = config.account
    bound: dict[str, list[dict[str, Any]]] = {function.name: [] for function in config.functions}
    for kind, bindings in config.bindings.items():
        for binding in bindings:
            settings = binding.settings.model_dump(mode="json")
            bound[binding.function.name].append({**settings, "type": kind})
    s3 = config.resources.s3.model_dump(mode="json")
    del s3["intake_token"]
    keys = [key.name for key in fields(Function) if key.name not in ("events", "init_limit_s", "is_package")]
    return {
        "ok": True,
        "file": path,
        "engine": {
            "region": account.region,
            "account_id": account.account_id,
            "concurrency_limit": account.concurrency_limit,
            "scaling_rate": account.scaling_rate,
            "requests_per_concurrency": account.requests_per_concurrency,
            "init_concurrency": config.init_concurrency,
            "cpu": config.cpu,
            "cpu_by": cpu_in_force(config.functions, config.cpu, Platform()).mechanism,
            "log_format": config.log_format,
            "grace_s": config.grace_s,
        },
        "listeners": {name: str(listener) for name, listener in config.listeners.items()},
        "functions": [
            {
                **{key: getattr(function, key) for key in keys},
                "runs_on": choose(function, Platform(), elsewhere=config.cluster.executor).executor,
                "runs_in": _interpreter(config, function),
                "events": bound[function.name],
            }
            for function in config.functions
        ],
        "queues": _dumped(config.resources.queues),
        "topics": _dumped(config.resources.topics),
        "buckets": _dumped(config.resources.buckets),
        "buses": _dumped(config.resources.buses),
        "rules": _dumped(config.resources.rules),
        "streams": _dumped(config.resources.streams),
        "tables": _dumped(config.resources.tables),
        "s3": s3,
        "warnings": list(config.warnings),
    }


def _interpreter(config: Config, function: Function) -> str | None:
    """Its path; None for the engine's own."""
    chosen = (config.pythons or {}).get(function.name)
    return None if chosen is None or chosen.interpreter is None else chosen.interpreter.executable


def _dumped(tables: Mapping[str, SettingsTable]) -> dict[str, Any]:
    return {name: settings.model_dump(mode="json") for name, settings in tables.items()}


def print_table(config: Config, out: TextIO, *, boxed: bool) -> None:
    """One row a function: boxed for people, aligned columns of any width for pipes."""
    rows = [_row(function, config.cluster.executor) for function in config.functions]
    if boxed:
        _print_boxed(rows, out)
        return
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in (_COLUMNS, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip(), file=out)


def _print_boxed(rows: Sequence[tuple[str, ...]], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(*(Column(title, overflow="fold") for title in _COLUMNS))
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(file=out).print(table)


def _row(function: Function, elsewhere: str | None) -> tuple[str, ...]:
    executor = choose(function, Platform(), elsewhere=elsewhere).executor
    if function.executor == "auto":
        executor += " (auto)"
    cells = (
        function.name,
        function.handler,
        f"{function.memory_mb} MB",
        f"{function.timeout_s:g} s",
        executor,
        _concurrency(function),
        "; ".join(map(_event, function.events)) or "none: Invoke API only",
    )
    return tuple(map(printable, cells))


def _concurrency(function: Function) -> str:
    reserved = function.reserved_concurrency
    parts = ["unreserved" if reserved is None else f"reserved {reserved}"]
    if function.provisioned_concurrency:
        parts.append(f"provisioned {function.provisioned_concurrency}")
    if function.environment_concurrency > 1:
        parts.append(f"{function.environment_concurrency} per environment")
    if function.overflow == "queue":
        parts.append(f"queue {function.queue_limit}")
    return ", ".join(parts)


def _event(event: Mapping[str, Any]) -> str:
    values = [str(value) for key, value in event.items() if key != "type"]
    return " ".join([str(event["type"]), *values])


def _print_notes(config: Config) -> None:
    account = config.account
    click.echo(f"\naccount {account.account_id} in {account.region}: {account.concurrency_limit} at a time")
    cpu = cpu_in_force(config.functions, config.cpu, Platform())
    if cpu.mechanism is not None or cpu.unlimited:
        click.echo(f"cpu: {cpu}")
    for name, listener in config.listeners.items():
        click.echo(f"{name} at {listener}")
    resources = config.resources
    named: tuple[tuple[str, Mapping[str, SettingsTable]], ...] = (
        ("queues", resources.queues),
        ("topics", resources.topics),
        ("buckets", resources.buckets),
        ("buses", resources.buses),
        ("rules", resources.rules),
        ("streams", resources.streams),
        ("tables", resources.tables),
    )
    for kind, tables in named:
        if tables:
            click.echo(printable(f"{kind}: {', '.join(tables)}"))
    events = [binding.settings for binding in config.bindings.get("http", ())]
    stages = {
        one.stage for one in events if isinstance(one, HttpEvent) and one.front_door is FrontDoor.HTTP_API
    }
    for stage in sorted(filter(None, stages - {DEFAULT_PATH})):
        click.echo(
            f"HTTP API, stage {stage}: AWS's URL has /{stage} before each path; here paths come without"
        )
    for line in (*streaming_lines(config.functions), *python_lines(config)):
        click.echo(printable(line))
    for reason in {choose(function, Platform()).why_not_process for function in config.functions} - {None}:
        click.echo(f"executor thread instead of process: no process can be forked here ({reason})")
