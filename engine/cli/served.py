"""What `engine serve` runs once its configuration is known; it is imported while the first process starts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from engine.app.cpu_in_force import cpu_in_force
from engine.app.serving import Announcement
from engine.app.serving import serve as serve_config
from engine.cli.options import complain, run
from engine.config import Config
from engine.console import console_pages
from engine.errors import EngineError
from engine.runtime.clock import SystemClock
from engine.runtime.output import StandardOutput
from engine.runtime.platform import Platform
from engine.telemetry.log import gap_line
from engine.version import build


def run_until_stopped(
    config: Config, output: StandardOutput, started: Mapping[str, Any], *, reloads: bool
) -> None:
    """Serve `config` until a signal. Prints the addresses on stdout when all listeners are open.

    `started` is what `started_early` gave. Exits with one line if a source or a listener cannot be had.
    """
    output.report_gaps_by(partial(gap_line, config.log_format, SystemClock()))

    def announce(addresses: Announcement) -> None:
        if not config.functions:
            output.err.write(f"no functions are named: they come over the Lambda API at {addresses.aws}\n")
        ready = {"ready": True, **dataclasses.asdict(addresses), "build": build()}
        if addresses.cluster is None:
            del ready["cluster"]
        cpu = cpu_in_force(config.functions, config.cpu, Platform())
        if cpu.mechanism is not None:
            ready["cpu"] = str(cpu)
        output.out.write(json.dumps(ready) + "\n")

    served = serve_config(
        config,
        announce=announce,
        write_log=output.err.write,
        lines_dropped=output.dropped,
        reloads=reloads,
        pages=console_pages,
        started=started,
    )
    try:
        drained = run(served)
    except OSError as error:
        complain([str(error)])
    except EngineError as error:
        complain(str(error).splitlines())
    if not drained:
        click.echo(f"warning: not everything ended within {config.grace_s:g} s", err=True)
