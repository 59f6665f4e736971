"""One process of an environment, in a process group of its own: started, read from, killed, reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from engine.executors.runtime_api.command import InvalidEntrypoint

_READ_BYTES: Final = 65_536
_KB: Final = 1024
_REAP_MS: Final = 5_000


class RuntimeProcess:
    """A running process. Made by `spawn`, on any thread; everything else happens on the loop.

    `group` is its id, and that of its process group.
    """

    def __init__(self, command: tuple[str, ...], folder: str, variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  the user's own command is what it is for
            command,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(variables),
            start_new_session=True,
        )
        # Until it executes the command, a child counts the engine's memory as its own: see `peak_mb`.
        self._engine_peak_kb = _high_water_kb("self") or sys.maxsize
        self.group = self._process.pid
        assert self._process.stdout is not None  # it was asked for
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take: Callable[[bytes], object] = len  # until `watch`
        self._exited: Callable[[int], None]
        self._pid_fd = -1
        self._peak_mb: int | None = None
        self.ended = False

    def watch(
        self,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[bytes], object],
        exited: Callable[[int], None],
    ) -> None:
        """From now on `take` what it writes, and tell once that it `exited`, with its status.

        The status is as `subprocess` gives it: negative for a signal. The process is reaped by `reap`
        only, so that its group can still be killed.
        """
        self._loop, self._take, self._exited = loop, take, exited
        loop.add_reader(self._pipe.fileno(), self._readable)
        try:
            self._pid_fd = os.pidfd_open(self.group)
        except (AttributeError, OSError):  # not Linux, or an old one: a thread waits instead
            threading.Thread(target=self._wait, name=f"wait-{self.group}", daemon=True).start()
        else:
            loop.add_reader(self._pid_fd, self._gone)

    def read_all(self) -> None:
        """Read what it has written up to now."""
        while not self._pipe.closed and self._read():
            pass

    def peak_mb(self) -> int | None:
        """Most memory the process has had resident so far, in MB; None where that cannot be told."""
        peak_kb = _high_water_kb(self.group)
        if peak_kb is not None:
            self._peak_mb = -(-peak_kb // _KB)
        return self._peak_mb

    def kill(self) -> None:
        """SIGKILL to the whole group. It can be sent as long as the process has not been reaped."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, signal.SIGKILL)

    def reap(self, *, wait: bool = False) -> bool:
        """Reap the process and close its descriptors; False if it has not exited yet.

        With `wait` block until it has, for five seconds at most: it has been killed.
        """
        if self.ended:
            return True
        if wait and self._pid_fd >= 0:
            poll = select.poll()
            poll.register(self._pid_fd, select.POLLIN)
            poll.poll(_REAP_MS)
        try:
            pid, status, usage = os.wait4(self.group, 0 if wait and self._pid_fd < 0 else os.WNOHANG)
        except ChildProcessError:  # somebody else took it, and its status
            pid, status, usage = self.group, 0, None
        if pid == 0:
            return False
        self.ended = True
        if usage is not None and usage.ru_maxrss > self._engine_peak_kb:
            self._peak_mb = max(self._peak_mb or 0, -(-usage.ru_maxrss // _KB))
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._unwatch()
        return True

    def _unwatch(self) -> None:
        self._close_pipe()
        if self._pid_fd >= 0:
            self._unread(self._pid_fd)
            os.close(self._pid_fd)
            self._pid_fd = -1

    def _close_pipe(self) -> None:
        if not self._pipe.closed:
            self._unread(self._pipe.fileno())
            self._pipe.close()

    def _unread(self, descriptor: int) -> None:
        if self._loop is not None:
            self._loop.remove_reader(descriptor)

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(self._pipe.fileno(), _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:  # every process of the group has closed it
            self._close_pipe()
            return False
        self._take(data)
        return len(data) == _READ_BYTES

    def _gone(self) -> None:
        """Report the exit status; the process is not reaped yet."""
        self._unread(self._pid_fd)
        state = os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        self._exited(_status(state))

    def _wait(self) -> None:
        try:
            state = os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return  # reaped by then
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._exited, _status(state))


def spawn(command: tuple[str, ...], folder: str, variables: Mapping[str, str]) -> RuntimeProcess:
    """Start `command` in `folder`. Blocks for about a millisecond.

    Raises:
        InvalidEntrypoint: It is not there, or cannot be executed.
        OSError: The machine has no more processes, descriptors or memory.
    """
    try:
        return RuntimeProcess(command, folder, variables)
    except (FileNotFoundError, PermissionError, NotADirectoryError, ValueError):
        raise InvalidEntrypoint(command[0]) from None
    except OSError as error:
        if error.filename is not None:  # it is there, but no program
            raise InvalidEntrypoint(command[0]) from None
        raise


def _high_water_kb(process: int | str) -> int | None:
    """Most memory that a process has had resident; None if it is dead, or there is no /proc."""
    try:
        status = Path(f"/proc/{process}/status").read_bytes()
    except OSError:
        return None
    at = status.find(b"VmHWM:")
    return None if at < 0 else int(status[at + 6 : status.index(b"kB", at)])


def _status(state: os.waitid_result | None) -> int:
    if state is None:
        return 0
    return state.si_status if state.si_code == os.CLD_EXITED else -state.si_status
