"""Traces on the command line: which layouts there are, and what `simulate` and `replay` read them with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from engine.cli.model_options import F, refuse, with_options
from engine.model.distributions import Distribution, empirical
from engine.sources.replay.published import LAYOUTS, Spread
from engine.sources.replay.recorded import Trace, inits_of
from engine.sources.replay.trace_file import TraceError


def layouts() -> Sequence[str]:
    """What a trace may be laid out as; `events` is told by its first lines, and may be any."""
    return ("events", "reports", *LAYOUTS)


def trace_of(
    file: str,
    *,
    layout: str,
    spread: Spread,
    skip_wrong_lines: bool,
    trace_durations: str | None = None,
    trace_memory: str | None = None,
) -> Trace:
    """The trace that the options name, its layout told; exits with one line if it cannot be."""
    trace = Trace(
        file=Path(file),
        layout=layout,
        durations=None if trace_durations is None else Path(trace_durations),
        memory=None if trace_memory is None else Path(trace_memory),
        spread=spread,
        skip=skip_wrong_lines,
    )
    try:
        return trace.recognised()
    except TraceError as error:
        refuse([str(error)])


def trace_options(command: F) -> F:
    """How a trace is laid out, and what of it is made up or left out."""
    options = (
        click.option(
            "--layout",
            type=click.Choice(layouts()),
            default="events",
            show_default=True,
            help="of the trace; events = told by its first lines",
        ),
        click.option(
            "--spread",
            type=click.Choice(["uniform", "even", "start"]),
            default="uniform",
            show_default=True,
            help="where in its minute a call of a trace comes that was only counted",
        ),
        click.option(
            "--skip-wrong-lines", is_flag=True, help="leave out wrong lines of a trace, and say how many"
        ),
    )
    return with_options(command, options)


def init_law(file: str) -> Distribution:
    """How environments initialise, as in that file; exits with one line if it has no initialisation."""
    try:
        return empirical(inits_of(Path(file)))
    except TraceError as error:
        refuse([str(error)])
