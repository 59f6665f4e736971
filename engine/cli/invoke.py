"""`engine invoke`: one invocation, here or in a running engine."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
import orjson

from engine.app import Engine
from engine.cli.options import complain, configured, http_address, python_option, run, warn
from engine.cli.template_options import TemplateCommand, template_options
from engine.config import Config, Listener
from engine.core.outcome import Outcome
from engine.errors import EngineError
from engine.protocols.http.client import HttpConnection
from engine.runtime.output import StandardOutput

_FAILED = 1
_INLINE: Final = re.compile(r'\s*([{["]|-?\d|(null|true|false)\s*$)')
"""How a text begins that is the event itself, if it is not the name of a file."""


@click.command("invoke", cls=TemplateCommand)
@click.argument("function", metavar="FUNCTION")
@click.option("--event", metavar="FILE|-", help="the event: a file, stdin, or JSON itself; default {}")
@click.option("--config", "path", metavar="FILE", help="run FUNCTION of this engine.toml or template.yaml")
@template_options
@click.option("--executor", metavar="NAME", help="auto, loop, thread, process, ...; not with --url")
@python_option
@click.option("--url", metavar="URL", help="run FUNCTION in the engine whose aws listener this is")
def invoke(
    function: str,
    event: str | None,
    path: str | None,
    parameters: tuple[str, ...],
    url: str | None,
    **overrides: str | None,
) -> None:
    """Invoke FUNCTION once: payload on stdout, its log and the REPORT line on stderr.

    FUNCTION is a name with --config or --url, else a handler: MODULE.FUNCTION. Exit code 0, or 1 if
    the function failed, or 2 if it could not be run.
    """
    payload = _payload(event)
    with StandardOutput() as output:
        if url is not None:
            if unused := [f"--{name}" for name, value in overrides.items() if value is not None]:
                complain([f"{unused[0]} and --url exclude each other: a running engine has its own"])
            failed, body, log = run(_remotely(url, function, payload))
            output.err.write(log)
        else:
            failed, body = _here(function, payload, path, parameters, overrides, output.err.write)
    sys.stdout.buffer.write(body + b"\n")
    raise click.exceptions.Exit(_FAILED if failed else 0)


def _payload(event: str | None) -> bytes:
    if event is None:
        return b"{}"
    inline = _INLINE.match(event) is not None and not os.path.exists(event)
    try:
        if inline:
            text = os.fsencode(event)
        else:
            text = sys.stdin.buffer.read() if event == "-" else Path(event).read_bytes()
        orjson.loads(text)
    except OSError as error:
        complain([f"--event {event}: {error.strerror}"])
    except orjson.JSONDecodeError as error:
        complain([f"--event {event}: {'no such file, and ' if inline else ''}not JSON: {error}"])
    return text


def _here(
    function: str,
    payload: bytes,
    path: str | None,
    parameters: tuple[str, ...],
    overrides: Mapping[str, str | None],
    write_log: Callable[[str], object],
) -> tuple[bool, bytes]:
    config = configured(path, () if path else (function,), {"log_format": "text", **overrides}, parameters)
    warn(config)
    names = [one.name for one in config.functions]
    if path is None:
        (function,) = names
    if function not in names:
        complain([f"{path}: no function {function!r}; it has {', '.join(sorted(names))}"])

    async def once() -> Outcome:
        async with _engine(config, write_log) as engine:
            return await engine.invoke(function, orjson.loads(payload))

    try:
        outcome = run(once())
    except EngineError as error:
        complain(str(error).splitlines())
    return not outcome.ok, outcome.body


def _engine(config: Config, write_log: Callable[[str], object]) -> Engine:
    """What runs one function. Nothing listens, but for the checkpoints of durable ones."""
    if not any(one.durable for one in config.functions):
        return Engine.from_config(config, write_log=write_log)
    alone = replace(config, listeners={"aws": Listener("127.0.0.1", 0)}, bindings={}, state_dir=None)
    return Engine.with_listeners(alone, write_log=write_log)


async def _remotely(url: str, function: str, payload: bytes) -> tuple[bool, bytes, str]:
    host, port = http_address(url)
    target = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
    headers = [("X-Amz-Log-Type", "Tail"), ("Content-Type", "application/json")]
    try:
        connection = await HttpConnection.open(host, port)
        response = await connection.request("POST", target, headers, payload)
    except OSError as error:
        complain([f"{url}: {error}"])
    connection.close()
    if response.status != 200:
        complain([f"{url}: {response.status} {response.body.decode(errors='replace')}"])
    log = base64.b64decode(response.header(b"x-amz-log-result") or b"").decode(errors="replace")
    return response.header(b"x-amz-function-error") is not None, response.body, log
