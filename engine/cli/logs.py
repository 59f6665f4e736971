"""`engine logs`: the last invocations of a function in a running engine, as CloudWatch has them."""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlencode

import click

from engine.cli.admin_client import ADMIN_URL, AdminClient, ends_quietly
from engine.cli.options import http_address, printable, run
from engine.cli.values import SECONDS
from engine.protocols.http.client import HttpClientError

_NOT_FOUND: Final = 1
_EVERY_S: Final = 0.5
_BUSY_EVERY_S: Final = 0.1
"""When the last answer had more than half of what an engine keeps from one read to the next."""

_HARMLESS: Final = "\t\xa0"
"""What REPORT lines and stack traces have, as on AWS, besides what is printable."""

Document = dict[str, Any]
"""What `/invocations.json` answers."""


@click.command("logs")
@click.argument("function", metavar="FUNCTION")
@click.option("--follow", is_flag=True, help="go on with what ends from now on, until Ctrl-C")
@click.option("--request-id", metavar="ID", help="only this request, with all its attempts")
@click.option("--execution", metavar="ARN|NAME", help="only the invocations of this durable execution")
@click.option("--since", "since_s", type=SECONDS, metavar="TIME", help="only what ended since: 30s, 5m, 1h")
@click.option("--admin", default=ADMIN_URL, show_default=True, help="admin listener of the engine")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line, an invocation each")
def logs(
    function: str,
    *,
    follow: bool,
    request_id: str | None,
    execution: str | None,
    since_s: float | None,
    admin: str,
    as_json: bool,
) -> None:
    """Print the logs of FUNCTION in a running engine: START, what the handler wrote, END, REPORT.

    In front of each line is the time at which its invocation ended. How much an engine keeps is bounded; what
    is left out is counted on stderr. Exit code 1 if nothing of --request-id is kept; 2 without an engine or a
    function of that name.
    """
    wanted: Document = {"function": function}
    if request_id is not None:
        wanted["request_id"] = request_id
    if execution is not None:
        wanted["execution"] = execution
    if since_s is not None:
        wanted["since_s"] = since_s
    with ends_quietly(admin):
        shown = run(
            _print(AdminClient(*http_address(admin, "--admin")), wanted, follow=follow, as_json=as_json)
        )
        if request_id is not None and not shown and not follow:
            click.echo(f"error: no invocation with request ID {printable(request_id)} is kept", err=True)
            raise click.exceptions.Exit(_NOT_FOUND)


async def _print(admin: AdminClient, wanted: Document, *, follow: bool, as_json: bool) -> int:
    """Write all that is kept, and with `follow` all that comes. Returns how many invocations there were."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    shown = 0
    up_to = "since_s" in wanted
    with closing(admin):
        async for document in _documents(admin, wanted, follow=follow):
            if document["left_out"]:
                click.echo(_what_is_left_out(document, up_to=up_to), err=True)
            up_to = False
            for one in document["invocations"]:
                sys.stdout.write(json.dumps(one) + "\n" if as_json else _text(one, colour=colour))
            sys.stdout.flush()
            shown += len(document["invocations"])
    return shown


async def _documents(admin: AdminClient, wanted: Document, *, follow: bool) -> AsyncIterator[Document]:
    """What is kept; with `follow` also what comes later, until nobody reads stdout any more."""
    after = 0
    while True:
        document = await _ask(admin, wanted | {"after": after})
        if document["next"] >= after:
            yield document
            after = document["next"]
            wanted = {name: value for name, value in wanted.items() if name != "since_s"}
            busy = document["left_out"] or 2 * len(document["invocations"]) > document["kept"]["last"]
        else:  # another engine is there
            after, busy = 0, True
        if not follow:
            return
        await asyncio.sleep(_BUSY_EVERY_S if busy else _EVERY_S)
        if _reader_is_gone():
            return


async def _ask(admin: AdminClient, query: Document) -> Document:
    status, document = await admin.get(f"/invocations.json?{urlencode(query)}")
    if "invocations" not in document:
        reason = document.get("message", f"status {status}, and no logs of an engine")
        raise HttpClientError(str(reason))
    return document


def _what_is_left_out(document: Document, *, up_to: bool) -> str:
    """For a first look at a time nobody looked at, the engine knows how many there were at the most."""
    count = f"{'up to ' if up_to else ''}{document['left_out']:,}"
    kept = document["kept"]
    return (
        f"warning: {count} more ended that are not kept: of those that succeed, an engine keeps the first "
        f"{kept['last']} after each read, then {kept['per_s']} a second"
    )


def _text(one: Document, *, colour: bool) -> str:
    """The lines of an invocation, each behind its time; what a handler wrote cannot steer the terminal."""
    lines = []
    for line in one["log"].removesuffix("\n").split("\n"):
        text = printable(line, also=_HARMLESS).rstrip()
        if colour and line.startswith(("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")):
            failed = one["status"] != "success" and line.startswith("REPORT")
            text = click.style(text, fg="red" if failed else "cyan")
        lines.append(f"{click.style(one['ended_at'], dim=True) if colour else one['ended_at']} {text}\n")
    return "".join(lines)


def _reader_is_gone() -> bool:
    """Whether stdout is a pipe that nobody reads, or a terminal that was closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are told unasked
    return bool(poll.poll(0))
