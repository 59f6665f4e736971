"""`engine invoke`: one invocation, here or in a running engine."""

from __future__ import annotations

import asyncio
import base64
import errno
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

import click
import orjson

from engine.app import Engine
from engine.app.executions import Executions
from engine.cli.event_option import event_option, payload_of, template_of
from engine.cli.options import (
    complain,
    configured,
    http_address,
    python_option,
    run,
    streaming_option,
    warn,
)
from engine.cli.template_options import TemplateCommand, template_options
from engine.config import Config, Listener
from engine.core.durable.values import MAX_EXECUTION_S
from engine.core.function import DurableConfig
from engine.errors import EngineError
from engine.protocols.http.answer_in_pieces import AnswerInPieces
from engine.runtime.clock import SystemClock
from engine.runtime.ids import request_ids
from engine.runtime.output import StandardOutput
from engine.runtime.platform import new_event_loop
from engine.runtime.virtual_time import VirtualTimeLoop, virtual_platform
from engine.services.lambda_api.event_stream import COMPLETE, EventStreamReader
from engine.services.lambda_api.streamed_answer import REMAPPED_CONTENT_TYPE
from engine.sources.samples.common import EPOCH_S

_FAILED = 1
_READER_LOOK_S = 0.002


@click.command("invoke", cls=TemplateCommand)
@click.argument("function", metavar="FUNCTION")
@event_option("event", "the event", "FILE|-")
@click.option("--config", "path", metavar="FILE", help="run FUNCTION of this engine.toml or template.yaml")
@template_options
@click.option("--executor", metavar="NAME", help="auto, loop, thread, process, ...; not with --url")
@python_option
@streaming_option
@click.option("--url", metavar="URL", help="run FUNCTION in the engine whose aws listener this is")
@click.option("--durable", is_flag=True, help="MODULE.FUNCTION is durable; an execution may take 366 days")
@click.option("--virtual-time", is_flag=True, help="waits take no time, and ids and jitter come from --seed")
@click.option("--seed", type=int, metavar="N", help="with --virtual-time; default 0")
@click.option(
    "--callback",
    "callbacks",
    metavar="NAME=JSON",
    multiple=True,
    help="what callbacks of that name are answered by; repeatable",
)
def invoke(
    function: str,
    event: str | None,
    path: str | None,
    parameters: tuple[str, ...],
    url: str | None,
    durable: bool,  # noqa: FBT001  # click names it
    virtual_time: bool,  # noqa: FBT001
    seed: int | None,
    callbacks: tuple[str, ...],
    **overrides: str | None,
) -> None:
    """Invoke FUNCTION once: payload on stdout, as it comes, its log and the REPORT line on stderr.

    FUNCTION is a name with --config or --url, else a handler: MODULE.FUNCTION. Of a durable function
    the end of its execution is waited for, and its timeline is on stderr too. Exit code 0, or 1 if the
    function failed, or 2 if it could not be run.
    """
    how = _How(virtual_time, seed, durable, _answers(callbacks))
    payload = _payload(event, how)
    if seed is not None and not virtual_time:
        complain(["--seed needs --virtual-time"])
    if url is not None and how != _How():
        complain(
            ["--url excludes --durable, --virtual-time and --callback: a running engine has its own time"]
        )
    if durable and path is not None:
        complain(["--durable is for MODULE.FUNCTION: with --config, functions say it themselves"])
    body: bytes | None
    with StandardOutput() as output:
        printer = _Printer(output)
        if url is not None:
            if unused := [f"--{name}" for name, value in overrides.items() if value is not None]:
                complain([f"{unused[0]} and --url exclude each other: a running engine has its own"])
            failed, body = run(_remotely(url, function, payload, printer))
        else:
            failed, body = _here(function, payload, path, parameters, overrides, how, printer)
    if body is not None:
        sys.stdout.buffer.write(body + b"\n")
    if printer.error is not None:
        sys.stderr.buffer.write(printer.error + b"\n")
    if printer.problem is not None:
        click.echo(f"error: standard output: {printer.problem}", err=True)
        failed = True
    raise click.exceptions.Exit(_FAILED if failed else 0)


def _payload(event: str | None, how: _How) -> bytes:
    template = None if event is None else template_of(event)
    if template is None:
        return payload_of(event)
    if how.virtual_time:
        return orjson.dumps(template.event(0, EPOCH_S, str(how.seed or 0)))
    return orjson.dumps(template.event(0, SystemClock().wall(), request_ids()()))


def _here(
    function: str,
    payload: bytes,
    path: str | None,
    parameters: tuple[str, ...],
    overrides: Mapping[str, str | None],
    how: _How,
    printer: _Printer,
) -> tuple[bool, bytes | None]:
    targets = () if path else (function,)
    config = configured(path, targets, {"log_format": "text", **overrides}, parameters, how.changed)
    warn(config)
    names = [one.name for one in config.functions]
    if path is None:
        (function,) = names
    if function not in names:
        complain([f"{path}: no function {function!r}; it has {', '.join(sorted(names))}"])

    is_durable = any(one.name == function and one.durable for one in config.functions)

    async def once() -> tuple[bool, bytes | None]:
        async with _engine(config, how, printer.write_log) as engine:
            if is_durable:
                return await _execute(engine, function, payload, how.answers, printer.write_log)
            return await _stream(engine, function, payload, printer)

    try:
        return run(once(), VirtualTimeLoop if how.virtual_time else new_event_loop)
    except EngineError as error:
        complain(str(error).splitlines())


async def _stream(
    engine: Engine, function: str, payload: bytes, printer: _Printer
) -> tuple[bool, bytes | None]:
    """Print a response that streams as it comes, byte for byte.

    Returns whether it failed, and what is still to be printed: the result of one that did not stream.
    """
    whole = b""
    pieces = engine.stream(function, orjson.loads(payload))
    async for piece in pieces:
        if pieces.content_type is None:
            whole += piece
        else:
            await printer.take(piece)
    outcome = pieces.outcome
    if pieces.content_type is None:
        return not outcome.ok, whole if outcome.ok else outcome.body
    if not outcome.ok:
        printer.error = outcome.body
    return not outcome.ok, None


class _Printer:
    """Who reads what the function answers and logs.

    Attributes:
        error: Of a response that failed after it had begun: told at the end, on standard error.
        problem: Why standard output took not all; None if it did, or its reader went.
    """

    def __init__(self, output: StandardOutput) -> None:
        self.error: bytes | None = None
        self.problem: str | None = None
        self._output = output
        self._is_gone = False

    def write_log(self, text: str) -> None:
        """Write to standard error."""
        self._output.err.write(text)

    async def take(self, data: bytes) -> None:
        """Wait for a reader of standard output that is slow, and write nothing for one that is gone."""
        try:
            while data and not self._is_gone:
                taken = self._output.offer(data)
                data = data[taken:]
                if not taken:
                    await asyncio.sleep(_READER_LOOK_S)
        except OSError as error:
            self._is_gone = True
            if error.errno != errno.EPIPE:
                self.problem = error.strerror


async def _execute(
    engine: Engine,
    function: str,
    payload: bytes,
    answers: Mapping[str, Any],
    write_log: Callable[[str], object],
) -> tuple[bool, bytes]:
    """Whether the execution ended badly, and what its caller gets."""
    executions = Executions(engine, answers)
    execution = await executions.run(function, orjson.loads(payload))
    write_log(f"\n{executions.timelines}")
    outcome = execution.outcome
    return not outcome.ok, outcome.body


class _How(NamedTuple):
    """How to run it.

    Attributes:
        virtual_time: By a clock that jumps.
        seed: Of ids and jitter, on virtual time.
        is_durable: The handler is that of a durable function.
        answers: For callbacks, by name.
    """

    virtual_time: bool = False
    seed: int | None = None
    is_durable: bool = False
    answers: Mapping[str, Any] = MappingProxyType({})

    def changed(self, config: Config) -> Config:
        """The configuration, its functions durable if they are to be."""
        if not self.is_durable:
            return config
        return config.changed(lambda one: replace(one, durable=DurableConfig(MAX_EXECUTION_S)))


def _answers(texts: tuple[str, ...]) -> dict[str, Any]:
    """The answers of `--callback`; exits with one line for what is none."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            found[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            equals = ""
        if not (name and equals):
            complain([f"--callback {text}: must be NAME=JSON"])
    return found


def _engine(config: Config, how: _How, write_log: Callable[[str], object]) -> Engine:
    """What runs one function. Nothing listens, but for the checkpoints of durable ones in real time."""
    if how.virtual_time:
        return Engine.from_config(config, platform=virtual_platform(seed=how.seed or 0), write_log=write_log)
    if not any(one.durable for one in config.functions):
        return Engine.from_config(config, write_log=write_log)
    alone = replace(config, listeners={"aws": Listener("127.0.0.1", 0)}, bindings={}, state_dir=None)
    return Engine.with_listeners(alone, write_log=write_log)


async def _remotely(url: str, function: str, payload: bytes, printer: _Printer) -> tuple[bool, bytes | None]:
    """As `_stream`, by InvokeWithResponseStream."""
    host, port = http_address(url)
    target = f"/2021-11-15/functions/{quote(function, safe='')}/response-streaming-invocations"
    headers = [("X-Amz-Log-Type", "Tail"), ("Content-Type", "application/json")]
    whole, frames, end = b"", EventStreamReader(), None
    try:
        answer = await AnswerInPieces.ask(host, port, "POST", target, headers, payload)
        if answer.status != 200:
            said = b"".join([piece async for piece in answer]).decode(errors="replace")
            complain([f"{url}: {answer.status} {said}"])
        has_begun = REMAPPED_CONTENT_TYPE.lower().encode() in answer.headers
        async for piece in answer:
            for kind, data in frames.feed(piece):
                if kind == COMPLETE:
                    end = orjson.loads(data)
                elif has_begun:
                    await printer.take(data)
                else:
                    whole += data
    except (OSError, ValueError) as error:
        complain([f"{url}: {error}"])
    answer.close()
    if end is None:
        complain([f"{url}: the answer ended before the response was complete"])
    printer.write_log(base64.b64decode(end.get("LogResult", "")).decode(errors="replace"))
    failure = end["ErrorDetails"].encode() if "ErrorCode" in end else None
    if not has_begun:
        return failure is not None, whole if failure is None else failure
    printer.error = failure
    return failure is not None, None
