"""Prints which operations of AWS's services the engine has, found in its code, and what each costs by hand.

    python tools/aws_operations.py            the tables, and the lines written by hand per served operation
    python tools/aws_operations.py --write    writes the tables to docs/fidelity/operations-*.md

The tables are complete: every operation of AWS's model is served, kept and shown, or refused by its name.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.protocols.aws.operation import Operation, operations_of
from engine.protocols.aws.service_model import Node, service_model
from engine.services.eventbridge.operations.buses import BusOperations
from engine.services.eventbridge.operations.events import EventOperations
from engine.services.eventbridge.operations.rules import RuleOperations
from engine.services.eventbridge.operations.tags import BusTags
from engine.services.eventbridge.operations.targets import TargetOperations
from engine.services.lambda_api import control_plane
from engine.services.lambda_api.routes import INVOKING
from engine.services.s3 import routing
from engine.services.sns.service import PARTS as SNS_PARTS
from engine.services.sqs.message_operations import MessageOperations
from engine.services.sqs.queue_operations import QueueOperations

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "fidelity"

DONE, KEPT, REFUSED = "done", "kept and shown", "refused by name"

FOLDERS = tuple(f"engine/services/{name}" for name in ("lambda_api", "sqs", "s3", "eventbridge", "sns"))
PROTOCOLS = "engine/protocols/aws"
APART = {
    "logs": "engine/services/logs",
    "CORS": "engine/services/s3/cors.py",
    "partner": "engine/services/partner",
}
"""Counted for themselves."""

BEFORE, SERVED_BEFORE = "4824bec", 128
"""The last commit without the models, and the operations it served: Lambda 56, SQS 23, S3 49."""

_EVENTBRIDGE = (BusOperations, RuleOperations, TargetOperations, EventOperations, BusTags)


class Service(NamedTuple):
    """One service: the name of its model, how people call it, where its differences stand, what it serves.

    Attributes:
        model: Name of its model.
        title: For people.
        page: Where its differences are told.
        served: Its operations to DONE or KEPT.
    """

    model: str
    title: str
    page: str
    served: Mapping[str, str]


def services() -> list[Service]:
    """What the code has."""
    lambda_served = {
        name: KEPT if found.kept else DONE for name, found in operations_of(control_plane.PARTS).items()
    }
    queues = operations_of([MessageOperations, QueueOperations])
    buckets = {name: KEPT if found.kept else DONE for name, found in routing.SERVED.items()}
    return [
        Service("lambda", "Lambda", "functions-api.md", {**lambda_served, **dict.fromkeys(INVOKING, DONE)}),
        Service(
            "sqs", "SQS", "sqs.md", {name: KEPT if found.kept else DONE for name, found in queues.items()}
        ),
        Service("s3", "S3", "s3.md", buckets),
        Service("events", "EventBridge", "eventbridge.md", _kinds(operations_of(_EVENTBRIDGE))),
        Service("sns", "SNS", "sns.md", _kinds(operations_of(SNS_PARTS))),
    ]


def _kinds(found: Mapping[str, Operation]) -> dict[str, str]:
    return {name: KEPT if one.kept else DONE for name, one in found.items()}


def table(service: Service) -> dict[str, str]:
    """Every operation of the model, to what becomes of it; a deprecated one is what has replaced it."""
    operations = service_model(service.model).operations
    current = {_way(operation): name for name, operation in operations.items() if name in service.served}

    def served_as(name: str) -> str:
        is_old = operations[name].get("deprecated") and name not in service.served
        return current.get(_way(operations[name]), name) if is_old else name

    return {name: service.served.get(served_as(name), REFUSED) for name in sorted(operations)}


def _way(operation: Node) -> tuple[str, str]:
    return operation["http"]["method"], operation["http"]["requestUri"]


def page(service: Service) -> str:
    """The page of a service."""
    found = table(service)
    counts = ", ".join(f"{list(found.values()).count(word)} {word}" for word in (DONE, KEPT, REFUSED))
    lines = [
        f"# Fidelity: operations of {service.title}",
        "",
        f"All {len(found)} operations of AWS's model, by `python tools/aws_operations.py --write`:",
        f"{counts}.",
        f"How those that are done differ from AWS's stands in [{service.page}]({service.page}).",
        "",
        "*Kept and shown*: what is set is shown again, and changes nothing else. *Refused by name*: 501",
        "`NotImplementedException` (S3: `NotImplemented`), with the name; SDKs do not try again.",
        "",
        "| operation | here |",
        "|---|---|",
        *(f"| {name} | {word} |" for name, word in found.items()),
    ]
    return "\n".join(lines) + "\n"


def path_of(service: Service) -> Path:
    """Where the page of a service lies."""
    return PAGES / f"operations-{service.model}.md"


def lines_now() -> int:
    """Lines written by hand, of the services and of the protocols they share."""
    return sum(map(_lines_of, (*FOLDERS, PROTOCOLS))) - _lines_of(APART["CORS"])


def _lines_of(place: str) -> int:
    path = ROOT / place
    files = path.rglob("*.py") if path.is_dir() else [path]
    return sum(len(file.read_text().splitlines()) for file in files)


def lines_before() -> int:
    """The same at BEFORE. Raises subprocess.CalledProcessError if the clone does not have it."""
    return sum(len(_git("show", f"{BEFORE}:{path}").splitlines()) for path in _paths_before())


def _paths_before() -> Iterator[str]:
    for path in _git("ls-tree", "-r", "--name-only", BEFORE, *FOLDERS, PROTOCOLS).splitlines():
        if path.endswith(".py") and path not in APART.values():
            yield path


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def summary() -> Iterator[str]:
    """Lines by hand for one served operation, now and before."""
    served = sum(len(service.served) for service in services())
    now = lines_now()
    yield f"apart: {', '.join(f'{name} {_lines_of(place)}' for name, place in APART.items())}"
    yield f"now: {now} lines by hand, {served} operations served, {now / served:.1f} a piece"
    try:
        before = lines_before()
    except subprocess.CalledProcessError:
        yield f"before: this clone does not have {BEFORE}"
        return
    was = before / SERVED_BEFORE
    yield f"{BEFORE}: {before} lines by hand, {SERVED_BEFORE} operations served, {was:.1f} a piece"
    yield f"change: {now / served / was - 1:+.1%}"


def main(arguments: list[str]) -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the tables to docs/fidelity")
    is_writing = parser.parse_args(arguments).write
    for service in services():
        if is_writing:
            path_of(service).write_text(page(service))
        else:
            sys.stdout.write(page(service) + "\n")
    sys.stdout.writelines(f"{line}\n" for line in summary())


if __name__ == "__main__":
    main(sys.argv[1:])
