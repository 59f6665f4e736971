"""Interrupts a handler that holds the event loop: an exception is raised in it, by a signal.

Python runs the handler of a signal on the main thread, between two bytecodes or where a system call was
interrupted, and what it raises is raised there. So it can only be done where the loop runs on the main
thread, and to code that comes back to the interpreter, looks at signals (a regular expression that
backtracks for ever does) or waits without holding it: another long operation in C (a sum over a huge range)
goes on. Nothing is ever raised in code of the engine or of the event loop, only where the innermost frames
are the handler's and what it called, or where the loop itself calls C code for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, Self

import anyio

from engine.core.invocation import Invocation
from engine.executors.capture import current

SIGNAL: Final = signal.SIGURG
"""Ignored by default, and used by hardly anybody: Go interrupts its own threads by it, for that reason."""

TIMER: Final = signal.SIGVTALRM
"""Sent by the kernel when the process has computed for a while and the watchdog could not run meanwhile: then
the handler keeps the interpreter to itself. A timer of computing time, since handlers may use SIGALRM."""

_KEPT_S: Final = 0.5
_KEPT_AGAIN_S: Final = 0.1

_LEFT_S: Final = 1.0
"""What an invocation left behind (a callback, a task) may hold the loop no longer than this."""

_STUBBORN: Final = 3
"""After so many interruptions a handler gets no more time to tidy up: see `Interrupter._raise`."""

_ENGINE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_REPORTERS: Final = tuple(
    os.path.join(_ENGINE, "executors", f"{one}.py")
    for one in ("marshal", "handler_runner", "streamed_pieces")
)
"""They change nothing while they call what a result or an exception brings along, such as its `__str__`, or
take the next piece of a generator that is a result."""

_LOOPS: Final = tuple(os.path.dirname(module.__file__ or "") + os.sep for module in (asyncio, anyio))
_RUNNERS: Final = asyncio.runners.__file__
_CALLBACK: Final = asyncio.Handle._run.__code__
_UNUSED: Final = (signal.SIG_DFL, signal.SIG_IGN)


class Interrupted(BaseException):
    """Raised inside a handler that holds the event loop after its deadline, or when the engine has to end."""


class Interrupter:
    """Interrupts what holds the loop of the thread that enters it, if that is the main one.

    Args:
        entry: The code of the coroutine that calls handlers.
        now: Engine clock.
        is_running: Whether an invocation has not ended. What an ended one left behind has no deadline.
    """

    def __init__(
        self,
        entry: CodeType,
        now: Callable[[], float],
        is_running: Callable[[Invocation], bool] = lambda _invocation: True,
    ) -> None:
        self.raised = 0
        """Interruptions since the last iteration of the loop."""
        self._turned_s = now()
        self._entry = entry
        self._now = now
        self._is_running = is_running
        self._latest_s = float("inf")
        self._thread_id = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (SIGNAL, TIMER):
                if signal.getsignal(number) in _UNUSED:
                    self._before[number] = signal.signal(number, self._raise)
        if SIGNAL in self._before:
            self._thread_id = threading.get_ident()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread_id = 0
        if TIMER in self._before:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def turned(self) -> None:
        """On the loop: nothing holds it. What a handler did to the signals themselves is undone."""
        self.raised = 0
        self._turned_s = self._now()
        for number in self._before:
            if signal.getsignal(number) in _UNUSED:
                signal.signal(number, self._raise)
        if self._before:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)

    def put_off(self) -> None:
        """From another thread, which therefore can run: the timer need not look yet."""
        if TIMER in self._before and signal.getsignal(TIMER) == self._raise:
            signal.setitimer(signal.ITIMER_VIRTUAL, _KEPT_S, _KEPT_AGAIN_S)

    def end_by(self, latest_s: float) -> None:
        """From then on (engine clock) whatever holds the loop is interrupted, deadline or not."""
        self._latest_s = min(self._latest_s, latest_s)

    def due(self, invocation: Invocation) -> bool:
        """Whether it is to be interrupted if it holds the loop."""
        return self._now() >= min(invocation.deadline_s, self._latest_s)

    def interrupt(self) -> None:
        """From another thread: look at what runs on the loop, and interrupt it if it is due."""
        if self._thread_id:
            signal.pthread_kill(self._thread_id, SIGNAL)

    def _raise(self, _number: int, frame: FrameType | None) -> None:
        """On the loop's thread, wherever it is.

        A handler may swallow what is raised, and block again where it tidies up: then it is raised again. If
        it does so for ever (`while True: try: ... except BaseException: pass`), it is raised once more at the
        next line as well: that is outside of that `try`.
        """
        invocation = current.get()
        if invocation is None or not self._in_handler(frame):
            return
        if not self.due(invocation) and (
            self._now() < self._turned_s + _LEFT_S or self._is_running(invocation)
        ):
            return
        self.raised += 1
        if self.raised > _STUBBORN and sys.gettrace() is None:
            while frame is not None and not frame.f_code.co_filename.startswith((_ENGINE, *_LOOPS)):
                frame.f_trace = _raise_at_next_line
                frame = frame.f_back
            sys.settrace(_raise_at_next_line)
        raise Interrupted

    def _in_handler(self, frame: FrameType | None) -> bool:
        """Whether nothing but a handler's code is between `frame` and what called it: `entry` or the loop."""
        depth = 0
        while frame is not None:
            code, file = frame.f_code, frame.f_code.co_filename
            if code is self._entry:
                return depth > 0
            if code is _CALLBACK or file == _RUNNERS:
                return True  # the context is the handler's: the loop calls Python or C code for it
            if file.startswith(_ENGINE):
                if file not in _REPORTERS:
                    return False
            elif file.startswith(_LOOPS):
                if not depth:
                    return False
            else:
                depth += 1
            frame = frame.f_back
        return depth > 0


def _raise_at_next_line(_frame: FrameType, event: str, _argument: Any) -> Any:
    """A trace function. Python forgets it when it raises; if the frame has been left, that is done here."""
    if event == "call":
        sys.settrace(None)
        return None
    if event == "line":
        raise Interrupted
    return _raise_at_next_line
