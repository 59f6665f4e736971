"""`engine tune`: measures a handler on this machine and says what it takes and costs at each memory size."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from typing import Any

import click

from engine.cli.model_options import book_of, json_of, money_options, number, refuse
from engine.cli.options import run
from engine.cli.plan.tables import dollars, seconds
from engine.cli.tune.measure import profile
from engine.errors import EngineError
from engine.model.cost.memory_sizes import SIZES_MB, ServiceTime, Tuning, tuned
from engine.report.tables import text_table


@click.command("tune")
@click.argument("handler", metavar="MODULE.FUNCTION")
@click.option("--code", default=".", show_default=True, help="folder it is imported from")
@click.option("--event", "path", metavar="FILE", help="JSON of the event; default: {}")
@click.option("--runs", type=click.IntRange(5, 10_000), default=30, show_default=True)
@click.option(
    "--sizes", default=",".join(map(str, SIZES_MB)), show_default=True, help="memory sizes, MB, by commas"
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
@money_options
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def tune(handler: str, code: str, path: str | None, *, as_json: bool, **options: Any) -> None:
    """Run HANDLER here, in processes of its own, and extrapolate to other memory sizes.

    Of its time the CPU part shrinks with memory up to one vCPU (1,769 MB), waiting does not.
    """
    book, _, _ = book_of(options)
    sizes = _sizes(options["sizes"])
    payload = {} if path is None else json_of(path)
    try:
        measured = run(
            profile(
                handler,
                os.path.abspath(code),
                payload,
                runs=options["runs"],
                environment={},
                speed=options["host_speed"],
            )
        )
        found = tuned(
            measured,
            book,
            architecture=options["architecture"],
            sizes_mb=sizes,
            cost_weight=options["balance"],
        )
    except (EngineError, ValueError) as error:
        refuse(str(error).splitlines())
    if as_json:
        click.echo(json.dumps(_document(handler, measured, found), indent=2))
    else:
        click.echo("\n".join(_lines(measured, found)))


def _document(handler: str, measured: ServiceTime, found: Tuning) -> dict[str, Any]:
    return {
        "method": "measured",
        "handler": handler,
        "runs": len(measured.runs),
        "cpu_share": round(measured.cpu_share, 6),
        "init_ms": round(1000 * measured.init_s, 3),
        "peak_mb": measured.peak_mb,
        **found.document(),
        "assumptions": measured.assumptions(),
    }


def _lines(measured: ServiceTime, found: Tuning) -> list[str]:
    memory = "memory not measured" if measured.peak_mb is None else f"{measured.peak_mb:.0f} MB at the most"
    marks = {"cheapest": found.cheapest, "fastest": found.fastest, "balanced": found.balanced}
    rows = [("MB", "mean", "p50", "p99", "per million", "")]
    for one in found.sizes:
        named = ", ".join(name for name, size in marks.items() if size is one)
        rows.append(
            (
                f"{one.memory_mb:,}",
                seconds(one.mean_s),
                seconds(one.p50_s),
                seconds(one.p99_s),
                dollars(Decimal(one.usd_per_million)),
                named if one.fits else "too little memory",
            )
        )
    cpu = f"{100 * measured.cpu_share:.3g} % of the time is CPU"
    return [
        f"{len(measured.runs)} runs on one vCPU here: {cpu}; init {seconds(measured.init_s)}; {memory}",
        "",
        *text_table(rows, text_columns=0),
        "",
        *(f"- {one}" for one in measured.assumptions()),
    ]


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(one) for one in text.split(",")]
    except ValueError:
        refuse([f"--sizes {text}: must be whole numbers of MB, by commas"])
    if not all(128 <= one <= 10_240 for one in sizes):
        refuse([f"--sizes {text}: memory is 128 to 10240 MB"])
    return sizes
