"""The engine's end of the pipe that a process writes its output to."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 65_536
_LAST_WORDS: Final = 64
"""Reads of a pipe that a killed process may have left full: no process can hold the loop by printing."""


class OutputPipe:
    """Hands on what comes, as text. `descriptor` is its own from now on."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, take: Callable[[str], object]
    ) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._take = take
        self._decoder: codecs.IncrementalDecoder | None = None  # most environments never write
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._read)

    def read_rest(self) -> None:
        """What is there now."""
        for _ in range(_LAST_WORDS):
            if not self._read():
                return

    def close(self) -> None:
        """Read nothing more."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> bool:
        """Part of what was written; the loop comes back for more."""
        if self._descriptor < 0:
            return False
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:  # nobody can write any more
            self.close()
            return False
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = self._decoder.decode(data)
        if text:
            self._take(text)
        return True
