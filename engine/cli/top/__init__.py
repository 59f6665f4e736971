"""`engine top`: a running engine, live, from a process of its own that only asks its admin listener."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import click
from rich.console import Console
from rich.live import Live

from engine.cli.admin_client import ADMIN_URL, AdminClient, ends_quietly
from engine.cli.options import http_address, run
from engine.cli.top.event_log import EventLog
from engine.cli.top.formatting import ORDERS
from engine.cli.top.lines import Json, Plain
from engine.cli.top.reading import Document, frame_of
from engine.cli.top.screen import Picture
from engine.protocols.http.client import HttpClientError

_LIVE_EVERY_S: Final = 1.0
_PLAIN_EVERY_S: Final = 5.0


@click.command("top")
@click.option("--url", default=ADMIN_URL, show_default=True, help="admin listener of the engine")
@click.option(
    "--every",
    "every_s",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    help="between two samples; default 1, or 5 with --plain and --json",
)
@click.option("--count", type=click.IntRange(1), help="stop after this many samples")
@click.option("--sort", "order", type=click.Choice(ORDERS), default="rate", show_default=True)
@click.option(
    "--functions",
    "pattern",
    metavar="PATTERN",
    default="*",
    help="only these functions; * stands for anything",
)
@click.option("--plain", is_flag=True, help="lines instead of a live screen, as in a pipe")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
def top(
    url: str,
    every_s: float | None,
    count: int | None,
    order: str,
    pattern: str,
    *,
    plain: bool,
    as_json: bool,
) -> None:
    """Show what a running engine does: rates, times, levels and cost of each function.

    Percentiles are of the time between two samples, right to 2.2 % (≈). Keys: s sorts by the next column,
    p pauses, q quits.
    """
    console = Console()
    live = console.is_terminal and sys.stdin.isatty() and not plain and not as_json
    every_s = every_s or (_LIVE_EVERY_S if live else _PLAIN_EVERY_S)
    admin = AdminClient(*http_address(url))
    with ends_quietly(url):
        if live:
            run(_watch(admin, Picture(url=url, order=order, pattern=pattern), console, every_s, count))
        else:
            kind = Json if as_json else Plain
            run(_print(admin, kind(sys.stdout, order, pattern), every_s, count))


async def _status(admin: AdminClient) -> Document:
    """The status now.

    Raises:
        HttpClientError: There is no engine, or something else answers.
    """
    status, document = await admin.get("/status.json")
    if status != 200 or "classes_per_doubling" not in document:
        raise HttpClientError("no status of an engine: is this the admin listener?")
    return document


async def _print(admin: AdminClient, out: Plain | Json, every_s: float, count: int | None) -> None:
    """Write until `count`, or until the engine does not answer. The first look only begins the time."""
    log = EventLog()
    shown = 0
    with closing(admin):
        before = await _status(admin)
        while count is None or shown < count:
            await asyncio.sleep(every_s)
            after = await _status(admin)
            out.show(frame_of(before, after), log.add(before, after))
            before, shown = after, shown + 1


async def _watch(
    admin: AdminClient, picture: Picture, console: Console, every_s: float, count: int | None
) -> None:
    """Draw until a key says stop. Waits for an engine that does not answer."""
    before: Document | None = None
    pressed = asyncio.Event()
    going_on = True
    with (
        closing(admin),
        Live(console=console, screen=True, auto_refresh=False) as live,
        _keys() as listen,
    ):

        def press(key: str) -> None:
            nonlocal going_on
            going_on = going_on and picture.press(key)
            live.update(picture.drawn(console), refresh=True)
            if not going_on:
                pressed.set()

        listen(press)
        looks = 0
        while going_on and (count is None or looks < count):
            try:
                after = await _status(admin)
            except HttpClientError as error:
                picture.trouble = f"{error}; waiting"
            else:
                picture.log.add(before, after)
                picture.take(frame_of(before, after))
                before, looks = after, looks + 1
            live.update(picture.drawn(console), refresh=True)
            try:
                async with asyncio.timeout(every_s):
                    await pressed.wait()
            except TimeoutError:
                pass


@contextmanager
def _keys() -> Iterator[Callable[[Callable[[str], None]], None]]:
    """Keys without Enter and without echo; the terminal is as it was afterwards."""
    file = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    known = termios.tcgetattr(file)

    def listen(tell: Callable[[str], None]) -> None:
        def read() -> None:
            for key in os.read(file, 64).decode(errors="replace"):
                tell(key)

        loop.add_reader(file, read)

    tty.setcbreak(file)
    try:
        yield listen
    finally:
        loop.remove_reader(file)
        termios.tcsetattr(file, termios.TCSADRAIN, known)
