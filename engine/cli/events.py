"""`engine events`: prints a sample event of a source, as the engine itself makes them."""

from __future__ import annotations

import json

import click

from engine.cli.model_options import refuse
from engine.report.tables import text_table
from engine.sources.samples.catalogue import SOURCES
from engine.sources.samples.common import EPOCH_S
from engine.sources.samples.fields import value_of
from engine.sources.samples.template import EventTemplate, source_named


@click.command("events")
@click.argument("source", required=False)
@click.argument("settings", nargs=-1, metavar="[FIELD=VALUE ...]")
@click.option("--fields", is_flag=True, help="list the fields of SOURCE that can be set, with their defaults")
def events(source: str | None, settings: tuple[str, ...], *, fields: bool) -> None:
    """Print an event of SOURCE, as the engine makes them; without one, list the sources.

    VALUE is text, JSON or @FILE. The same words give the same event: its time is 2026-01-01, unless the
    field time says. `--event SOURCE:FIELD=VALUE,...` of engine invoke, load, tune, replay and simulate sends
    such events, each with ids and a time of its own.
    """
    if source is None:
        _table([(name, one.about) for name, one in SOURCES.items()])
        return
    try:
        found = source_named(source)
        event = EventTemplate(source, dict(map(_setting, settings))).event(0, EPOCH_S)
    except ValueError as error:
        refuse([str(error)])
    if fields:
        shown = [(one.name, _shown(one.default), one.about) for one in found.fields]
        _table([("field", "default", ""), *shown])
        return
    click.echo(json.dumps(event, indent=2, ensure_ascii=False))


def _table(rows: list[tuple[str, ...]]) -> None:
    click.echo("\n".join(text_table(rows, text_columns=3)))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not FIELD=VALUE")
    return name, value_of(name, value)


def _shown(default: object) -> str:
    if default is None:
        return "-"
    return default if isinstance(default, str) and default.isprintable() else json.dumps(default)
