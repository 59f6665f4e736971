"""The pytest plugin: `engine`, an engine on virtual time, for tests of handlers.

    @pytest.mark.engine(Function("hello", handler="handlers.hello.handler"), concurrency_limit=10)
    async def test_hello(engine):
        outcome = await engine.invoke("hello", {"name": "Ada"})

Needs pytest-asyncio. For time to jump, tests must run on a `VirtualTimeLoop`; on any other loop the engine
uses real time. In conftest.py:

    def pytest_asyncio_loop_factories(config, item):
        return {"virtual": engine.testing.VirtualTimeLoop}
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.app import Engine
from engine.runtime.platform import Platform
from engine.testing.clock import VirtualTimeLoop, virtual_platform


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "engine(*functions, **settings): what the fixture `engine` runs")


@pytest_asyncio.fixture
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """An engine that runs the functions of the test's `engine` marker."""
    marker = request.node.get_closest_marker("engine")
    if marker is None:
        raise pytest.UsageError("the fixture `engine` needs @pytest.mark.engine(Function(...), ...)")
    virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    platform = virtual_platform() if virtual else Platform(has_processes=False)
    async with Engine(marker.args, platform=platform, **marker.kwargs) as running:
        yield running
