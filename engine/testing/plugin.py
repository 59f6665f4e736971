"""The pytest plugin: `engine`, an engine on virtual time, for tests of handlers.

    @pytest.mark.engine(Function("hello", handler="handlers.hello.handler"), concurrency_limit=10)
    async def test_hello(engine):
        outcome = await engine.invoke("hello", {"name": "Ada"})

Needs pytest-asyncio (`pip install 'invocation-engine[testing]'`); where it is missing, tests that use the
fixture say so, and all others run. For time to jump, tests must run on a `VirtualTimeLoop`; on any other loop
the engine uses real time. In conftest.py:

    def pytest_asyncio_loop_factories(config, item):
        return {"virtual": engine.testing.VirtualTimeLoop}

Every run of pytest imports this module, also those that have nothing to do with the engine: the engine itself
is imported when the fixture is first used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "engine(*functions, **settings): what the fixture `engine` runs")


async def _engine(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """An engine that runs the functions of the test's `engine` marker."""
    marker = request.node.get_closest_marker("engine")
    if marker is None:
        raise pytest.UsageError("the fixture `engine` needs @pytest.mark.engine(Function(...), ...)")
    clock = import_module("engine.testing.clock")
    virtual = isinstance(asyncio.get_running_loop(), clock.VirtualTimeLoop)
    platforms = import_module("engine.runtime.platform")
    platform = clock.virtual_platform() if virtual else platforms.Platform(has_processes=False)
    async with import_module("engine.app").Engine(marker.args, platform=platform, **marker.kwargs) as running:
        yield running


def _no_engine() -> None:
    """Raise: the fixture needs pytest-asyncio."""
    raise pytest.UsageError(
        "the fixture `engine` needs pytest-asyncio: pip install 'invocation-engine[testing]'"
    )


try:
    engine = import_module("pytest_asyncio").fixture(_engine, name="engine")
except ImportError:
    engine = pytest.fixture(_no_engine, name="engine")
