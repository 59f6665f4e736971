"""The command line: one module a command. `main` is the console script `engine`."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click
from click.shell_completion import CompletionItem

from engine.version import VERSION, build

COMMANDS: Final[Mapping[str, str]] = {
    "agent": "Host environments on this machine for the engine at HOST:PORT, until a signal ends it.",
    "check": "Validate FILE and print what would run.",
    "cluster": "Start a Ray cluster on this machine, for trying; show the nodes of a running engine.",
    "cost": "Price a month of invocations: Lambda, and what stands before and around it.",
    "dashboards": "Write what Grafana and Prometheus need to watch an engine: dashboards, jobs, rules.",
    "demo": "Start an engine with the example handlers, drive it from zero to 1,000 and back, and show it.",
    "events": "Print an event of SOURCE, as the engine makes them; without one, list the sources.",
    "executions": "Look at durable executions of a running engine, and stop, pause, resume or delete them.",
    "invoke": "Invoke FUNCTION once: payload on stdout, as it comes, its log and the REPORT line on stderr.",
    "load": "Drive functions in an open model, judge what came of it, and write a report.",
    "logs": "Print the logs of FUNCTION in a running engine: START, what the handler wrote, END, REPORT.",
    "plan": "Predict what TRAFFIC does to a function, by formulas: answers in a second, at any size.",
    "replay": "Send each event of TRACE at its time: own events, REPORT lines, or a published trace.",
    "rules": "Print Prometheus's recording and alerting rules as one rule file.",
    "serve": "Run handlers, named here or in FILE, until a signal that ends processes; a second one forces.",
    "simulate": "Play traffic on the rules of the live engine, in simulated time: the same code decides.",
    "top": "Show what a running engine does: rates, times, levels and cost of each function.",
    "tune": "Run a handler here, in processes of its own, at each memory size, and price it.",
}
"""The first sentence of each command's help. Command NAME is `NAME` of `engine.cli.NAME`.

A command is imported when it is called: a price needs no HTTP server, and a list of commands needs none of
them.
"""


class Commands(click.Group):
    """The group of `COMMANDS`."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In order of name."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        gc.disable()  # modules stay: looking through them while they are imported takes a tenth of the time
        command: click.Command = getattr(import_module(f"engine.cli.{cmd_name}"), cmd_name)
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, importing none."""
        names = self.list_commands(ctx)
        width = formatter.width - 6 - max(map(len, names))  # as click has it
        with formatter.section("Commands"):
            formatter.write_dl([(name, _short_help(name, width)) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options that begin like `incomplete`; imports none."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=_short_help(name)) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _short_help(name: str, width: int = 45) -> str:
    """What `COMMANDS` says of `name`, cut to `width` characters."""
    return click.Command(name, help=COMMANDS[name]).get_short_help_str(width)


def _tell_version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:  # noqa: FBT001  # click's
    if asked and not ctx.resilient_parsing:
        click.echo(f"engine, version {VERSION} ({build()})")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version, whether it is the compiled or the pure build, and exit.",
)
def main() -> None:
    """Run AWS-Lambda-style handlers on this machine: fast, scaled from zero, deadlined, billed, measured."""
