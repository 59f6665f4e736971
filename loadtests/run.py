"""Runs one load test: an engine of its own, Locust against it, a verdict, run.json and report.html.

    python -m loadtests.run spike [--duration S] [--scale F] [--users N] [--processes N] [--publish]

Exit status 0: passed. 1: a limit of the scenario was not held, or the sums differ. 2: it could not be run.
3: the load generator was the limit, so the numbers say little of the engine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.common.checks import FAILED, GENERATOR_LIMITED, PASSED
from loadtests.common.processes import ROOT, LoadTestError
from loadtests.common.report import facts, page
from loadtests.common.scenario import load_scenario, scenario_names
from loadtests.common.session import RunSettings, Session
from loadtests.common.summary import without_curves

REPORTS: Final = ROOT / "loadtests" / "reports"
PUBLISHED: Final = ROOT / "loadtests" / "published"

_EXIT: Final = {PASSED: 0, FAILED: 1, GENERATOR_LIMITED: 3}
_NAME_WIDTH: Final = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario that `arguments` name; gives the exit status."""
    options = _parser().parse_args(arguments)
    if options.list:
        for name in scenario_names():
            print(f"{name:{_NAME_WIDTH}}{load_scenario(name).question}")
        return 0
    settings = RunSettings(
        duration_s=options.duration,
        scale=options.scale,
        capacity_per_s=options.capacity,
        users=options.users,
        workers=options.processes,
        seed=options.seed,
        prometheus=options.prometheus,
    )
    try:
        session = Session(options.scenario, load_scenario(options.scenario), settings, sys.stderr)
        folder = Path(options.out or REPORTS / session.run_id)
        folder.mkdir(parents=True)
        document = session.run(folder)
    except (LoadTestError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    (folder / "run.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "report.html").write_text(page(document), encoding="utf-8")
    print(json.dumps(document) if options.json else as_text(document, folder))
    if options.publish:
        print(publish(document, PUBLISHED), file=sys.stderr)
    return _EXIT[document["verdict"]]


def as_text(document: Mapping[str, Any], folder: Path) -> str:
    """The summary for people."""
    lines = [f"{document['scenario']}: {document['question']}", ""]
    lines += [f"{name:{_NAME_WIDTH}}{value}" for name, value in facts(document)]
    for one in document["ready"]:
        name = f"0 to {one['environments']:,} ready"
        lines.append(f"{name:{_NAME_WIDTH}}{one['last_ms']:,.0f} ms ({one['per_s']:,.0f} per s)")
    for name, one in document["deliveries"].items():
        lines.append(
            f"{name:{_NAME_WIDTH}}{one['sent']:,} sent, {one['delivered']:,} delivered, "
            f"{one['dead_letters']:,} dead letters, {one['attempts_per_record']:.2f} attempts each, "
            f"done after {one['drained_after_s']:.1f} s"
        )
    lines.append("")
    for one in (*document["checks"], *document["generator"]):
        lines.append(f"{'ok' if one['held'] else 'NO'}  {one['check']}: {one['saw']}")
    return "\n".join([*lines, "", f"report: {folder / 'report.html'}"])


def publish(document: Mapping[str, Any], folder: Path) -> str:
    """Keep the numbers of a run with the commit, unless they say nothing; tells which."""
    if document["verdict"] != PASSED:
        return f"not published: the run is {document['verdict']}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['scenario']}.json"
    path.write_text(json.dumps(without_curves(document), indent=1) + "\n", encoding="utf-8")
    return f"published: {path}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.run",
        description="Run one load test against an engine of its own.",
    )
    parser.add_argument("scenario", nargs="?", choices=scenario_names(), default="spike", metavar="SCENARIO")
    parser.add_argument("--list", action="store_true", help="list the scenarios and what they ask")
    parser.add_argument(
        "--duration", type=_positive, metavar="S", help="seconds of load; default: the scenario's"
    )
    parser.add_argument("--scale", type=_positive, default=1.0, metavar="F", help="multiply rates and counts")
    parser.add_argument(
        "--capacity",
        type=_positive,
        metavar="N",
        help="requests a second that shares are of; default: measured",
    )
    parser.add_argument("--users", type=_whole, metavar="N", help="closed model with N users on each stream")
    parser.add_argument(
        "--processes", type=_whole, default=1, metavar="N", help="Locust processes; default: 1"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same arrivals; default: 1")
    parser.add_argument("--out", metavar="DIR", help="a new folder for the report")
    parser.add_argument("--no-prometheus", dest="prometheus", action="store_false", help="do not start one")
    parser.add_argument("--publish", action="store_true", help=f"keep the numbers in {PUBLISHED.name}/")
    parser.add_argument("--json", action="store_true", help="print the document instead of the summary")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
