"""AWS's local runner of durable executions, `dex-local-runner`, with the engine as the Lambda it invokes.

Its calls are marked (`X-Dex-Handler-Invoke`): the engine runs the handler of a durable function as it is, and
knows nothing of the execution. Seen of version 1.4.0, and taken account of here:

- it gives InvocationCompleted no details, ChainedInvokeStarted no `ExecutedVersion` and no tenant,
  CallbackStarted no time limits, the end of a step at its first attempt no `RetryDetails`, and that of its
  last failed attempt a delay of 0;
- it says that errors of contexts and callbacks are truncated, though they are whole;
- it leaves out the state that a poll returned, if another follows;
- it tells nothing of an invocation whose process died;
- what ends while the invocation that started it still returns stands before the end of that invocation;
- it looks neither at the members of an update of a step that is new, nor at how an update names what the same
  batch starts; and of a wait that is cancelled it keeps the id alone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.durable.conformance.checking import Service, client
from tests.durable.conformance.served import PARTNERS, TARGETS, configuration, engine, own_service

AT_ONCE: Final = 8
"""Its listener refuses more connections."""

_RUNNING: Final = "RUNNING"

_FROM_OUTSIDE: Final = {
    *("WaitSucceeded", "CallbackSucceeded", "CallbackFailed", "CallbackTimedOut"),
    *("ChainedInvokeSucceeded", "ChainedInvokeFailed"),
}

_OF_ONE_RUN: Final = {
    *("CallbackId", "DurableExecutionArn", "RequestId"),
    *("ScheduledEndTimestamp", "StartTimestamp", "EndTimestamp"),
    *("Timeout", "HeartbeatTimeout"),  # which the runner leaves out
}


def free_port() -> int:
    """One that nobody listened on a moment ago: the runner does not say which it took."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def runner(folder: Path, port: int, functions_url: str) -> Iterator[str]:
    """The runner, ready; gives its URL."""
    url = f"http://127.0.0.1:{port}"
    durable = {name: {"DurableConfig": {"ExecutionTimeout": 60}} for name in TARGETS}
    command = [sys.executable, "-m", "aws_durable_execution_sdk_python_testing.cli", "start-server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--lambda-endpoint", functions_url]
    command += ["--local-runner-region", "us-east-1", "--function-configs", json.dumps(durable)]
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with (folder / "runner.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | keys)
        try:
            _await_health(url)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=100)


def _await_health(url: str) -> None:
    until_s = time.monotonic() + 30
    while True:
        try:
            urlopen(f"{url}/health", timeout=5).close()
            return
        except URLError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)


@contextmanager
def both(folder: Path) -> Iterator[tuple[Service, Service]]:
    """The engine's own service and the runner's, of one engine that runs the handlers for both."""
    port = free_port()
    address = {"AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}"}
    with (
        engine(folder, configuration(folder, partners=address)) as functions_url,
        runner(folder, port, functions_url) as url,
    ):
        functions = client("lambda", url)

        def start(function: str, name: str, payload: bytes, waits: bool) -> str:
            arn = _started(url, PARTNERS + function, name, payload)
            while waits and _status(functions, arn) == _RUNNING:
                time.sleep(0.2)
            return arn

        yield own_service(functions_url), Service(functions, None, start, completed, AT_ONCE)


@contextmanager
def partnered(folder: Path) -> Iterator[Service]:
    """The runner's alone."""
    with both(folder) as (_, service):
        yield service


def _started(url: str, function: str, name: str, payload: bytes) -> str:
    document = {
        "AccountId": "000000000000",
        "FunctionName": function,
        "FunctionQualifier": "$LATEST",
        "ExecutionName": name,
        "ExecutionTimeoutSeconds": 7200,
        "ExecutionRetentionPeriodDays": 14,
        "Input": payload.decode(),
    }
    request = Request(f"{url}/start-durable-execution", json.dumps(document).encode(), method="POST")
    with urlopen(request, timeout=60) as answer:
        arn: str = json.load(answer)["ExecutionArn"]
    return arn


def _status(functions: Any, arn: str) -> str:
    status: str = functions.get_durable_execution(DurableExecutionArn=arn)["Status"]
    return status


def completed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runner's events with the members that it leaves out, as far as they can be known."""
    attempts: dict[str, int] = {}
    for event in events:
        kind = event["EventType"]
        details = event.setdefault(f"{kind}Details", {})
        if kind in ("StepSucceeded", "StepFailed"):
            attempts[event["Id"]] = attempts.get(event["Id"], 0) + 1
            retry = details.setdefault("RetryDetails", {"CurrentAttempt": attempts[event["Id"]]})
            if retry.get("NextAttemptDelaySeconds") == 0:
                del retry["NextAttemptDelaySeconds"]
        elif kind == "ChainedInvokeStarted":
            details["ExecutedVersion"] = "$LATEST"
    return _in_order(events)


def _in_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What ends from outside while an invocation runs, after the end of that invocation."""
    ordered: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    is_running = True
    for event in events:
        if is_running and event["EventType"] in _FROM_OUTSIDE:
            held.append(event)
            continue
        ordered.append(event)
        is_running = True
        if event["EventType"] == "InvocationCompleted":
            ordered += held
            is_running = bool(held)
            held = []
    return [{**event, "EventId": number} for number, event in enumerate([*ordered, *held], start=1)]


def comparable(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events of either service without what differs from run to run, and what the runner has wrong."""
    execution_id = events[0]["Id"]
    return [_comparable(event, execution_id) for event in events]


def _comparable(event: dict[str, Any], execution_id: str) -> dict[str, Any]:
    kind = event["EventType"]
    details = {name: value for name, value in event[f"{kind}Details"].items() if name not in _OF_ONE_RUN}
    if "Error" in details:
        details["Error"] = details["Error"].get("Payload")
    if kind == "StepSucceeded" and "NextAttemptDelaySeconds" in details["RetryDetails"]:
        del details["Result"]
    kept = {name: value for name, value in event.items() if name != "EventTimestamp"}
    if kept.get("Id") == execution_id:
        kept["Id"] = "of the execution"
    return {**kept, f"{kind}Details": details}
