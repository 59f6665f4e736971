"""Stop signals: the first asks to stop, the second forces it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Final, Self

import anyio

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Turns SIGTERM and SIGINT into events, between `with` and its end.

    `asked` is set by the first signal, or by `ask`; the second one calls what `on_force` was given.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._force: Callable[[], object] | None = None
        self.asked = anyio.Event()

    def ask(self) -> None:
        """Stop, as by a signal: the first time politely, the second at once."""
        if self.asked.is_set():
            if self._force is not None:
                self._force()
            return
        self.asked.set()

    def on_force(self, force: Callable[[], object]) -> None:
        """What the second signal does."""
        self._force = force

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self.ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)
