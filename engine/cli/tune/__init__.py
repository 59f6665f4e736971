"""`engine tune`: measures a handler on this machine and says what it takes and costs at each memory size."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import click

from engine.cli.event_option import Events, event_option, events_of
from engine.cli.model_options import (
    number,
    price_options,
    prices_of,
    refuse,
    refuse_unused,
    sizes_of,
)
from engine.cli.options import function_named, python_option, run, variable_option
from engine.cli.prediction_tables import dollars, seconds
from engine.cli.template_options import TemplateCommand, template_options
from engine.cli.tune.measure import RunsAtSize, probe_of, profile, runs_at
from engine.core.cpu_law import share
from engine.core.function import Function
from engine.errors import EngineError
from engine.machine.cores import usable_cores
from engine.model.cost.memory_sizes import SIZES_MB, ServiceTime, Tuning, tuned
from engine.model.cost.price_book import PriceBook
from engine.report.tables import text_table

_SHORT: Final = 0.95
"""Of the CPU that Lambda would give: times with less are said to be too long."""


@click.command("tune", cls=TemplateCommand)
@click.argument("handler", metavar="MODULE.FUNCTION")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    help="measure a function of this engine.toml or template.yaml, by its name",
)
@template_options
@variable_option
@click.option("--code", default=".", show_default=True, help="folder it is imported from")
@python_option
@event_option("path", "the event")
@click.option("--runs", type=click.IntRange(5, 10_000), default=30, show_default=True)
@click.option(
    "--sizes", default=",".join(map(str, SIZES_MB)), show_default=True, help="memory sizes, MB, by commas"
)
@click.option(
    "--cpu",
    type=click.Choice(["lambda", "host"]),
    default="lambda",
    show_default=True,
    help="run each size with the CPU that Lambda gives it, or extrapolate from one vCPU of this machine",
)
@click.option(
    "--cold-percent",
    type=number(0, 100),
    default=0.0,
    show_default=True,
    help="of invocations that are cold: they wait for the init, and are billed for it",
)
@click.option("--balance", type=number(0, 1), default=0.5, show_default=True, help="0 = speed, 1 = cost")
@click.option(
    "--host-speed",
    type=number(above=True),
    default=1.0,
    show_default=True,
    help="how much faster one vCPU of Lambda is than one here",
)
@click.option("--architecture", type=click.Choice(["x86_64", "arm64"]), default="x86_64", show_default=True)
@price_options
@click.option("--free-tier", is_flag=True, hidden=True)  # both were ignored once: who gives them is told
@click.option("--days", type=click.IntRange(1, 366), default=30, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
@click.pass_context
def tune(context: click.Context, /, handler: str, path: str | None, *, as_json: bool, **options: Any) -> None:
    """Run a handler here, in processes of its own, at each memory size, and price it.

    With --config it is named as there. It has the memory, and the share of a
    CPU, that Lambda gives each size; sizes with more CPUs than this machine has are extrapolated: of the time
    the CPU part shrinks with memory up to one vCPU (1,769 MB), waiting does not.
    """
    refuse_unused(context, "prices are of a million invocations, not of a month", "free_tier", "days")
    book = prices_of(options)
    sizes = sizes_of(options["sizes"])
    events = events_of(path)
    function = function_named(
        handler,
        options["config_path"],
        code=options["code"],
        variables=options["variables"],
        parameters=options["parameters"],
        python=options["python"],
    )
    probe = probe_of(function)
    try:
        measured = run(profile(probe, events, runs=options["runs"], speed=options["host_speed"]))
        at_sizes = _runs_at(probe, events, sizes, options) if options["cpu"] == "lambda" else {}
        found = tuned(
            measured,
            book,
            architecture=options["architecture"],
            sizes_mb=sizes,
            cost_weight=options["balance"],
            cold_share=options["cold_percent"] / 100,
            runs_at={size: one.runs for size, one in at_sizes.items()},
        )
    except (EngineError, ValueError) as error:
        refuse(str(error).splitlines())
    priced = _priced(book, options["architecture"], options["cold_percent"])
    if as_json:
        document = _document(handler, measured, found, at_sizes)
        document["assumptions"] += priced
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo("\n".join((*_lines(measured, found, at_sizes), *(f"- {one}" for one in priced))))


def _priced(book: PriceBook, architecture: str, cold_percent: float) -> list[str]:
    """What the dollars take for granted."""
    mark = f" (of {architecture} assumed)" if f"lambda.duration.{architecture}" in book.assumed else ""
    cold = f"{cold_percent:g} % of the invocations are cold" if cold_percent else "no invocation is cold"
    return [
        f"first-tier prices{mark} of {book.region}, {book.source} of {book.published}; no free tier",
        f"{cold} (see --cold-percent)",
        *book.assumptions,
    ]


def _runs_at(
    probe: Function, events: Events, sizes: Sequence[int], options: Mapping[str, Any]
) -> dict[int, RunsAtSize]:
    """Runs at each size that this machine has CPUs for; tells on a terminal which one runs."""
    found = {}
    here = [size for size in sorted(set(sizes)) if share(size) <= usable_cores()]
    for place, size in enumerate(here, 1):
        if sys.stderr.isatty():
            click.echo(f"\r{size:,} MB ({place} of {len(here)}) ...   ", nl=False, err=True)
        found[size] = run(runs_at(probe, events, size, runs=options["runs"]))
    if sys.stderr.isatty():
        click.echo("\r" + " " * 40 + "\r", nl=False, err=True)
    return found


def _document(
    handler: str, measured: ServiceTime, found: Tuning, at_sizes: Mapping[int, RunsAtSize]
) -> dict[str, Any]:
    return {
        "method": "measured",
        "handler": handler,
        "runs": len(measured.runs),
        "cpu_share": round(measured.cpu_share, 6),
        "init_ms": round(1000 * measured.init_s, 3),
        "peak_mb": measured.peak_mb,
        **found.document(),
        "cpu_given": {size: round(one.given, 4) for size, one in at_sizes.items() if one.runs},
        "assumptions": _assumptions(measured, found, at_sizes),
    }


def _assumptions(measured: ServiceTime, found: Tuning, at_sizes: Mapping[int, RunsAtSize]) -> list[str]:
    """What the figures take for granted, and where this machine gave less than Lambda would."""
    short = [f"{size:,} MB {one.given:.0%}" for size, one in at_sizes.items() if one.given < _SHORT]
    less = (
        f"this machine gave less CPU than Lambda would, so times are too long: {', '.join(short)} of it; "
        "other programs use it"
    )
    everywhere = all(one.measured or not one.fits for one in found.sizes)
    return [*measured.assumptions(extrapolates=not everywhere), *((less,) if short else ())]


def _lines(measured: ServiceTime, found: Tuning, at_sizes: Mapping[int, RunsAtSize]) -> list[str]:
    memory = "memory not measured" if measured.peak_mb is None else f"{measured.peak_mb:.0f} MB at the most"
    marks = {"cheapest": found.cheapest, "fastest": found.fastest, "balanced": found.balanced}
    rows = [("MB", "mean", "p50", "p99", "per million", "", "")]
    for one in found.sizes:
        named = ", ".join(name for name, size in marks.items() if size is one)
        how = "measured" if one.measured else "extrapolated"
        rows.append(
            (
                f"{one.memory_mb:,}",
                seconds(one.mean_s),
                seconds(one.p50_s),
                seconds(one.p99_s),
                dollars(Decimal(one.usd_per_million)),
                how if one.fits else "too little memory",
                named,
            )
        )
    cpu = f"{100 * measured.cpu_share:.3g} % of the time is CPU"
    return [
        f"{len(measured.runs)} runs on one vCPU here: {cpu}; init {seconds(measured.init_s)}; {memory}",
        "",
        *text_table(rows, text_columns=0),
        "",
        *(f"- {one}" for one in _assumptions(measured, found, at_sizes)),
    ]
