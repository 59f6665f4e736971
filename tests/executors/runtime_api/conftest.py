"""Processes are watched by descriptors, which each kind of loop does in its own way: both are tried."""

import asyncio

from engine.runtime.platform import new_event_loop


def pytest_asyncio_loop_factories(config, item):
    """uvloop, and asyncio's own; runtimes of other languages would show nothing more on the second."""
    if "languages" in item.path.name:
        return {"uvloop": new_event_loop}
    return {"uvloop": new_event_loop, "asyncio": asyncio.SelectorEventLoop}
