"""Runs the engine in a process of its own, as a user would start it, and ends it in any case."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from engine.errors import EngineError

_START_LIMIT_S: Final = 20.0
_STOP_LIMIT_S: Final = 8.0
_LAST_LINES: Final = 12

ROOT: Final = Path(__file__).resolve().parents[3]
"""The folder of the packages `engine` and `handlers`: a checkout, or site-packages."""


class DemoError(EngineError):
    """The demo cannot go on. `details` are lines that help to see why, such as the engine's last lines."""

    def __init__(self, reason: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(reason, details)
        self.reason, self.details = reason, details

    def __str__(self) -> str:
        return "\n".join((self.reason, *self.details))


class EngineProcess:
    """`async with EngineProcess(arguments) as engine`: `engine serve` runs, its listeners are open.

    It has a session of its own, so that a Ctrl-C reaches only this process, which then ends it in order.

    Attributes:
        addresses: Host and port by listener: http, aws, admin.
        pid: Its process id.
        exit_code: How it ended; None while it runs. Negative is the signal that killed it.

    Raises:
        DemoError: On entering, if it does not get ready; on leaving by an error, if it had died.
    """

    addresses: dict[str, tuple[str, int]]
    _process: asyncio.subprocess.Process

    def __init__(self, arguments: Sequence[str]) -> None:
        # -P: a folder named `engine` in the working directory must not be imported instead of this one.
        self._command = (sys.executable, "-P", "-m", "engine", "serve", *arguments)
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._readers: list[asyncio.Task[None]] = []
        self.addresses = {}

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def __aenter__(self) -> Self:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        try:
            await self._wait_until_ready()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, asyncio.CancelledError):
            await self._wait(
                1.0
            )  # a connection that ended may be the first sign that the process did: wait for its end
        died = self.exit_code is not None
        await self._end()
        if died:
            raise DemoError(f"the engine ended by itself, with exit code {self.exit_code}", tuple(self._said))

    async def _wait_until_ready(self) -> None:
        out, err = self._process.stdout, self._process.stderr
        assert out is not None
        assert err is not None
        self._readers.append(asyncio.create_task(_keep(err, self._said)))
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                line = await out.readline()
        except TimeoutError:
            raise DemoError(
                f"the engine was not ready after {_START_LIMIT_S:g} s", tuple(self._said)
            ) from None
        try:
            ready = json.loads(line)
            parts = {name: urlsplit(ready[name]) for name in ("http", "aws", "admin")}
            self.addresses = {name: (str(url.hostname), int(url.port or 80)) for name, url in parts.items()}
        except (ValueError, KeyError, TypeError):
            await self._wait(1.0)
            await asyncio.wait(self._readers, timeout=1.0)
            raise DemoError("the engine did not start", tuple(self._said)) from None
        self._readers.append(asyncio.create_task(_keep(out, deque(maxlen=1))))

    async def _wait(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._process.wait()
        except TimeoutError:
            pass

    async def _end(self) -> None:
        """SIGTERM, time to drain, then SIGKILL: even if the waiting task is cancelled."""
        try:
            if self._process.returncode is None:
                self._process.terminate()
                await self._wait(_STOP_LIMIT_S)
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        if self._readers:
            await asyncio.wait(self._readers, timeout=1.0)


async def _keep(stream: asyncio.StreamReader, lines: deque[str]) -> None:
    """Read to the end, so that the writer never waits; what is kept is the last of it."""
    while line := await stream.readline():
        lines.append(line.decode(errors="replace").rstrip())
