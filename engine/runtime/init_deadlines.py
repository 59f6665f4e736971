"""The inits of one function that run now: each ends when it is ready, has failed, or is over its limit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from engine.core.function import PROVISIONED_INIT_LIMIT_S, Function
from engine.core.init_turns import Use

_SHORTEST_EXTENSION_S: Final = 0.05
_LAST_TURNS: Final = 4
"""Turns of the loop from the limit of an init to its failure."""


class _RunningInit:
    """One init. `limit_s`: its limit, once that has been reached; infinity before."""

    __slots__ = ("limit_s", "provisioned", "ready", "timer")

    def __init__(self, timer: asyncio.TimerHandle, *, provisioned: bool) -> None:
        self.timer = timer
        self.provisioned = provisioned
        self.ready: asyncio.TimerHandle | None = None  # rings at the end of a modelled cold start
        self.limit_s = math.inf


class RunningInits:
    """Calls `timed_out(env_id, ran_s)` for each init that is still here after its limit.

    Time in which an init was ready to run and had no CPU does not count, up to the limit again: so a
    caller is answered after twice the limit at most, however busy the machine is.
    """

    def __init__(
        self,
        function: Function,
        loop: asyncio.AbstractEventLoop,
        init_use: Callable[[int], Use | None],
        timed_out: Callable[[int, float], None],
    ) -> None:
        self._function = function
        self._loop = loop
        self._init_use = init_use
        self._timed_out = timed_out
        self._running: dict[int, _RunningInit] = {}

    def begin(self, env_id: int, *, provisioned: bool) -> None:
        """Watch an init that begins now."""
        limit_s = self._function.init_limit_s
        if provisioned:
            limit_s = max(PROVISIONED_INIT_LIMIT_S, self._function.timeout_s)
        timer = self._loop.call_later(limit_s, self._limit_reached, env_id, limit_s, 0.0)
        self._running[env_id] = _RunningInit(timer, provisioned=provisioned)

    def restart(self, env_id: int) -> None:
        """Count its time from now on, if it still runs."""
        init = self._running.get(env_id)
        if init is not None:
            init.timer.cancel()
            self.begin(env_id, provisioned=init.provisioned)

    def is_in_time(self, env_id: int, init_s: float | None) -> bool:
        """Whether it still runs, and `init_s`, what it took by its own account, is within its limit."""
        init = self._running.get(env_id)
        return init is not None and (init_s is None or init_s <= init.limit_s)

    def is_provisioned(self, env_id: int) -> bool | None:
        """Whether the environment is a provisioned one; None if its init does not run any more."""
        init = self._running.get(env_id)
        return None if init is None else init.provisioned

    def call_later(self, env_id: int, delay_s: float, ready: Callable[[], None]) -> None:
        """Call `ready` at the end of a modelled cold start, unless the init ends before."""
        self._running[env_id].ready = self._loop.call_later(delay_s, ready)

    def end(self, env_id: int) -> bool | None:
        """Stop watching it; returns what `is_provisioned` did."""
        init = self._running.pop(env_id, None)
        if init is None:
            return None
        init.timer.cancel()
        if init.ready is not None:
            init.ready.cancel()
        return init.provisioned

    def _limit_reached(self, env_id: int, limit_s: float, extended_s: float) -> None:
        """Extend the limit by the time in which the init had no CPU, or begin to end it."""
        init = self._running[env_id]
        use = self._init_use(env_id)
        queued_s = 0.0 if use is None or not use.cpu_s else min(use.queued_s, limit_s)
        if queued_s - extended_s > _SHORTEST_EXTENSION_S:
            after_s = queued_s - extended_s
            init.timer = self._loop.call_later(after_s, self._limit_reached, env_id, limit_s, queued_s)
            return
        init.limit_s = limit_s + extended_s
        self._allow_last_turns(env_id, init, _LAST_TURNS)

    def _allow_last_turns(self, env_id: int, init: _RunningInit, turns: int) -> None:
        """Read what came in time and was not read while the loop was held up.

        uvloop's timers ring before sockets are looked at; and that an environment was forked, the listening
        to its socket and its message take a turn each.
        """
        if self._running.get(env_id) is not init:
            return  # it was ready, or was given up
        if turns:
            self._loop.call_soon(self._allow_last_turns, env_id, init, turns - 1)
            return
        self._timed_out(env_id, init.limit_s)
