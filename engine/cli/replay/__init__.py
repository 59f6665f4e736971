"""`engine replay`: sends the events of a trace to a running engine, in the trace's time or faster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from random import Random
from typing import Any

import click

from engine.cli.event_option import Events, event_option, events_of
from engine.cli.model_options import number, refuse, refuse_unused, take
from engine.cli.options import http_address, run
from engine.cli.replay.calls import Calls, InvokeApi
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
@event_option("event", "events that have no payload")
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
    are sorted first. Prints what the callers saw, from when each call was due, and what REPORT lines say.
    Exit code 1 if a call found no engine, or the trace ends at a wrong line; 2 if it cannot be read.
    """
    api = InvokeApi(*http_address(url), asynchronous=options["asynchronous"])
    calls = Calls(api, SystemClock(), asynchronous=options["asynchronous"], most=options["most"])
    payloads = events_of(options["event"])
    read_as = trace_of(trace, **take(options, "layout", "spread", "skip_wrong_lines"))
    if read_as.layout not in COUNTED:
        refuse_unused(context, "the trace has the moment of each call", "spread", "seed")
    try:
        events = _Rows(read_as, options["seed"], options["to"], options["function"], payloads)
    except TraceError as error:
        refuse([str(error)])

    async def send() -> str:
        with closing(api):
            return await calls.send_all(islice(events, options["limit"]), options["speed"])

    wrong = run(send())
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
    for line in _lateness(calls, options["most"]):
        click.echo(f"warning: {line}", err=True)
    problems = [wrong] if wrong else []
    if calls.unreachable:
        problems.append(f"{calls.unreachable:,} calls found no engine: {calls.reason}")
    if problems:
        for problem in problems:
            click.echo(f"error: {problem}", err=True)
        raise click.exceptions.Exit(_FAILED)


def _lateness(calls: Calls, most: int) -> Iterator[str]:
    """What was not sent as the trace has it, and why."""
    late = calls.lateness
    if calls.out_of_order:
        yield f"{calls.out_of_order:,} calls stand after later ones, and were sent with these: sort the trace"
    if late.held:
        yield (
            f"{late.held:,} calls were sent up to {late.held_s:,.3g} s late, because {most:,} were under way "
            "(--most); their times count that"
        )
    if late.slow:
        yield (
            f"{late.slow:,} calls were sent up to {late.slow_s:,.3g} s late: this machine is too slow; "
            "their times count that"
        )


class _Rows:
    """The events of a trace, in the order in which they are sent.

    Raises:
        TraceError: The trace has to be sorted first, and cannot be read.
    """

    def __init__(
        self, trace: Trace, seed: int, to: str | None, nameless: str | None, payloads: Events
    ) -> None:
        self._trace, self._to, self._nameless, self._payloads = trace, to, nameless, payloads
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
        if row.payload != b"{}":
            return row._replace(function=function)
        return row._replace(function=function, payload=json.dumps(self._payloads()).encode())
