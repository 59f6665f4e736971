"""Ends the process, whatever handlers left in it: threads, tasks, functions registered by `atexit`.

Python waits for all of them, for ever if need be. Lambda waits for none: its environments are killed.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Final

_TASKS_S: Final = 0.25
"""What tasks that were cancelled at the end get to tidy up."""

_REST_S: Final = 0.25
"""What threads and `atexit` functions get after that."""

_LAST_TURNS_S: Final = 2.0

_BEYOND_S: Final = 0.75
"""After the time was up, the process is ended from outside the interpreter if nothing else could end it."""

_NOWHERE: Final = 2**31 - 1
"""A descriptor above any limit: what is written to it vanishes, and none has to be free for it."""


def end_within(seconds: float) -> None:
    """From now on the process ends in that time with exit code 1, though something keeps the interpreter.

    A thread in C does it, which needs nothing of the interpreter; each call replaces the one before. Threads
    that cannot be started are done without.
    """
    with suppress(RuntimeError):
        faulthandler.dump_traceback_later(max(seconds, 0.001), exit=True, file=_NOWHERE)


def end_after_all() -> None:
    """Take `end_within` back."""
    faulthandler.cancel_dump_traceback_later()


def leave_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on `loop`, which has stopped, and close it; within a quarter of a second.

    The loop's last turns are taken by a daemon thread: a task that blocks, or that swallows its cancellation,
    keeps that thread and nobody else. Threads of the loop's executor are not waited for.
    """
    end_within(_LAST_TURNS_S)
    loop.set_exception_handler(lambda _loop, _context: None)  # tasks that do not end are no news
    with suppress(RuntimeError):
        last = threading.Thread(target=_last_turns, args=(loop,), name="engine-last-turns", daemon=True)
        last.start()
        last.join(2 * _TASKS_S)
    if not loop.is_running():
        loop.close()
    end_after_all()


def _last_turns(loop: asyncio.AbstractEventLoop) -> None:
    with suppress(BaseException):
        loop.run_until_complete(_cancel_all())


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_TASKS_S)
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_asyncgens(), _TASKS_S)


def end_soon(status: int) -> None:
    """The program is at its end, and all that is ours has been closed and written: exit with `status`, soon.

    Python joins threads and calls what `atexit` knows; what has not ended in a quarter of a second is left.
    """
    end_within(_REST_S + _BEYOND_S)
    with suppress(RuntimeError):
        threading.Thread(target=_end_late, args=(status,), name="engine-end", daemon=True).start()


def end_now(status: int) -> None:
    """Exit. Objects that are left are not finalised: their `__del__` may wait too."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _end_late(status: int) -> None:
    time.sleep(_REST_S)
    end_now(status)
