"""`engine rules`: Prometheus's rules, in one file."""

from __future__ import annotations

import click

from engine.cli.options import printable
from engine.resources import folder


@click.command("rules")
def rules() -> None:
    """Print Prometheus's recording and alerting rules as one rule file."""
    try:
        found = sorted((folder("grafana") / "prometheus" / "rules").glob("*.yml"), reverse=True)
        groups = [path.read_text(encoding="utf-8").partition("groups:\n")[2] for path in found]
    except OSError as error:
        click.echo(f"error: {printable(str(error))}", err=True)
        raise click.exceptions.Exit(1) from None
    click.echo("groups:\n" + "".join(groups), nl=False)
