"""Commands and options, without their prose: click's tree of them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from engine.cli import main


def command_line() -> list[str]:
    """A line for each option, and for what it takes."""
    return sorted(set(walked(main.make_context("engine", [], resilient_parsing=True))))


def walked(context: click.Context) -> Iterator[str]:
    """The command of `context`, and those below it."""
    command = context.command
    yield context.command_path
    for parameter in command.get_params(context):
        yield from (f"{context.command_path} {line}" for line in taken(parameter, context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walked(click.Context(below, info_name=name, parent=context))


def taken(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    """An option under each of its names: whether it must be there, what follows it, what it is without."""
    facts = parameter.to_info_dict()
    if isinstance(parameter, click.Argument):
        names = [parameter.make_metavar(context)]
    elif (
        "--help" in parameter.opts
    ):  # click keeps the names under which a command was first run, perhaps alone
        names = context.command.get_help_option_names(context)
    else:
        names = [*parameter.opts, *parameter.secondary_opts]
    for name in names:
        yield f"{name} {'required' if parameter.required else 'optional'}"
        if parameter.multiple if isinstance(parameter, click.Option) else parameter.nargs != 1:
            yield f"{name} any number"
        if isinstance(parameter.type, click.Choice):
            yield from (f"{name} takes {choice}" for choice in parameter.type.choices)
        elif facts.get("is_flag"):
            yield f"{name} a flag"
        elif isinstance(parameter, click.Option):
            yield f"{name} {parameter.make_metavar(context)}"
        if facts["default"] not in (None, False) and not callable(facts["default"]):
            yield f"{name} = {facts['default']}"
