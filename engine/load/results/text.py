"""The result of a run as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.load.results.report import compared_rows, facts, named_limit, stub_rows
from engine.report.tables import text_table

_NAME_WIDTH: Final = 24


def as_text(document: Mapping[str, Any], folder: Path) -> str:
    """The summary for people."""
    lines = [f"{document['scenario']}: {document['question']}", ""]
    lines += [f"{name:{_NAME_WIDTH}}{value}" for name, value in facts(document)]
    lines += _latencies(document)
    for one in document["ready"]:
        name = f"0 to {one['environments']:,} ready"
        lines.append(f"{name:{_NAME_WIDTH}}{one['last_ms']:,.0f} ms ({one['per_s']:,.0f} per s)")
    for name, one in document["deliveries"].items():
        lines.append(
            f"{name:{_NAME_WIDTH}}{one['sent']:,} sent, {one['delivered']:,} delivered, "
            f"{one['dead_letters']:,} dead letters, {one['attempts_per_record']:.2f} attempts each, "
            f"done after {one['drained_after_s']:.1f} s"
        )
    lines += ["", f"limit: {named_limit(document)}. {document['limit']['why']}"]
    if document["limit"]["on_lambda"]:
        lines.append(f"on Lambda: {document['limit']['on_lambda']}")
    lines += _first_error(document)
    lines.append("")
    if document["client"]["stopped"]:
        lines.append(f"ended early: {document['client']['stopped']}")
    for one in (*document["checks"], *document["generator"]):
        lines.append(f"{'ok' if one['held'] else 'NO'}  {one['check']}: {one['saw']}")
    lines += _stubs(document)
    lines += _compared(document)
    return "\n".join([*lines, "", f"report: {folder / 'report.html'}"])


def _first_error(document: Mapping[str, Any]) -> Iterator[str]:
    for one in document["stages"]:
        if one["first_error"]:
            yield f"first failure: {one['first_error']['stream']}, {one['first_error']['text']}"
            return


def _stubs(document: Mapping[str, Any]) -> Iterator[str]:
    found = document.get("stubs")
    if found is not None:
        yield ""
        yield from text_table(stub_rows(found))
        for one in found["checks"]:
            if not one["held"]:
                yield f"NO  {one['check']}: {one['saw']}; handlers saw the observed latency, not the set one"


def _compared(document: Mapping[str, Any]) -> Iterator[str]:
    found = document.get("comparison")
    if found is not None:
        yield ""
        yield f"compared with {found['with']} ({found['method']}):"
        yield from text_table(compared_rows(found))
        yield from (f"not alike: {text}" for text in found["unlike"])


def _latencies(document: Mapping[str, Any]) -> Iterator[str]:
    """Percentiles of each stream's good answers, warm-up left out."""
    for name, stream in document["client"]["streams"].items():
        spread = stream["latency_ms"].get("success")
        if spread is not None:
            values = ", ".join(f"{percent} {value:,.1f} ms" for percent, value in spread.items())
            yield f"{name:{_NAME_WIDTH}}{values}"
