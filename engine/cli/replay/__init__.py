"""`engine replay`: sends the events of a trace to a running engine, in the trace's time or faster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import urlsplit

import click

from engine.cli.model_options import json_of, number, refuse, refuse_unused, take
from engine.cli.options import run
from engine.cli.replay.calls import Calls
from engine.cli.trace_options import trace_of, trace_options
from engine.report.tables import text_table
from engine.runtime.clock import SystemClock
from engine.sources.replay.published import COUNTED
from engine.sources.replay.reader import rows_of
from engine.sources.replay.recorded import Recorded, Trace, in_order, recorded
from engine.sources.replay.trace_file import Row, TraceError, WrongLines

_FAILED = 1


@click.command("replay")
@click.argument("trace", metavar="TRACE")
@click.option("--url", default="http://127.0.0.1:4566", show_default=True, help="the engine's aws listener")
@click.option(
    "--speed", type=number(above=True), default=1.0, show_default=True, help="10 = ten times as fast"
)
@click.option("--function", help="function of events that name none")
@click.option("--to", help="function that gets every event, whatever it names")
@click.option("--event", metavar="FILE", help="JSON of events that have no payload; default: {}")
@click.option("--asynchronous", is_flag=True, help="events, not requests: none waits for an answer")
@click.option("--limit", type=click.IntRange(min=1), help="stop after this many events")
@click.option(
    "--most", type=click.IntRange(min=1), default=1000, show_default=True, help="under way at a time"
)
@trace_options
@click.option("--seed", type=int, default=1, show_default=True, help="of what a trace does not say")
@click.option("--json", "as_json", is_flag=True, help="print figures that `engine simulate --observed` reads")
@click.pass_context
def replay(context: click.Context, /, trace: str, url: str, *, as_json: bool, **options: Any) -> None:
    """Send each event of TRACE at its time: own events, REPORT lines, or a published trace.

    Events (JSON Lines or CSV of timestamp, function, payload) are sent in the order of the file; other traces
    are sorted first. Prints what the callers saw, and what REPORT lines say of it. Exit code 1 if a call
    found no engine, or the trace ends at a wrong line; 2 if it cannot be read.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or 80
    except ValueError as error:
        refuse([f"--url {url}: {error}"])
    if parts.scheme != "http" or parts.hostname is None:
        refuse([f"--url {url}: not an http:// URL"])
    calls = Calls(parts.hostname, port, asynchronous=options["asynchronous"], most=options["most"])
    payload = b"{}" if options["event"] is None else json.dumps(json_of(options["event"])).encode()
    read_as = trace_of(trace, **take(options, "layout", "spread", "skip_wrong_lines"))
    if read_as.layout not in COUNTED:
        refuse_unused(context, "the trace has the moment of each call", "spread", "seed")
    try:
        events = _Rows(read_as, options["seed"], options["to"], options["function"], payload)
    except TraceError as error:
        refuse([str(error)])
    wrong = run(_send(events, calls, options["speed"], options["limit"]))
    for line in events.skipped():
        click.echo(f"warning: {line}", err=True)
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


class _Rows:
    """The events of a trace, in the order in which they are sent.

    Raises:
        TraceError: The trace has to be sorted first, and cannot be read.
    """

    def __init__(self, trace: Trace, seed: int, to: str | None, nameless: str | None, payload: bytes) -> None:
        self._trace, self._to, self._nameless, self._payload = trace, to, nameless, payload
        self._wrong = WrongLines() if trace.skip else None
        self._sorted: Recorded | None = None
        if trace.layout != "events":
            self._sorted = recorded(trace, Random(seed))  # noqa: S311  # the same seed, the same events

    def skipped(self) -> Sequence[str]:
        """What was left out because it is wrong."""
        if self._sorted is not None:
            return self._sorted.skipped
        error = None if self._wrong is None else self._wrong.error()
        return () if error is None else (f"left out: {self._trace.file}:{error.line}: {error.reason}",)

    def __iter__(self) -> Iterator[Row]:
        """Each with a function and a payload. Raises TraceError at the first that is wrong."""
        if self._sorted is not None:
            yield from map(self._addressed, in_order(self._sorted.functions))
            return
        with rows_of(self._trace.file, wrong=self._wrong) as rows:
            yield from map(self._addressed, rows)

    def _addressed(self, row: Row) -> Row:
        function = self._to or row.function or self._nameless
        if function is None:
            raise TraceError(
                str(self._trace.file), row.line, "names no function: say which by --function or --to"
            )
        return row._replace(function=function, payload=row.payload if row.payload != b"{}" else self._payload)


async def _send(rows: _Rows, calls: Calls, speed: float, limit: int | None) -> str:
    """Problems of the trace; the rows before the first problem are sent."""
    clock = SystemClock()
    began_s = clock.now()
    first_s: float | None = None
    wrong = ""
    async with asyncio.TaskGroup() as group:
        try:
            for row in islice(rows, limit):
                first_s = row.at_s if first_s is None else first_s
                due_s = began_s + (row.at_s - first_s) / speed
                await asyncio.sleep(max(0.0, due_s - clock.now()))
                await calls.wait_for_room()
                calls.late(clock.now() - due_s)
                group.create_task(calls.call(row.function or "", row.payload, clock))
        except TraceError as error:
            wrong = str(error)
    calls.took_s = clock.now() - began_s
    calls.close()
    return wrong
