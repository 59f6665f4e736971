"""Pages of ListDurableExecutionsByFunction."""

from __future__ import annotations

import pytest

from engine.core.durable.execution import Execution
from engine.core.durable.facts import StopRequested
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.durable.listing import page_of
from tests.core.durable.player import Player


def executions(count: int) -> list[Execution]:
    return [Player(execution_id=f"e{number}").execution for number in range(count)]


@pytest.mark.parametrize("oldest_first", [False, True])
def test_the_pages_of_what_runs_go_on_when_it_has_ended_meanwhile(oldest_first: bool) -> None:
    every = executions(5)
    asked = {"Statuses": ["RUNNING"], "MaxItems": 2, "ReverseOrder": oldest_first}
    first = page_of(every, asked, None)
    for execution in first.executions:
        execution.handle(StopRequested(execution.started_s, {}))
    second = page_of(every, asked | {"Marker": first.next_marker}, None)
    third = page_of(every, asked | {"Marker": second.next_marker}, None)

    in_order = every if oldest_first else every[::-1]
    assert in_order == [*first.executions, *second.executions, *third.executions]
    assert third.next_marker is None


@pytest.mark.parametrize("wrong", [{"Marker": "zzz"}, {"Marker": "%"}, {"StartedAfter": "soon"}])
def test_a_marker_or_time_that_is_none_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ServiceError, match=r"Invalid marker|is no timestamp"):
        page_of(executions(1), wrong, None)
