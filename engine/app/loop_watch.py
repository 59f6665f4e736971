"""Measures how late the event loop is, and watches it for handlers that block it.

It is measured whatever runs; watched, by a thread, from the first function on that can block it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from engine.core.engine_events import EngineEvent
from engine.core.invocation import Invocation
from engine.executors.loop import ENTRY, LoopExecutor
from engine.executors.loop_interrupt import Interrupter
from engine.executors.watchdog import Watchdog
from engine.ports import Executor
from engine.runtime.platform import Platform


class LoopWatch:
    """The watchdog of one engine, and the executors whose handlers run on its loop."""

    def __init__(
        self,
        platform: Platform,
        loop: asyncio.AbstractEventLoop,
        notify: Callable[[EngineEvent], None],
        lagged: Callable[[float], None],
    ) -> None:
        """`notify` and `lagged` are told what `Watchdog` tells; nothing is if `platform` watches no loop."""
        self._loop = loop
        self._executors: list[LoopExecutor] = []
        self._interrupter = Interrupter(ENTRY, platform.clock.now, self._is_running)
        self._watchdog = Watchdog(
            loop, platform.clock, self._running, notify, lagged, interrupter=self._interrupter
        )
        self._measures = platform.watches_loop
        self._starts = platform.watches_loop  # to watch, with the first executor
        self._open = ExitStack()

    def open(self) -> None:
        """Measure from now on; called on the loop."""
        if self._measures:
            self._open.enter_context(self._watchdog)

    def add(self, executor: Executor) -> None:
        """Watch what this one runs, if that is on the loop."""
        if isinstance(executor, LoopExecutor):
            self._executors.append(executor)
            if self._starts:
                self._starts = False
                self._open.enter_context(self._interrupter)
                self._open.enter_context(self._watchdog.listening())

    def remove(self, executor: Executor) -> None:
        """It is about to close."""
        if isinstance(executor, LoopExecutor):
            self._executors.remove(executor)

    def end_by(self, latest_s: float) -> None:
        """From then on (engine clock) no handler holds the loop; may be called by a signal's handler."""
        self._interrupter.end_by(latest_s)

    def close(self) -> None:
        """Neither measure nor watch any more."""
        self._open.close()

    def _running(self, task: asyncio.Task[Any]) -> Invocation | None:
        for executor in self._executors:
            if (invocation := executor.running(task)) is not None:
                return invocation
        return None

    def _is_running(self, invocation: Invocation) -> bool:
        return any(self._running(task) is invocation for task in asyncio.all_tasks(self._loop))
