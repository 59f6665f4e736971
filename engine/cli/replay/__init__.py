"""`engine replay`: sends the events of a trace to a running engine, in the trace's time or faster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from engine.cli.model_options import number, refuse
from engine.cli.options import run
from engine.cli.replay.calls import Calls
from engine.report.tables import text_table
from engine.runtime.clock import SystemClock
from engine.sources.replay.reader import Row, TraceError, rows_of

_FAILED = 1


@click.command("replay")
@click.argument("trace", metavar="TRACE")
@click.option("--url", default="http://127.0.0.1:4566", show_default=True, help="the engine's aws listener")
@click.option(
    "--speed", type=number(above=True), default=1.0, show_default=True, help="10 = ten times as fast"
)
@click.option("--function", help="function of events that name none")
@click.option("--asynchronous", is_flag=True, help="events, not requests: none waits for an answer")
@click.option("--limit", type=click.IntRange(min=1), help="stop after this many events")
@click.option(
    "--most", type=click.IntRange(min=1), default=1000, show_default=True, help="under way at a time"
)
@click.option("--json", "as_json", is_flag=True, help="print figures that `engine simulate --observed` reads")
def replay(trace: str, url: str, *, as_json: bool, **options: Any) -> None:
    """Send each event of TRACE (JSON Lines or CSV of timestamp, function, payload) at its time.

    Prints what the callers saw, and what REPORT lines say of it. Exit code 1 if a call found no engine, or
    the trace ends at a wrong line.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or 80
    except ValueError as error:
        refuse([f"--url {url}: {error}"])
    if parts.scheme != "http" or parts.hostname is None:
        refuse([f"--url {url}: not an http:// URL"])
    calls = Calls(parts.hostname, port, asynchronous=options["asynchronous"], most=options["most"])
    wrong = run(_send(Path(trace), calls, options["speed"], options["function"], options["limit"]))
    shown = calls.figures()
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        rows = [(name.replace("_", " "), f"{one:,.6g}") for name, one in shown.items()]
        click.echo("\n".join(text_table(rows)))
        for status, seen in calls.statuses():
            click.echo(f"status {status}: {seen:,}")
    if calls.sent_late:
        click.echo(
            f"warning: {calls.sent_late:,} calls were sent late: this machine is too slow for it", err=True
        )
    problems = [wrong] if wrong else []
    if calls.unreachable:
        problems.append(f"{calls.unreachable:,} calls found no engine: {calls.reason}")
    if problems:
        for problem in problems:
            click.echo(f"error: {problem}", err=True)
        raise click.exceptions.Exit(_FAILED)


async def _send(file: Path, calls: Calls, speed: float, function: str | None, limit: int | None) -> str:
    """Problems of the trace; the rows before the first problem are sent."""
    clock = SystemClock()
    began_s = clock.now()
    first_s: float | None = None
    wrong = ""
    async with asyncio.TaskGroup() as group:
        try:
            with rows_of(file) as rows:
                for sent, row in enumerate(_known(rows, function, file)):
                    if sent == limit:
                        break
                    first_s = row.at_s if first_s is None else first_s
                    due_s = began_s + (row.at_s - first_s) / speed
                    await asyncio.sleep(max(0.0, due_s - clock.now()))
                    await calls.wait_for_room()
                    calls.late(clock.now() - due_s)
                    group.create_task(calls.call(row.function or function or "", row.payload, clock))
        except TraceError as error:
            wrong = str(error)
    calls.took_s = clock.now() - began_s
    calls.close()
    return wrong


def _known(rows: Iterator[Row], function: str | None, file: Path) -> Iterator[Row]:
    """Rows that name a function, or go to the default one; the first that does neither ends it."""
    for row in rows:
        if row.function is None and function is None:
            raise TraceError(str(file), row.line, "names no function: say which by --function")
        yield row
