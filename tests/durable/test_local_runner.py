"""AWS's local runner, with the engine as its Lambda, tells the same as the engine's own service."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any, Final, NamedTuple

import pytest

from tests.durable.checkpoint_scripts import script
from tests.durable.conformance.checking import Outcome, Service, check_all
from tests.durable.conformance.local_runner import both, comparable
from tests.durable.conformance.requirement_files import missing, requirements
from tests.durable.conformance.served import SCRIPTED

COMPARED: Final = (
    *("1-11", "1-20", "2-3", "3-6", "3-10", "3-11", "4-6", "5-1", "5-6"),
    *("6-9", "7-6", "7-8", "8-6", "8-14", "9-15"),
)
"""At least one of each kind of operation, of its failures and of what contains it."""

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


SEEDS: Final = (1, 2, 3)
BATCHES: Final = 60


class Told(NamedTuple):
    """What a service told."""

    outcomes: dict[str, Outcome]
    answers: list[list[Any]]
    """To the checkpoints of each seed's script."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    """By the engine, and by the runner."""
    every = requirements()
    chosen = [every[requirement_id] for requirement_id in COMPARED]

    def ask(service: Service) -> Told:
        return Told(check_all(chosen, service), [answers(service, seed) for seed in SEEDS])

    with both(tmp_path_factory.mktemp("both")) as services, ThreadPoolExecutor(2) as threads:
        return list(threads.map(ask, services))


def answers(service: Service, seed: int) -> list[Any]:
    """To each batch: the operations that have changed, or a status and a text."""
    arn = service.start(SCRIPTED, f"script-{seed}", json.dumps(script(seed, BATCHES)).encode(), True)
    execution = service.functions.get_durable_execution(DurableExecutionArn=arn)
    return [
        answer if answer and isinstance(answer[0], int) else sorted(map(state, answer), key=itemgetter("Id"))
        for answer in json.loads(execution["Result"])
    ]


def state(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation, or its details, without its times and ids."""
    if operation.get("Status") == "CANCELLED":
        return {name: operation[name] for name in ("Id", "Status", "Type")}
    return {
        name: state(value) if isinstance(value, dict) else value
        for name, value in operation.items()
        if not name.endswith("Timestamp") and name != "CallbackId"
    }


@pytest.mark.parametrize("requirement_id", COMPARED)
def test_histories_and_results_agree(requirement_id: str, told: list[Told]) -> None:
    own, partners = (each.outcomes[requirement_id] for each in told)
    assert comparable(partners.events) == comparable(own.events)
    members = ("DurableExecutionName", "Status", "InputPayload", "Result", "Error")
    assert [partners.execution.get(member) for member in members] == [
        own.execution.get(member) for member in members
    ]


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_checkpoints_are_taken_and_refused_alike(index: int, told: list[Told]) -> None:
    own, partners = (each.answers[index] for each in told)
    batches = script(SEEDS[index], BATCHES)
    assert list(zip(batches, partners, strict=True)) == list(zip(batches, own, strict=True))
