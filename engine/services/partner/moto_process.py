"""moto's server as a child process, reached over a Unix socket that only this user can open.

Source of its settings: moto's documentation, "Server mode" (MOTO_ACCOUNT_ID, MOTO_PORT).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final
from urllib.parse import urlsplit

from engine.machine.temporary import TemporaryFolder

READY_S: Final = 60.0
"""What it may take to import moto, which a busy machine makes long."""
_END_S: Final = 2.0
_LAST_LINES: Final = 5
_OF_THE_CALLER: Final = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


class PartnerFailed(Exception):
    """The partner's process could not be started, or has ended. The sentence says how."""


class MotoProcess:
    """One process: `start`, then connections to `socket`, then `close`.

    Attributes:
        socket: Where it listens once it has started.
    """

    def __init__(self, account_id: str, endpoint_url: str | None, on_end: Callable[[str], object]) -> None:
        """Start the process.

        Args:
            account_id: The account that it answers for.
            endpoint_url: Where services inside it, such as Step Functions, find the engine.
            on_end: Is told once, in a sentence, that it has ended without having been asked.

        Raises:
            PartnerFailed: There is no room for a folder or a process.
        """
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._end = asyncio.Event()
        try:
            with ExitStack() as undo:
                self._folder = TemporaryFolder("partner")
                undo.callback(self._folder.close)
                self._said = undo.enter_context(tempfile.TemporaryFile())
                self.socket = str(self._folder.path / "socket")
                self._process = subprocess.Popen(  # noqa: S603  our own program
                    [sys.executable, "-P", "-m", "engine.services.partner.moto_server", self.socket],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._said,
                    cwd=self._folder.path,
                    env=_variables(account_id, endpoint_url),
                    start_new_session=True,
                )
                undo.pop_all()  # they are closed in `close`
        except OSError as error:
            raise PartnerFailed(f"moto could not be started: {error.strerror or error}") from error
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._out, False)
        self._loop.add_reader(self._out, self._read)

    async def wait_ready(self) -> None:
        """Return once it serves.

        Raises:
            PartnerFailed: It ended before, or was not ready within `READY_S`.
        """
        try:
            async with asyncio.timeout(READY_S):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self.close()
            raise PartnerFailed(f"moto did not start within {READY_S:g} s") from None

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._end.is_set()

    async def wait_end(self) -> None:
        """Return once it has ended, or in `_END_S`: a connection is lost a moment before that is known."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._end.wait()

    def close(self) -> None:
        """End it, and remove its folder. Blocks for a moment."""
        if self._end.is_set():
            return
        self._end.set()
        self._loop.remove_reader(self._out)
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()
        self._folder.close()
        self._fail("moto was ended before it was ready")

    def _read(self) -> None:
        try:
            piece = os.read(self._out, 4096)
        except BlockingIOError:
            return
        if not piece:
            self._ended()
        elif not self._ready.done():
            self._ready.set_result(None)

    def _ended(self) -> None:
        """Its output has ended, and so has it, or will within a moment."""
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        was_ready = self._ready.done()
        self._fail(f"moto ended before it was ready: {' | '.join(said)}")
        self.close()
        if was_ready:
            self._on_end(f"moto has ended (status {self._process.returncode})")

    def _fail(self, how: str) -> None:
        """Tell all that wait for it, if it is not ready: each has a request to answer."""
        if not self._ready.done():
            self._ready.set_exception(PartnerFailed(how))
            self._ready.exception()  # so that nobody has to wait for it


def _variables(account_id: str, endpoint_url: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OF_THE_CALLER}
    port = urlsplit(endpoint_url).port if endpoint_url else None
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_ACCOUNT_ID": account_id,
        "MOTO_PORT": str(port or 0),
    }
