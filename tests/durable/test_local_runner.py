"""AWS's local runner, with the engine as its Lambda, tells the same as the engine's own service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest

from tests.durable.conformance.checking import Outcome, Service, check_all
from tests.durable.conformance.local_runner import comparable, partnered
from tests.durable.conformance.requirement_files import missing, requirements
from tests.durable.conformance.served import served

COMPARED: Final = (
    *("1-11", "1-20", "2-3", "3-6", "3-10", "3-11", "4-6", "5-1", "5-6"),
    *("6-9", "7-6", "7-8", "8-6", "8-14", "9-15"),
)
"""At least one of each kind of operation, of its failures and of what contains it."""

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Outcome]]:
    """The engine's, and the runner's."""
    every = requirements()
    chosen = [every[requirement_id] for requirement_id in COMPARED]

    def run(serving: Any) -> dict[str, Outcome]:
        service: AbstractContextManager[Service] = serving(tmp_path_factory.mktemp(serving.__name__))
        with service as asked:
            return check_all(chosen, asked)

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(run, (served, partnered)))


@pytest.mark.parametrize("requirement_id", COMPARED)
def test_histories_and_results_agree(requirement_id: str, outcomes: list[dict[str, Outcome]]) -> None:
    own, partners = (each[requirement_id] for each in outcomes)
    assert comparable(partners.events) == comparable(own.events)
    members = ("DurableExecutionName", "Status", "InputPayload", "Result", "Error")
    assert [partners.execution.get(member) for member in members] == [
        own.execution.get(member) for member in members
    ]
