"""`engine serve` with the handlers of all suites, on free ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.durable.conformance.checking import CHECKED, Service, client

HANDLERS: Final = Path(__file__).parent / "handlers"
TARGETS: Final = ("echo", "raising")
SCRIPTED: Final = "scripted"
"""The function that sends the checkpoints it is given."""
PARTNERS: Final = "partners-"
"""How the names begin of functions that another service invokes."""
ENVIRONMENTS: Final = 4
"""Per function: what computes is soon done, and what waits holds none."""


def configuration(
    folder: Path, executor: str = "process", partners: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The function with the handlers of all suites, the scripted one, and those they invoke.

    With `partners`, those variables, the first two are there once more, for another service to invoke.
    What they invoke asks no service for anything.
    """
    environment = {"CONFORMANCE_COUNTS": str(folder)}
    common: dict[str, Any] = {
        "code": str(HANDLERS),
        "executor": executor,
        "memory_mb": 256,
        "timeout_s": 60,
        "durable": {"execution_timeout_s": 7200},
        "reserved_concurrency": ENVIRONMENTS,
        "overflow": "queue",
        "environment": environment,
    }
    if executor == "process":
        common["preload"] = ["boto3", "botocore.session", "aws_durable_execution_sdk_python"]
    handlers = {
        CHECKED: "every.handler",
        SCRIPTED: "scripted.handler",
        **{target: f"targets.{target}" for target in TARGETS},
    }
    functions = {name: {"handler": handler, **common} for name, handler in handlers.items()}
    if partners is not None:
        again = {"environment": environment | dict(partners)}
        functions |= {PARTNERS + name: functions[name] | again for name in (CHECKED, SCRIPTED)}
    # Records have what the SDK's logger adds in this form alone, on Lambda too.
    return {"engine": {"log_format": "json"}, "functions": functions}


@contextmanager
def engine(folder: Path, configured: dict[str, Any]) -> Iterator[str]:
    """Serves it; gives the URL for AWS clients. Its own log is in the folder."""
    path = folder / "engine.toml"
    path.write_text(_toml(configured))
    command = [sys.executable, "-m", "engine", "serve", "--config", str(path)]
    command += [word for name in ("http", "aws", "admin") for word in (f"--{name}", "127.0.0.1:0")]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and "proxy" not in name.lower()
    }
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        try:
            assert process.stdout is not None
            addresses = json.loads(process.stdout.readline() or "{}")
            if "aws" not in addresses:
                raise RuntimeError(f"the engine did not start:\n{(folder / 'engine.log').read_text()}")
            yield addresses["aws"]
        finally:
            process.terminate()
            process.communicate(timeout=100)


@contextmanager
def served(folder: Path, executor: str = "process") -> Iterator[Service]:
    """The engine's own service of durable functions."""
    with engine(folder, configuration(folder, executor)) as url:
        yield own_service(url)


def own_service(url: str) -> Service:
    """That of the engine whose address for AWS clients this is."""
    functions = client("lambda", url)

    def start(function: str, name: str, payload: bytes, waits: bool) -> str:
        answer = functions.invoke(
            FunctionName=f"{function}:$LATEST",
            DurableExecutionName=name,
            InvocationType="RequestResponse" if waits else "Event",
            Payload=payload,
        )
        arn: str = answer["DurableExecutionArn"]
        return arn

    return Service(functions, client("logs", url), start)


def _toml(document: Mapping[str, Any], table: str = "") -> str:
    """Tables of values that JSON writes as TOML does."""
    lines = [f"[{table}]"] if table else []
    tables = []
    for name, value in document.items():
        if isinstance(value, dict):
            tables.append(_toml(value, f"{table}.{name}" if table else name))
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *tables, ""])
