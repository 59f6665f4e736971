"""AWS's requirements of durable functions, one test for each. They are run at once, by boto3 over HTTP."""

from __future__ import annotations

import pytest

from tests.durable.conformance.checking import Outcome, check_all
from tests.durable.conformance.requirement_files import Requirement, missing, requirement_ids, requirements
from tests.durable.conformance.served import served

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@pytest.fixture(scope="module")
def files() -> dict[str, Requirement]:
    return requirements()


@pytest.fixture(scope="module")
def outcomes(
    files: dict[str, Requirement], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """Of the requirements whose tests are selected."""
    selected = {item.name.partition("[")[2].removesuffix("]") for item in request.session.items}
    with served(tmp_path_factory.mktemp("conformance")) as service:
        return check_all([file for file in files.values() if file.id in selected], service)


def test_these_are_all_requirements_of_the_package(files: dict[str, Requirement]) -> None:
    assert requirement_ids() == list(files)


@pytest.mark.parametrize("requirement_id", requirement_ids())
def test_the_requirement_is_fulfilled(requirement_id: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[requirement_id]
    assert [] == outcome.problems, [event["EventType"] for event in outcome.events]
