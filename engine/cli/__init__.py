"""The command line: one module a command. `main` is the console script `engine`."""

from __future__ import annotations

import click

from engine.cli.check import check
from engine.cli.demo import demo
from engine.cli.invoke import invoke
from engine.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="invocation-engine", prog_name="engine")
def main() -> None:
    """Run AWS-Lambda-style handlers on this machine: fast, scaled from zero, deadlined, billed, measured."""


for command in (check, demo, invoke, serve):
    main.add_command(command)
