"""The pytest plugin: an engine for tests of handlers, for `async def` tests and for plain ones.

    @pytest.mark.engine(Function("hello", handler="handlers.hello.handler"), concurrency_limit=10)
    async def test_hello(engine):
        outcome = await engine.invoke("hello", {"name": "Ada"})

    @pytest.mark.engine(Function("hello", handler="handlers.hello.handler"))
    def test_hello_again(engine_sync):
        outcome = engine_sync.invoke("hello", {"name": "Ada"})

`engine` is an `Engine`, and needs pytest-asyncio (`pip install 'invocation-engine[testing]'`); where it is
missing, tests that use this fixture say so, and all others run. For time to jump, tests must run on a
`VirtualTimeLoop`; on any other loop the engine uses real time. In conftest.py:

    def pytest_asyncio_loop_factories(config, item):
        return {"virtual": engine.testing.VirtualTimeLoop}

`engine_sync` is a `SyncEngine`, and needs nothing else. Its time is virtual unless the marker says
`real_time=True`.

With both, handlers run in the test's interpreter, and all environments of a function in the module that the
test imports: what `monkeypatch` and `mock` change there reaches the handler. `isolated=True` in the marker
gives environments modules of their own. After the test `sys.modules` has under the handler's name what it had
before it: a module that the test file has imported stays, any other is imported anew by the next test.

Ids, and the jitter of durable functions, are the same in each run; `seed=N` in the marker gives others. A
test that fails shows the timelines of its durable executions.

Every run of pytest imports this module, also those that have nothing to do with the engine: the engine itself
is imported when a fixture is first used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

_RUNNING = pytest.StashKey[Any]()
"""The engine of a test."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and the asynchronous fixture if pytest-asyncio is in use."""
    config.addinivalue_line("markers", "engine(*functions, **settings): what `engine`, `engine_sync` run")
    fixture: Any = pytest.fixture(_no_engine, name="engine")
    if config.pluginmanager.has_plugin("asyncio"):
        fixture = import_module("pytest_asyncio").fixture(_engine, name="engine")
    fixtures = ModuleType("fixtures")
    vars(fixtures)["engine"] = fixture
    config.pluginmanager.register(fixtures, "invocation-engine-async")


@pytest.fixture
def engine_sync(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A `SyncEngine` that runs the functions of the test's `engine` marker."""
    functions, settings = _marked(request, "engine_sync")
    with import_module("engine.testing.sync_engine").SyncEngine(functions, **settings) as running:
        request.node.stash[_RUNNING] = running.engine
        yield running


async def _engine(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """An engine that runs the functions of the test's `engine` marker."""
    functions, settings = _marked(request, "engine")
    clock = import_module("engine.runtime.virtual_time")
    if settings.pop("real_time", False) and isinstance(asyncio.get_running_loop(), clock.VirtualTimeLoop):
        raise pytest.UsageError("the marker says real_time=True, and the test runs on a VirtualTimeLoop")
    platform = clock.handler_platform(isolated=settings.pop("isolated", False), seed=settings.pop("seed", 0))
    async with import_module("engine.app").Engine(functions, platform=platform, **settings) as running:
        request.node.stash[_RUNNING] = running
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the durable executions of a test that failed."""
    report = yield
    running = item.stash.get(_RUNNING, None)
    if report.when == "call" and report.failed and running is not None:
        text = import_module("engine.app.executions").timelines(running)
        if text:
            report.sections.append(("Durable executions", text))
    return report


def _no_engine() -> None:
    """Raise: the fixture needs pytest-asyncio."""
    raise pytest.UsageError(
        "the fixture `engine` needs pytest-asyncio: pip install 'invocation-engine[testing]'; "
        "for a test that is a plain `def` there is `engine_sync`"
    )


def _marked(request: pytest.FixtureRequest, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The functions and settings of the test's marker."""
    marker = request.node.get_closest_marker("engine")
    if marker is None:
        raise pytest.UsageError(f"the fixture `{name}` needs @pytest.mark.engine(Function(...), ...)")
    return marker.args, dict(marker.kwargs)
