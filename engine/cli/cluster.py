"""`engine cluster`: a Ray cluster on this machine, for trying, and what nodes a running engine has."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from contextlib import closing
from typing import Any, Final

import click

from engine.cli.admin_client import ADMIN_URL, AdminClient, ends_quietly
from engine.cli.options import complain, http_address, printable, run
from engine.errors import EngineError
from engine.executors.cluster.ray_local import LocalRayCluster
from engine.executors.process.support import unavailable
from engine.protocols.http.client import HttpClientError
from engine.report.tables import text_table

_HEADINGS: Final = (
    *("node", "state", "address", "cores", "at work", "memory free"),
    *("environments", "invocations", "errors", "cold starts", "losses"),
)


@click.group("cluster")
def cluster() -> None:
    """Start a Ray cluster on this machine, for trying; show the nodes of a running engine."""


@cluster.command("up")
@click.option("--nodes", type=click.IntRange(1, 16), default=2, show_default=True, help="how many")
@click.option(
    "--cpus", type=click.IntRange(1), help="cores of each node; default: all there are, shared out among them"
)
def up(nodes: int, cpus: int | None) -> None:
    """Run a Ray cluster on the loopback of this machine until a signal that ends processes.

    It listens on 127.0.0.1 alone, and asks for a token that only this user can read. What to type next is
    printed when it is ready.
    """
    reason = unavailable()
    if reason is not None:
        complain([f"no process can be forked here: {reason}"])
    try:
        local = LocalRayCluster(shares(sorted(os.sched_getaffinity(0)), nodes, cpus))
    except (EngineError, ValueError) as error:
        complain([str(error)])
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    for each in signals:
        signal.signal(each, _interrupt)
    try:
        click.echo(f"starting {nodes} nodes ...", err=True)
        local.start()
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in local.variables().items())
        click.echo(f"export {variables}\nengine serve MODULE.FUNCTION --ray auto")
        click.echo("ready: type the above in another terminal; Ctrl-C ends it", err=True)
        signal.sigwait(signals)
    except KeyboardInterrupt:
        pass
    finally:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        local.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@cluster.command("status")
@click.option("--url", default=ADMIN_URL, show_default=True, help="admin listener of the engine")
@click.option("--json", "as_json", is_flag=True, help="what /nodes.json says, on one line")
def status(url: str, *, as_json: bool) -> None:
    """Show the nodes of a running engine, on Ray or not, and those that were lost within the hour.

    Exit code 2 without an engine.
    """
    admin = AdminClient(*http_address(url))

    async def asked() -> dict[str, Any]:
        with closing(admin):
            code, document = await admin.get("/nodes.json")
        if code != 200 or "nodes" not in document:
            raise HttpClientError("no nodes of an engine: is this the admin listener?")
        return document

    with ends_quietly(url):
        document = run(asked())
        if as_json:
            sys.stdout.write(json.dumps(document) + "\n")
        elif document["nodes"]:
            rows = [_HEADINGS, *map(_cells, document["nodes"])]
            sys.stdout.write("".join(f"{line}\n" for line in text_table(rows, text_columns=3)))
            if document["left_out"]:
                click.echo(f"and {document['left_out']} nodes more", err=True)
        else:
            click.echo("no nodes: no agent has connected", err=True)
        sys.stdout.flush()


def _cells(node: dict[str, Any]) -> tuple[str, ...]:
    """A row under `_HEADINGS`; what a node that is not there does not say is left empty."""
    ended: dict[str, int] = node["invocations"]
    return (
        printable(node["name"]),
        node["state"],
        printable(node.get("address", "")),
        f"{node['cores']:g}" if "cores" in node else "",
        f"{node['load']:.1f}" if "load" in node else "",
        f"{node['free_memory_mb']:,}/{node['memory_mb']:,} MB" if "free_memory_mb" in node else "",
        f"{sum(node['environments'].values()):,}",
        f"{sum(ended.values()):,}",
        f"{sum(ended.values()) - ended['success']:,}",
        f"{node['cold_starts']:,}",
        f"{sum(node['losses'].values()):,}",
    )


def shares(cores: list[int], nodes: int, cpus: int | None) -> list[set[int]]:
    """Which of these cores each node gets: `cpus` of its own, or an even share, of one core at least.

    Raises:
        ValueError: There are not so many.
    """
    if cpus is None:
        cpus = max(1, len(cores) // nodes)
        return [{cores[(node * cpus + at) % len(cores)] for at in range(cpus)} for node in range(nodes)]
    if nodes * cpus > len(cores):
        raise ValueError(f"{nodes} nodes of {cpus} cores need {nodes * cpus}, and there are {len(cores)}")
    return [set(cores[node * cpus : (node + 1) * cpus]) for node in range(nodes)]
