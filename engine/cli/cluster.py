"""`engine cluster`: a Ray cluster on this machine, for trying."""

from __future__ import annotations

import os
import shlex
import signal

import click

from engine.cli.options import complain
from engine.errors import EngineError
from engine.executors.cluster.ray_local import LocalRayCluster
from engine.executors.process.support import unavailable


@click.group("cluster")
def cluster() -> None:
    """Start a Ray cluster on this machine, for trying what runs on nodes."""


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
