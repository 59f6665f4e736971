"""Stop signals: the first asks to stop, the second forces it."""

from __future__ import annotations

import _thread
import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Final, Self

import anyio

from engine.ports import Clock
from engine.runtime.process_end import end_within

SIGNALS: Final[tuple[int, ...]] = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGALRM, signal.SIGPROF),
    *(getattr(signal, name) for name in ("SIGIO", "SIGPWR", "SIGSTKFLT") if hasattr(signal, name)),
    *((signal.SIGRTMIN + 3,) if hasattr(signal, "SIGRTMIN") else ()),
)
"""What users and supervisors send, and what ends a process that does nothing about it.

SIGRTMIN+3 is how systemd-nspawn and `STOPSIGNAL` of its images ask for an end. SIGVTALRM is not among them:
`engine.executors.loop_interrupt` has its timer send it. `engine.__main__` has the same list for the time
before this module is imported.
"""

_NOT_TO_BE_IGNORED: Final = (signal.SIGTERM, signal.SIGINT)
"""`nohup` ignores SIGHUP, and means it; a shell ignores SIGINT for what it starts in the background."""

_LOOK_S: Final = 1.0
"""How often what handlers did to the signals is undone."""

_DEAF_S: Final = 1.0
"""What a loop that is held gets beyond the grace period to hear of a signal."""

_LAST_TURN_S: Final = 2.0

_CLOSING_S: Final = 5.0
"""What remains to be closed after the grace period gets this long, should something keep the interpreter."""

_HELD: Final = 0.9
"""Up to this share of the grace period a handler may hold the loop; the rest is for everybody else."""

_FORCED: Final = 1


class StopSignals:
    """Turns signals that end processes into events, between `with` and its end.

    `asked` is set by the first signal, or by `ask`; the second one calls what `on_force` was given. A signal
    is seen at once, whatever holds the loop: then `ends_s` is set, and what `on_signal` got is called.
    If the loop has not heard of it a second after `ends_s`, or a second after a second signal, the process
    ends as it is, with exit code 1.

    Args:
        loop: The loop, on the main thread.
        clock: Engine clock.
        grace_s: What is left to run after the first signal.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, grace_s: float) -> None:
        self.asked = anyio.Event()
        self.ends_s: float | None = None
        """When the grace period ends, engine clock; None before the first signal."""
        self._loop = loop
        self._now = clock.now
        self._grace_s = grace_s
        self._force: Callable[[], object] | None = None
        self._on_signal: Callable[[float], object] = _ignore
        self._heard = threading.Event()
        self._armed = False
        self._before: dict[int, Any] = {}
        self._handlers: dict[int, Callable[[int, FrameType | None], None]] = {}

    def ask(self) -> None:
        """Stop, as by a signal: the first time politely, the second at once."""
        self._heard.set()
        if self._armed:
            end_within(self._grace_s + _CLOSING_S)
        if self.ends_s is None:
            self.ends_s = self._now() + self._grace_s
        if self.asked.is_set():
            if self._force is not None:
                self._force()
            return
        self.asked.set()

    def on_force(self, force: Callable[[], object]) -> None:
        """What the second signal does."""
        self._force = force

    def on_signal(self, tell: Callable[[float], object]) -> None:
        """Tell it when to stop what holds the loop (engine clock): shortly before the grace period ends.

        It is called in the signal's handler, amid anything; at the second signal with the present.
        """
        self._on_signal = tell
        if self.ends_s is not None:
            tell(self.ends_s)

    def __enter__(self) -> Self:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is signal.SIG_IGN and number not in _NOT_TO_BE_IGNORED:
                continue
            self._before[number] = before
            self._loop.add_signal_handler(number, self._woken, number)
            # The loop hears of a signal at its next turn only; what it has put there wakes it.
            self._handlers[number] = partial(self._caught, signal.getsignal(number))
            signal.signal(number, self._handlers[number])
        self._look = self._loop.call_later(_LOOK_S, self._take_back)
        return self

    def _woken(self, number: int) -> None:
        """The loop hears of every signal. One that a handler uses itself (`signal.alarm`) is not for us."""
        if number in _NOT_TO_BE_IGNORED or signal.getsignal(number) is self._handlers[number]:
            self.ask()

    def _take_back(self) -> None:
        """Handlers share this process: what one of them ignored or blocked must not make the engine deaf."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) in (signal.SIG_IGN, signal.SIG_DFL):
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)
        self._look = self._loop.call_later(_LOOK_S, self._take_back)

    def __exit__(self, *_: object) -> None:
        self._look.cancel()
        for number, before in self._before.items():
            self._loop.remove_signal_handler(number)
            signal.signal(number, before)
        self._before.clear()
        if self._armed:
            end_within(_LAST_TURN_S)  # the loop turns once more before it stops, and may be held in it

    def _caught(self, wake: Any, number: int, frame: FrameType | None) -> None:
        if self.ends_s is None:
            now_s = self._now()
            self.ends_s = now_s + self._grace_s
            self._on_signal(now_s + _HELD * self._grace_s)
            self._end_in_any_case(self._grace_s + _DEAF_S)
        else:
            self._on_signal(self._now())
            if not self._heard.is_set():
                self._end_in_any_case(_DEAF_S)
        wake(number, frame)

    def _end_in_any_case(self, within_s: float) -> None:
        """Also where the loop does not hear. The signal must reach it even if no thread can be started."""
        with suppress(RuntimeError):
            _thread.start_new_thread(self._end_unheard, (within_s,))
        self._armed = True
        end_within(within_s)  # also if what holds the loop keeps the interpreter to itself

    def _end_unheard(self, within_s: float) -> None:
        if not self._heard.wait(within_s):
            os._exit(_FORCED)


def _ignore(_ends_s: float) -> None:
    """Nobody wants to know."""
