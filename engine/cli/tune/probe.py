"""A handler that calls another one and says how much CPU time that took: runs where the other one would.

The other one is named by the variables `PROBED_CODE` and `PROBED_HANDLER`. It is loaded as the executors
load it, and its own answer is dropped.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

from engine.executors.handler_loader import Loader


@cache
def _target() -> tuple[Any, asyncio.AbstractEventLoop, float]:
    """The handler, a loop for it if it is a coroutine function, and the CPU seconds of its import."""
    began_s = time.process_time()
    loaded = Loader(Path(os.environ["PROBED_CODE"])).load(os.environ["PROBED_HANDLER"], fresh=False)
    return loaded.callable, asyncio.new_event_loop(), time.process_time() - began_s


if "PROBED_HANDLER" in os.environ:  # in an environment, whose initialisation this is
    _target()


def handler(event: Any, context: Any) -> dict[str, float]:
    """Seconds of CPU of one call, and of the import."""
    call, loop, import_s = _target()
    began_s = time.process_time()
    result = call(event, context)
    if inspect.isawaitable(result):
        loop.run_until_complete(result)
    return {"cpu_s": time.process_time() - began_s, "init_cpu_s": import_s}
