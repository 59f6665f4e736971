"""`engine demo`: a burst from zero to a thousand environments and back, driven over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import signal
import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from rich.console import Console

from engine.cli.demo.drive import Drive
from engine.cli.demo.engine_process import EngineProcess
from engine.cli.demo.phases import PhaseProgress, View
from engine.cli.demo.report import page
from engine.cli.demo.sampling import StatusSampler
from engine.cli.demo.sizes import DemoSizes, make_plan
from engine.cli.demo.summary import DemoRun, document
from engine.cli.demo.summary_tables import print_summary, sentences
from engine.cli.demo.view import Lines, Quiet, Screen
from engine.cli.options import BAD_USAGE, printable, run
from engine.errors import EngineError
from engine.protocols.http.client import HttpConnection
from engine.runtime.clock import SystemClock
from engine.version import VERSION

_LIMIT_S: Final = 50.0
_FAILED: Final = 1
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


@click.command("demo")
@click.option(
    "--report", metavar="FILE", default="report.html", show_default=True, help="the report, as HTML"
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON document, and nothing while it runs")
@click.option("--plain", is_flag=True, help="plain lines even where there is a terminal")
def demo(report: str, *, as_json: bool, plain: bool) -> None:
    """Start an engine with the example handlers, drive it from zero to 1,000 and back, and show it.

    Takes about 20 s, ends by itself, leaves nothing running. Exit code 0 if all it promises held, else 1.
    """
    target = Path(report)
    if not target.parent.is_dir() or target.is_dir() or not os.access(target.parent, os.W_OK):
        _fail([f"--report {report}: cannot be written there"], BAD_USAGE)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an arrow must not end the demo where there is only ASCII
    boxed = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not plain
    view = Quiet() if as_json else Screen(Console(file=sys.stdout)) if boxed else Lines(sys.stdout)
    result = _driven(view)
    try:
        target.write_text(page(result), encoding="utf-8")
    except OSError as error:
        _fail([f"--report {report}: {error.strerror}"])
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        print_summary(result, sys.stdout, boxed=boxed)
        click.echo(f"\nreport: {target.resolve()}")
    if not result["ok"]:
        _fail(sentences(result))


def _driven(view: AbstractContextManager[View]) -> dict[str, Any]:
    """Run the demo; every error is printed in a few lines, and exits."""
    try:
        plan = make_plan()
        with view as shown:
            return run(_demonstrate(plan, shown))
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        by_key = isinstance(error, KeyboardInterrupt)
        _fail(["interrupted" if by_key else "terminated"], _INTERRUPTED if by_key else _TERMINATED)
    except Exception as error:  # noqa: BLE001  # what is not expected is raised again
        cause = _first_cause(error)
        if isinstance(cause, TimeoutError):
            _fail([f"the demo was not done after {_LIMIT_S:g} s"])
        if isinstance(cause, BrokenPipeError) or not isinstance(cause, EngineError | OSError):
            raise cause from None
        _fail(str(cause).splitlines())


def _first_cause(error: BaseException) -> BaseException:
    """Return the first error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(lines: Any, code: int = _FAILED) -> NoReturn:
    for line in lines:
        click.echo(f"error: {printable(line)}", err=True)
    raise click.exceptions.Exit(code)


async def _demonstrate(plan: DemoSizes, view: View) -> dict[str, Any]:
    clock = SystemClock()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    began = datetime.fromtimestamp(clock.wall(), UTC)
    async with asyncio.timeout(_LIMIT_S), EngineProcess(plan.arguments()) as engine:
        sampler = StatusSampler(await HttpConnection.open(*engine.addresses["admin"]), clock)
        board = PhaseProgress(plan.phases(), sampler.elapsed_s, view)
        drive = Drive(plan, engine.addresses, sampler, board, clock)
        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(sampler.run(board.show_sample))
            await drive.run()
            sampling.cancel()
        sampler.close()
    done = DemoRun(
        plan=plan,
        phases=board.phases,
        recording=drive.recording,
        samples=sampler.samples,
        status=sampler.status,
        exit_code=engine.exit_code,
        machine=_machine(began, type(loop).__module__.partition(".")[0]),
    )
    return document(done)


def _machine(began: datetime, loop: str) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "engine": f"invocation-engine {VERSION}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {loop}",
        "system": f"{platform.system()} {platform.machine()}, {cores} cores",
        "began": began.strftime("%Y-%m-%d %H:%M UTC"),
    }
