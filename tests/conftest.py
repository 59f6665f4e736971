"""Virtual time for every asynchronous test, but for those marked `real_time`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import hypothesis
import pytest

from engine.runtime.platform import new_event_loop
from engine.testing import VirtualTimeLoop

hypothesis.settings.register_profile("default", deadline=None)  # the machine is shared: time proves nothing
hypothesis.settings.load_profile("default")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable]:
    """The loop a test runs on."""
    if item.get_closest_marker("real_time") is not None:
        return {"real": new_event_loop}
    return {"virtual": VirtualTimeLoop}
