"""Runs requirements against a service and says what is wrong with its answers.

A service is what answers Lambda's API for durable functions; all are asked for the same executions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import boto3
from botocore.config import Config

from tests.durable.conformance.matching import (
    Bindings,
    callback_is_for,
    event_problems,
    log_problems,
    result_problems,
)
from tests.durable.conformance.requirement_files import Requirement

CHECKED: Final = "checked"
"""The function whose executions are checked, with the handlers of all suites."""

POLLED_EVERY_S: Final = 1.0
WITHOUT_PROGRESS_S: Final = 30.0
LOG_S: Final = 10.0
"""How long records may take from a handler to the log."""

_END_EVENTS: Final = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut"})


class Service(NamedTuple):
    """What is checked."""

    functions: Any
    """boto3's client of Lambda."""

    logs: Any
    """boto3's client of CloudWatch Logs; None where the service has no logs to ask for."""

    start: Callable[[str, str, bytes, bool], str]
    """Starts an execution of a function by a name, with that payload, and gives its ARN.

    The last says whether to wait for its end.
    """

    as_recorded: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list
    """The events with what the service is known to leave out."""

    at_once: int = 200
    """How many executions it can be asked for at a time."""


class Outcome(NamedTuple):
    """What came of one requirement."""

    problems: list[str]
    events: list[dict[str, Any]]
    execution: dict[str, Any]
    """What GetDurableExecution tells at the end, where an end is required."""


def client(service: str, url: str) -> Any:
    """Of boto3, for as many threads as there are requirements; what goes wrong is not tried again."""
    config = Config(
        max_pool_connections=200,
        read_timeout=120,
        retries={"total_max_attempts": 1},
        parameter_validation=True,
    )
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


def check_all(requirements: Iterable[Requirement], service: Service) -> dict[str, Outcome]:
    """As many at once as the service takes; by id."""
    chosen = list(requirements)
    with ThreadPoolExecutor(max_workers=service.at_once) as threads:
        outcomes = threads.map(lambda requirement: _checked(requirement, service), chosen)
        return {requirement.id: outcome for requirement, outcome in zip(chosen, outcomes, strict=True)}


def _checked(requirement: Requirement, service: Service) -> Outcome:
    check = _Check(requirement, service)
    try:
        problems = check.problems()
    except Exception as error:
        problems = [f"{type(error).__name__}: {error}"]
    return Outcome(problems, check.events, check.execution)


class _Check:
    """One requirement's run."""

    def __init__(self, requirement: Requirement, service: Service) -> None:
        self._requirement = requirement
        self._document = requirement.document
        self._service = service
        self.events: list[dict[str, Any]] = []
        self.execution: dict[str, Any] = {}
        self._bindings = Bindings.of(self._document.get("Variables"), requirement.id)
        self._actions = list(self._document.get("CallbackActions", []))
        self._answered: set[str] = set()

    def problems(self) -> list[str]:
        """Everything that is not as required; of the log only if all else is."""
        payload = json.dumps(self._bindings.substituted(self._document.get("Input"))).encode()
        started_ms = int(time.time() * 1000)
        waits = not self._document.get("AsyncInvoke", False)
        arn = self._service.start(CHECKED, self._requirement.id, payload, waits)
        problems = [] if waits else self._followed(arn)
        self._read_history(arn)
        problems += self._event_problems()
        if expected := self._document.get("ExpectedResult"):
            self.execution = self._service.functions.get_durable_execution(DurableExecutionArn=arn)
            problems += result_problems(expected, self.execution, self._bindings)
        if not problems and self._service.logs is not None and "ExpectedLogs" in self._document:
            problems = self._in_the_log(arn, started_ms)
        return problems

    def _read_history(self, arn: str) -> None:
        answer = self._service.functions.get_durable_execution_history(
            DurableExecutionArn=arn, IncludeExecutionData=True
        )
        self.events = self._service.as_recorded(answer["Events"])

    def _event_problems(self) -> list[str]:
        return event_problems(self._document["ExpectedExecutionHistory"], self.events, self._bindings)

    def _followed(self, arn: str) -> list[str]:
        """Answers callbacks until the execution ends; if no end is required, until all events are there."""
        problems: list[str] = []
        seen, seen_s = 0, time.monotonic()
        while True:
            time.sleep(POLLED_EVERY_S)
            self._read_history(arn)
            if not _END_EVENTS.isdisjoint(event["EventType"] for event in self.events):
                return problems
            if len(self.events) > seen:
                seen, seen_s = len(self.events), time.monotonic()
            elif time.monotonic() - seen_s > WITHOUT_PROGRESS_S:
                return [*problems, f"nothing new for {WITHOUT_PROGRESS_S} s"]
            problems += self._answer_callbacks()
            if "ExpectedResult" not in self._document and not self._event_problems():
                return problems

    def _answer_callbacks(self) -> list[str]:
        problems = []
        for event in self.events:
            callback_id = event.get("CallbackStartedDetails", {}).get("CallbackId")
            if callback_id is None or callback_id in self._answered:
                continue
            action = next(
                (one for one in self._actions if callback_is_for(one["CallbackName"], event, self._bindings)),
                None,
            )
            if action is None or action["Operation"] != "heartbeat":
                self._answered.add(callback_id)
            if action is not None:
                self._actions.remove(action)
                self._answer(callback_id, action)
            elif self._document.get("CallbackActions"):
                problems.append(f"nothing is to be answered to the callback {event.get('Name')!r}")
        return problems

    def _answer(self, callback_id: str, action: dict[str, Any]) -> None:
        time.sleep(action.get("Delay", 0))
        payload = self._bindings.substituted(action.get("Payload"))
        functions = self._service.functions
        match action["Operation"]:
            case "success":
                result = {} if payload is None else {"Result": json.dumps(payload).encode()}
                functions.send_durable_execution_callback_success(CallbackId=callback_id, **result)
            case "failure":
                error = {} if payload is None else {"Error": payload}
                functions.send_durable_execution_callback_failure(CallbackId=callback_id, **error)
            case "heartbeat":
                functions.send_durable_execution_callback_heartbeat(CallbackId=callback_id)
            case operation:
                raise ValueError(f"no operation {operation!r}")

    def _in_the_log(self, arn: str, started_ms: int) -> list[str]:
        """The log is as required when it is so twice, with a second between: what is late may be too much."""
        until_s = time.monotonic() + LOG_S
        were_right = False
        while True:
            time.sleep(1)
            problems = self._log_problems(arn, started_ms)
            if (were_right and not problems) or time.monotonic() > until_s:
                return problems
            were_right = not problems

    def _log_problems(self, arn: str, started_ms: int) -> list[str]:
        pages = self._service.logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{CHECKED}",
            startTime=started_ms,
            filterPattern=f'{{ ($.durableExecutionArn = "{arn}") || ($.executionArn = "{arn}") }}',
        )
        lines = [line for page in pages for line in page["events"]]
        return log_problems(self._document["ExpectedLogs"], lines, self._bindings)
