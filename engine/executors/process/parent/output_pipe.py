"""The engine's end of the pipe that a process writes its output to."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 65_536
_LAST_WORDS: Final = 64
"""Reads of the pipe of an exited process, at most: a descendant that keeps printing cannot hold the loop."""


class OutputPipe:
    """Passes output on as text. It owns `descriptor`, the reading end of the pipe."""

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
        """Read what the pipe holds now."""
        for _ in range(_LAST_WORDS):
            if not self._read():
                return

    def close(self) -> None:
        """Close the pipe."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> bool:
        """Read once; the loop calls again if there is more. False if there was nothing."""
        if self._descriptor < 0:
            return False
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:  # all writers have closed it
            self.close()
            return False
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = self._decoder.decode(data)
        if text:
            self._take(text)
        return True
