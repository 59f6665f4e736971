"""One Ray cluster for all tests here, of two nodes with networks, processes and files of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.network_namespaces import why_not
from tests.ray.ray_cluster import Cluster, Engine

WANTED = "ENGINE_RAY_TESTS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of them where they were not asked for: a cluster takes half a minute of two cores."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here if WANTED not in os.environ else ():
        item.add_marker(pytest.mark.skip(reason="Ray's have a step of their own: make test-ray"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A head, which has an agent too, and a node `far`."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    cluster = Cluster()
    try:
        cluster.add("far")
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def engine(cluster: Cluster) -> Iterator[Engine]:
    """An engine on the head, whose agents are on both."""
    with cluster.engine("app=app.handler", "--timeout-s 50", "--ray", cluster.address) as engine:
        yield engine
