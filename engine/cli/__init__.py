"""The command line: one module a command. `main` is the console script `engine`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

COMMANDS: Final[Mapping[str, str]] = {
    "check": "engine.cli.check:check",
    "cost": "engine.cli.cost:cost",
    "demo": "engine.cli.demo:demo",
    "invoke": "engine.cli.invoke:invoke",
    "plan": "engine.cli.plan:plan",
    "replay": "engine.cli.replay:replay",
    "serve": "engine.cli.serve:serve",
    "simulate": "engine.cli.simulate:simulate",
    "top": "engine.cli.top:top",
    "tune": "engine.cli.tune:tune",
}
"""Where each command lives. It is imported when it is called: a price needs no HTTP server."""


class Commands(click.Group):
    """The group of `COMMANDS`."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In order of name."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        home = COMMANDS.get(cmd_name)
        if home is None:
            return None
        module, _, name = home.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="invocation-engine", prog_name="engine")
def main() -> None:
    """Run AWS-Lambda-style handlers on this machine: fast, scaled from zero, deadlined, billed, measured."""
