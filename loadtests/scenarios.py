"""The scenarios: one row each, what it asks and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One load test.

    Attributes:
        question: What it answers, in one sentence.
        function: Name of a function of handlers/engine.toml.
        event: Payload of its Invoke requests, as a JSON value.
        method: Method of its HTTP requests.
        target: Path and query of its HTTP requests.
        users: How many callers, each with one request in flight.
        seconds: How long they call.
        engine: Further options of `engine serve`.
        throttles: 429 answers are part of it.
    """

    question: str
    function: str
    event: Any
    method: str
    target: str
    users: int
    seconds: int = 10
    engine: tuple[str, ...] = ()
    throttles: bool = False


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "steady": Scenario(
        question="How much goes through, and how long does it take, when a few callers never pause?",
        function="echo",
        event={"message": "hello", "n": 1},
        method="POST",
        target="/echo",
        users=16,
    ),
    "waiting": Scenario(
        question="Do many invocations that wait at the same time get in each other's way?",
        function="sleeper",
        event={"seconds": 0.2},
        method="GET",
        target="/sleep?seconds=0.2",
        users=200,
    ),
    "overload": Scenario(
        question="Is what goes beyond the limit refused at once, and all of it counted?",
        function="sleeper",
        event={"seconds": 0.2},
        method="GET",
        target="/sleep?seconds=0.2",
        users=100,
        engine=("--concurrency-limit", "20"),
        throttles=True,
    ),
}
