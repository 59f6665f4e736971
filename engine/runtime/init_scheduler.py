"""Gives fleets their turns to initialise, and looks at the inits that run while others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Protocol

from engine.core.init_turns import OBSERVE_EVERY_S, InitTurns, Use
from engine.ports import Clock


class Initialiser(Protocol):
    """What starts the environments of one fleet: its driver."""

    def begin_init(self) -> None:
        """Start an environment: it is the fleet's turn."""

    def init_use(self, env_id: int) -> Use | None:
        """What a running init has used so far; None if that is not known."""


class InitScheduler:
    """Gives turns to the fleets of one engine; costs nothing while every init may begin at once.

    Attributes:
        turns: Who is next. Its cores are those of this machine, or of all nodes together.
        are_on_nodes: Which of the two.
    """

    def __init__(
        self, turns: InitTurns, loop: asyncio.AbstractEventLoop, clock: Clock, *, are_on_nodes: bool
    ) -> None:
        self.turns = turns
        self.are_on_nodes = are_on_nodes
        self._loop = loop
        self._clock = clock
        self._initialisers: dict[Hashable, Initialiser] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_beginning = False

    def set_cores(self, cores: int) -> None:
        """Let as many inits compute at a time as there are cores, one at least."""
        self.turns.set_cores(max(1, cores))
        self.begin_waiting()

    def add(self, fleet: Hashable, initialiser: Initialiser) -> None:
        """Call `initialiser.begin_init` whenever it is the turn of `fleet`."""
        self._initialisers[fleet] = initialiser

    def remove(self, fleet: Hashable) -> None:
        """Forget a fleet that was abandoned."""
        self._initialisers.pop(fleet, None)
        if self._timer is not None and not self.turns.contended:
            self._timer.cancel()
            self._timer = None

    def begin_waiting(self) -> None:
        """Begin the inits that may begin. To be called after whatever can end an init or request one."""
        turns = self.turns
        if not turns.contended or self._is_beginning:
            return
        self._is_beginning = True
        try:
            while (fleet := turns.next()) is not None:
                self._initialisers[fleet].begin_init()
        finally:
            self._is_beginning = False
        if self._timer is None and turns.contended:
            self._timer = self._loop.call_later(OBSERVE_EVERY_S, self._observe)

    def _observe(self) -> None:
        self._timer = None
        now_s = self._clock.now()
        for fleet, env_id in self.turns.to_observe():
            self.turns.observe(fleet, env_id, self._initialisers[fleet].init_use(env_id), now_s)
        self.begin_waiting()
