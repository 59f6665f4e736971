"""`engine agent`: hosts environments on this machine for an engine elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from engine.config.listeners import Listener, parse_listener
from engine.executors.cluster.agent import Agent, default_cache, default_node
from engine.executors.cluster.cluster import SECRET_VARIABLE
from engine.executors.cluster.code_cache import CodeCache
from engine.executors.process.support import unavailable
from engine.machine.descriptors import raise_limit
from engine.runtime.platform import Platform, new_event_loop

_BAD_USAGE = 2


def _address(_context: click.Context, _option: click.Parameter, value: str) -> Listener:
    try:
        address = parse_listener(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not address.port:
        raise click.BadParameter("0 is no port to connect to")
    return address


@click.command("agent")
@click.argument("address", metavar="HOST:PORT", callback=_address)
@click.option("--name", metavar="NODE", help="what the engine calls this node; default: the host's name")
@click.option("--secret-file", metavar="FILE", help=f"what the engine wants known; else {SECRET_VARIABLE}")
@click.option("--cache", metavar="DIR", help="where code is kept; default ~/.cache/invocation-engine/code")
@click.option("--cache-mb", type=click.IntRange(1), default=2048, metavar="N", help="how much; default 2048")
@click.option(
    "--grace-s",
    type=click.FloatRange(0),
    default=30.0,
    metavar="S",
    help="what invocations get to end after the first signal; default 30",
)
@click.option("--stdin", "with_stdin", is_flag=True, help="end when standard input ends")
def agent(
    address: Listener,
    *,
    name: str | None,
    secret_file: str | None,
    cache: str | None,
    cache_mb: int,
    grace_s: float,
    with_stdin: bool,
) -> None:
    """Host environments on this machine for the engine at HOST:PORT, until a signal ends it.

    It connects, and connects again for as long as it runs. Functions run as the user that it runs as. The
    first signal lets end what runs, a second one ends it at once.
    """
    raise_limit()
    reason = unavailable()
    if reason is not None:
        _complain(f"no process can be forked here: {reason}")
    secret = _secret(address, secret_file)
    try:
        kept = CodeCache(Path(cache) if cache else default_cache(), cache_mb << 20)
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(address, secret, kept, name or default_node(), grace_s, with_stdin=with_stdin))


async def _serve(
    address: Listener, secret: bytes, cache: CodeCache, node: str, grace_s: float, *, with_stdin: bool
) -> None:
    platform, loop = Platform(), asyncio.get_running_loop()
    agent = Agent(
        platform.clock, platform.offload, (address.host, address.port), secret, cache, node=node, say=_say
    )
    serving = loop.create_task(agent.run())
    draining: list[asyncio.Task[None]] = []

    def end() -> None:
        if draining:
            serving.cancel()
        else:
            draining.append(loop.create_task(agent.drain(grace_s)))

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    if with_stdin:
        loop.add_reader(sys.stdin.fileno(), _read_stdin, serving)
    try:
        await serving
    except asyncio.CancelledError:
        _say(f"{node}: ended at once")


def _read_stdin(serving: asyncio.Task[None]) -> None:
    """Whoever started this is gone."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        serving.cancel()


def _secret(address: Listener, file: str | None) -> bytes:
    """What the engine wants known; empty only where no other machine can be at the other end."""
    if file is not None:
        try:
            secret = Path(file).read_bytes().strip()
        except OSError as error:
            _complain(f"--secret-file {file}: {error.strerror}")
        if not secret:
            _complain(f"--secret-file {file}: it is empty")
        return secret
    secret = os.environb.pop(os.fsencode(SECRET_VARIABLE), b"").strip()  # handlers must not see it
    if not secret and not address.loopback:
        _complain(
            f"{address} may be anybody, and what it sends is run: name a --secret-file, "
            f"or set {SECRET_VARIABLE}"
        )
    return secret


def _say(text: str) -> None:
    click.echo(text, err=True)


def _complain(text: str) -> NoReturn:
    _say(f"error: {text}")
    raise click.exceptions.Exit(_BAD_USAGE)
