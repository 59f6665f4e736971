"""What the engine uses of the machine, as one value: the real thing; `engine.testing` has a virtual one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Any

import anyio.to_thread

from engine.core.late_dataclass import dataclass
from engine.core.served_function import ImportedModuleFor
from engine.ports import Clock, Offload, T
from engine.runtime.clock import SystemClock

try:
    from uvloop import new_event_loop
except ImportError:  # no wheel for this platform: asyncio's own loop serves, about half as fast
    from asyncio import new_event_loop  # type: ignore[assignment]  # a wider type


__all__ = ["Platform", "new_event_loop", "offload_to_thread"]


async def offload_to_thread(work: Callable[[], T], /, *, limiter: anyio.CapacityLimiter | None = None) -> T:
    """Run `work` on a worker thread, one of those that `limiter` counts."""
    return await anyio.to_thread.run_sync(work, limiter=limiter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Clock, worker threads, and whether to watch the loop for handlers that block it.

    `has_threads`: whether handlers may run on threads, which takes time that only the real clock shows.
    `has_processes`: whether `executor = "auto"` may fork. False where patches, debuggers and coverage of this
    interpreter are to reach the handlers.
    `imported_module_for`: which environments on loop and thread run in the handler's module as this program
    imports it, so that its patches reach the handler; the others have instances of their own. By default the
    `first` one of each function, while it lives; `all`: environments share their globals.
    `seed`: ids are drawn from it, the same ones for the same seed; None: from the operating system.
    `started`: what was started for executors before there is an engine, by names of theirs.
    """

    clock: Clock = field(default_factory=SystemClock)
    offload: Offload = offload_to_thread
    watches_loop: bool = True
    has_threads: bool = True
    has_processes: bool = True
    imported_module_for: ImportedModuleFor = "first"
    seed: int | None = None
    started: Mapping[str, Any] = field(default_factory=dict)

    def offload_apart(self, most: int) -> Offload:
        """An `offload` with `most` threads of its own: work that waits for others keeps none of the rest."""
        if self.offload is not offload_to_thread:
            return self.offload
        return partial(offload_to_thread, limiter=anyio.CapacityLimiter(most))
