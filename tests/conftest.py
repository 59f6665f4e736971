"""Virtual time for every asynchronous test, but for those marked `real_time`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

import hypothesis
import pytest

from engine.runtime.platform import new_event_loop
from engine.testing import VirtualTimeLoop
from engine.version import build

hypothesis.settings.register_profile(  # the machine is shared: time proves nothing
    "default", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("default")

# As in a shell in which the tests' own environment is active: no other Python is looked for.
os.environ["VIRTUAL_ENV"] = sys.prefix


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files on the real clock come first: the others fill the workers' time while the last of these end.

    Those marked `pure_only` are skipped where the engine is compiled.
    """
    if build() == "compiled":
        for item in items:
            if (marker := item.get_closest_marker("pure_only")) is not None:
                item.add_marker(pytest.mark.skip(reason=f"compiled: {marker.args[0]}"))
    waiting = {item.path for item in items if item.get_closest_marker("real_time") is not None}
    items.sort(key=lambda item: item.path not in waiting)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable]:
    """The loop a test runs on."""
    if item.get_closest_marker("real_time") is not None:
        return {"real": new_event_loop}
    return {"virtual": VirtualTimeLoop}
