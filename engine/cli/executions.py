"""`engine executions`: durable executions of a running engine, over its Lambda API."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from engine.cli.admin_client import ends_quietly
from engine.cli.lambda_client import (
    AWS_URL,
    Document,
    LambdaClient,
    LambdaRefusal,
    execution_path,
    executions_path,
)
from engine.cli.options import complain, http_address, printable, run
from engine.core.durable.values import ExecutionStatus
from engine.report.execution_page import execution_page
from engine.report.execution_timeline import duration, read_timeline, text_timeline
from engine.report.tables import text_table
from engine.runtime.clock import SystemClock

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_REFUSED: Final = 1
_WIDTH: Final = 110
"""Columns of a timeline where stdout is no terminal."""

_STATUSES: Final = [status.value for status in ExecutionStatus]


@click.group("executions")
def executions() -> None:
    """Look at durable executions of a running engine, and stop, pause, resume or delete them.

    EXECUTION is an ARN, or a name. Exit code 1 if there is none of that name or the engine refuses; 2 without
    an engine.
    """


def _url_option(command: F) -> F:
    text = "aws listener of the engine"
    return click.option("--url", default=AWS_URL, show_default=True, metavar="URL", help=text)(command)


def _execution_options(command: F) -> F:
    """Which execution, and where."""
    of = click.option("--function", metavar="NAME", help="whose execution, where only a name is given")
    return click.argument("execution", metavar="EXECUTION")(of(_url_option(command)))


@executions.command("list")
@click.argument("function", metavar="[FUNCTION]", required=False)
@click.option(
    "--status",
    "statuses",
    type=click.Choice(_STATUSES, case_sensitive=False),
    multiple=True,
    help="only these; repeatable",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="newest ones")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line, an execution each")
@_url_option
def list_executions(
    function: str | None, *, statuses: tuple[str, ...], limit: int, as_json: bool, url: str
) -> None:
    """List executions, the newest first: of FUNCTION, or of all durable functions."""

    async def listed(client: LambdaClient) -> tuple[list[Document], bool]:
        names = await _durable_functions(client) if function is None else [function]
        query: dict[str, str | list[str]] = {"MaxItems": str(limit), "Statuses": list(statuses)}
        pages = [await client.call("GET", executions_path(name), query) for name in names]
        found = [one for page in pages for one in page["DurableExecutions"]]
        found.sort(key=lambda one: one["StartTimestamp"], reverse=True)
        return found[:limit], len(found) > limit or any("NextMarker" in page for page in pages)

    found, more = _ask(url, listed)
    if as_json:
        sys.stdout.write("".join(f"{json.dumps(one)}\n" for one in found))
    elif found:
        now_s = SystemClock().wall()
        head = ("status", "function", "name", "started", "age", "took")
        rows = [head, *(_listed_row(one, now_s) for one in found)]
        sys.stdout.write("".join(f"{line}\n" for line in text_table(rows, text_columns=4)))
    else:
        click.echo("no executions", err=True)
    if more:
        click.echo(f"there are more than these {len(found)}: --limit, --status", err=True)


@executions.command("show")
@_execution_options
@click.option("--html", metavar="FILE", help="write the timeline as a page instead")
@click.option("--json", "as_json", is_flag=True, help="the execution and its events as one JSON object")
def show(execution: str, *, function: str | None, url: str, html: str | None, as_json: bool) -> None:
    """Draw the timeline of EXECUTION: invocations, operations below their contexts, waits and retries."""

    async def whole(client: LambdaClient) -> tuple[Document, list[Document]]:
        arn = await _arn(client, execution, function)
        document = await client.call("GET", execution_path(arn))
        events: list[Document] = []
        async for page in client.pages(execution_path(arn, "history"), {"MaxItems": "1000"}):
            events += page["Events"]
        return document, events

    document, events = _ask(url, whole)
    if as_json:
        sys.stdout.write(json.dumps({"execution": document, "events": events}) + "\n")
        return
    now_s = SystemClock().wall()
    if html is None:
        width = shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH
        sys.stdout.write(text_timeline(read_timeline(events, document, now_s), width))
        return
    try:
        Path(html).write_text(execution_page(events, document, now_s), encoding="utf-8")
    except OSError as error:
        complain([f"--html {html}: {error.strerror}"])


@executions.command("stop")
@_execution_options
@click.option("--message", metavar="TEXT", help="why: the execution's ErrorMessage")
def stop(execution: str, *, function: str | None, url: str, message: str | None) -> None:
    """End EXECUTION now, as STOPPED."""
    _change("POST", "stop", execution, function, url, {} if message is None else {"ErrorMessage": message})


@executions.command("pause")
@_execution_options
@click.option("--reason", metavar="TEXT", help="kept in the history")
@click.option("--count-time", is_flag=True, help="let the execution timeout go on meanwhile")
def pause(execution: str, *, function: str | None, url: str, reason: str | None, count_time: bool) -> None:
    """Have EXECUTION invoked no more until it is resumed."""
    body = {"ExecutionTimeoutPaused": not count_time} | ({} if reason is None else {"Reason": reason})
    _change("POST", "pause", execution, function, url, body)


@executions.command("resume")
@_execution_options
@click.option("--reason", metavar="TEXT", help="kept in the history")
def resume(execution: str, *, function: str | None, url: str, reason: str | None) -> None:
    """Let a paused EXECUTION go on."""
    _change("POST", "resume", execution, function, url, {} if reason is None else {"Reason": reason})


@executions.command("delete")
@_execution_options
def delete(execution: str, *, function: str | None, url: str) -> None:
    """Forget EXECUTION, which has ended."""
    _change("DELETE", "", execution, function, url, None)


def _change(
    method: str, action: str, execution: str, function: str | None, url: str, body: Document | None
) -> None:
    """Do it, and print the ARN of the execution it was done to."""

    async def done(client: LambdaClient) -> str:
        arn = await _arn(client, execution, function)
        await client.call(method, execution_path(arn, action), None, body)
        return arn

    click.echo(_ask(url, done))


def _ask(url: str, ask: Callable[[LambdaClient], Coroutine[Any, Any, T]]) -> T:
    """What the engine at `url` answers; exits with one line if it refuses, or if there is none."""

    async def asked() -> T:
        client = await LambdaClient.open(*http_address(url))
        try:
            return await ask(client)
        finally:
            client.close()

    with ends_quietly(url):
        try:
            return run(asked())
        except LambdaRefusal as refusal:
            click.echo(f"error: {printable(str(refusal))}", err=True)
            raise click.exceptions.Exit(_REFUSED) from None
    raise click.exceptions.Exit(_REFUSED)  # ended by Ctrl-C


async def _durable_functions(client: LambdaClient) -> list[str]:
    names: list[str] = []
    async for page in client.pages("/2015-03-31/functions/", None):
        names += [one["FunctionName"] for one in page["Functions"] if "DurableConfig" in one]
    return names


async def _arn(client: LambdaClient, execution: str, function: str | None) -> str:
    """The ARN of the execution of that name: of one function, or of the only one that has it."""
    if execution.startswith("arn:"):
        return execution
    names = await _durable_functions(client) if function is None else [function]
    found: list[str] = []
    for name in names:
        page = await client.call("GET", executions_path(name), {"DurableExecutionName": execution})
        found += [one["DurableExecutionArn"] for one in page["DurableExecutions"]]
    if not found:
        whose = "durable function" if function is None else f"function {function}"
        raise LambdaRefusal("", f"no {whose} has an execution of the name {execution}")
    if len(found) > 1:
        raise LambdaRefusal("", f"{len(found)} executions have the name {execution}; add --function NAME")
    return found[0]


def _listed_row(one: Document, now_s: float) -> tuple[str, ...]:
    start_s, end_s = one["StartTimestamp"], one.get("EndTimestamp")
    started = datetime.fromtimestamp(start_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    age = duration(max(0.0, now_s - start_s))
    took = "" if end_s is None else duration(end_s - start_s)
    function = one["FunctionArn"].partition(":function:")[2]
    return one["Status"], function, one["DurableExecutionName"], started, age, took
