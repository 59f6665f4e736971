"""Virtual time: an event loop that, when every task waits, jumps to the next timer instead of sleeping."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

from engine.core.served_function import ImportedModuleFor
from engine.ports import T
from engine.runtime.platform import Platform

_EPOCH_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z

_RESOLUTION_S = 1e-7
"""More than the distance of two floats within 17 years."""


class VirtualClock:
    """Time that moves only when told to. Wall time begins on 2026-01-01 UTC."""

    def __init__(self) -> None:
        self._now_s = 1_000_000.0  # far from 0, so that a stray real reading is noticed

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now_s

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return _EPOCH_S + self._now_s - 1_000_000.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that moves the clock by t seconds where a loop would block for t seconds."""

    def __init__(self, clock: VirtualClock, patience_s: float) -> None:
        super().__init__()
        self._clock = clock
        self._patience_s = patience_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self._clock.advance(timeout)
            return ready
        # No timer is set: only another thread can go on from here. Give it real time, but not for ever.
        ready = super().select(self._patience_s)
        if not ready:
            raise RuntimeError("deadlock: every task waits and no timer is set")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on a `VirtualClock`: a day of timers passes in milliseconds, always in order.

    When every task waits and no timer is set, only another thread can help: after `patience_s` real
    seconds without that, it raises `RuntimeError`.
    """

    def __init__(self, patience_s: float = 5.0) -> None:
        self.clock = VirtualClock()
        super().__init__(_JumpingSelector(self.clock, patience_s))
        # asyncio calls what is due before now plus this. With a nanosecond, its own, that would be now itself
        # once half a year has passed, and nothing would ever be due.
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        """The loop's time is the clock's."""
        return self.clock.now()

    def timers(self) -> list[asyncio.TimerHandle]:
        """Those that are set: neither due yet nor cancelled. None are, once everything is closed."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [timer for timer in timers if not timer.cancelled()]

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for worker threads in real time, however long: a limit would be over at once here."""
        await super().shutdown_default_executor()


async def _inline(work: Callable[[], T], /) -> T:
    """Run `work` in place: a worker thread would take no virtual time either."""
    return work()


def handler_platform(*, isolated: bool = False, seed: int = 0) -> Platform:
    """What to give an `Engine` in a test of handlers, which then run in the test's own interpreter.

    On a `VirtualTimeLoop` that is `virtual_platform`; on any other loop the clock is the real one, `def`
    handlers run on threads and `async def` handlers on the loop. Either way all environments of a
    function run in the module that the test imports, so that what the test patches there reaches the handler;
    `isolated`: each has a module of its own, as on a served engine, and patches of the module reach none.
    `seed`: see `virtual_platform`.
    """
    if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
        return virtual_platform(isolated=isolated, seed=seed)
    return Platform(has_processes=False, imported_module_for=_imported_module_for(isolated))


def _imported_module_for(isolated: bool) -> ImportedModuleFor:  # noqa: FBT001
    return "none" if isolated else "all"


def virtual_platform(*, isolated: bool = False, seed: int = 0) -> Platform:
    """What to give an `Engine` on a `VirtualTimeLoop`: its clock, and imports done in place.

    Threads take no virtual time, so time would jump to every deadline while one still works: `def`
    handlers run on the loop too, and `executor = "thread"` is refused. Handlers run in the module
    that the program imports, where its patches are; `isolated`: in one of the engine's own. `seed`: all ids
    are drawn from it, and the jitter of durable functions: the same seed, the same history.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError(f"virtual time needs a VirtualTimeLoop, not {type(loop).__name__}")
    return Platform(
        clock=loop.clock,
        offload=_inline,
        watches_loop=False,
        has_threads=False,
        has_processes=False,
        imported_module_for=_imported_module_for(isolated),
        seed=seed,
    )
