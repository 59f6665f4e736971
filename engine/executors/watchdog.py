"""Detects a handler that blocks the event loop, while it blocks: which one, for how long, and where.

The loop beats; a thread listens. When a beat is overdue the thread looks at what the loop's thread is
doing, and tells. At its deadline the handler is interrupted, and again while it goes on blocking.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

from engine.core.engine_events import EngineEvent, LoopBlocked, LoopReleased
from engine.core.invocation import Invocation
from engine.executors.loop_interrupt import Interrupter
from engine.ports import Clock

BEAT_S: Final = 0.05
"""How often the loop beats; the lateness of each beat is the loop's lag."""

BLOCKED_AFTER_S: Final = 0.1
"""A beat overdue by this much is a blocked loop: twice what asyncio's debug mode calls slow."""

AGAIN_AFTER_S: Final = 0.1
"""Seconds a handler has to clean up after it was interrupted, before it is interrupted again."""

_CALLER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loop.py")

_PLACE_FRAMES: Final = 4
_MAX_PLACES: Final = 1000
"""A place is a function and its outermost four frames; so many are remembered as told."""

_PATIENT_AFTER: Final = 50
_PATIENCE_S: Final = 5.0
"""What 50 signals did not interrupt gets one every so often: each leaves a byte that the loop must read."""

FindInvocation = Callable[[asyncio.Task[Any]], Invocation | None]


class Watchdog:
    """Measures how late one loop is between `with` and its end, and watches it while `listening`.

    Args:
        loop: The loop, whose thread enters both.
        clock: Engine clock.
        find: Which invocation a task runs, if any; called from the watching thread.
        notify: Told of `LoopBlocked` (from the watching thread) and `LoopReleased` (from the loop).
        lagged: Told the lateness of every beat, seconds, on the loop.
        interrupter: Interrupts what blocks; None: nothing does.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        find: FindInvocation,
        notify: Callable[[EngineEvent], None],
        lagged: Callable[[float], None],
        interrupter: Interrupter | None = None,
    ) -> None:
        self._loop = loop
        self._now = clock.now
        self._find = find
        self._notify = notify
        self._lagged = lagged
        self._interrupter = interrupter
        self._told: set[tuple[object, ...]] = set()
        self._again_s = 0.0
        self._tries = 0  # since the loop last turned
        self._due_s = 0.0
        self._seen: LoopBlocked | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="engine-watchdog", daemon=True)
        self._beat_handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._loop_thread_id = threading.get_ident()
        self._beat_later()
        return self

    def __exit__(self, *_: object) -> None:
        if self._beat_handle is not None:
            self._beat_handle.cancel()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Watch, from a thread, until this ends; only once, inside the `with`."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    def _beat_later(self) -> None:
        self._due_s = self._now() + BEAT_S
        self._beat_handle = self._loop.call_later(BEAT_S, self._beat)

    def _beat(self) -> None:
        lag_s = max(0.0, self._now() - self._due_s)
        self._lagged(lag_s)
        seen, self._seen = self._seen, None
        self._tries = 0
        interrupted = self._interrupter is not None and self._interrupter.raised > 0
        if self._interrupter is not None:
            self._interrupter.turned()
        if seen is not None:
            self._notify(
                LoopReleased(
                    function=seen.function,
                    request_id=seen.request_id,
                    blocked_s=lag_s,
                    interrupted=interrupted,
                )
            )
        self._beat_later()

    def _listen(self) -> None:
        while not self._over.wait(BEAT_S):
            if self._interrupter is not None:
                self._interrupter.put_off()
            overdue_s = self._now() - self._due_s
            if overdue_s > BLOCKED_AFTER_S:
                task = asyncio.current_task(self._loop)
                invocation = self._find(task) if task is not None else None
                if self._seen is None:
                    self._tell(invocation, overdue_s)
                if self._interrupter is not None:
                    self._interrupt(self._interrupter, invocation)

    def _interrupt(self, interrupter: Interrupter, invocation: Invocation | None) -> None:
        """Only what is due is disturbed; of what is not known to be a handler's, it sees for itself."""
        now_s = self._now()
        if now_s >= self._again_s and (invocation is None or interrupter.due(invocation)):
            self._tries += 1
            self._again_s = now_s + (AGAIN_AFTER_S if self._tries < _PATIENT_AFTER else _PATIENCE_S)
            interrupter.interrupt()

    def _tell(self, invocation: Invocation | None, overdue_s: float) -> None:
        frame = sys._current_frames().get(self._loop_thread_id)  # the documented way
        if invocation is None or frame is None:
            return  # not a handler: a busy loop shows in the lag alone
        self._seen = LoopBlocked(
            function=invocation.event.function,
            request_id=invocation.event.request_id,
            blocked_s=overdue_s,
            stack=self._stack(invocation.event.function, frame),
        )
        self._notify(self._seen)

    def _stack(self, function: str, frame: FrameType) -> str:
        """From the handler on, without what called it; one line only for a place that was told before."""
        stack = traceback.extract_stack(frame)
        callers = [number for number, one in enumerate(stack) if one.filename == _CALLER]
        frames = stack[callers[-1] + 1 if callers else 0 :] or stack[-1:]
        place = (function, *((one.filename, one.lineno) for one in frames[:_PLACE_FRAMES]))
        if place in self._told:
            first = frames[0]
            return f'  File "{first.filename}", line {first.lineno}, in {first.name} (as before)\n'
        if len(self._told) < _MAX_PLACES:
            self._told.add(place)
        return "".join(traceback.format_list(frames))
