"""`--parameter-overrides`, which several commands have: values of a template's parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from engine.config.templates.parameters import parsed
from engine.errors import ConfigError

PARAMETERS: Final = "--parameter-overrides"


class TemplateCommand(click.Command):
    """A command with `--parameter-overrides`, whose values may follow it one by one, as with AWS's tools."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every `KEY=VALUE` that follows the option the option's name."""
        spread: list[str] = []
        takes = False
        for word in args:
            if takes and "=" in word and not word.startswith("-"):
                spread += [PARAMETERS] if spread[-1] != PARAMETERS else []
            else:
                takes = False
            spread.append(word)
            takes = takes or word == PARAMETERS
        return super().parse_args(ctx, spread)


def template_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that a `TemplateCommand` takes."""
    text = "values of a template's parameters; also ParameterKey=KEY,ParameterValue=VALUE"
    return click.option(PARAMETERS, "parameters", metavar="KEY=VALUE", multiple=True, help=text)(command)


def values_of(texts: Sequence[str]) -> dict[str, str]:
    """Return the values that were given. Raises ConfigError for anything that is not `KEY=VALUE`."""
    try:
        return parsed(texts)
    except ValueError as error:
        raise ConfigError((f"{PARAMETERS}: {error}",)) from error
