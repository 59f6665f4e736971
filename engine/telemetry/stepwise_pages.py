"""Pages that are put together in steps, so that no page holds the event loop for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Final

from engine.protocols.http.message import Request

_log = logging.getLogger("engine.telemetry")

Pieces = Generator[None, None, bytes]
"""Makes a page, a step at a time: between two of them others may have the loop."""

_FAILED: Final = b"internal error\n"


def at_once(pieces: Pieces) -> bytes:
    """The page, made in one go."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            page: bytes = end.value
            return page


class StepwisePage:
    """Answers requests for one page: a step of it in each turn of the loop.

    Those who ask while a page is under way share the next one: what a page says is never older than the
    question. Those who have gone meanwhile cost nothing but the page.
    """

    def __init__(self, begin: Callable[[], Pieces], head: bytes) -> None:
        self._begin = begin
        self._head = head
        self._pieces: Pieces | None = None
        self._readers: list[Request] = []
        self._waiting: list[Request] = []

    def answer(self, request: Request) -> None:
        """Answer it, now if the page takes one step, or later."""
        self._waiting.append(request)
        if self._pieces is None:
            self._go_on()

    def _go_on(self) -> None:
        if self._pieces is None:
            self._readers, self._waiting = self._waiting, []
            self._pieces = self._begin()
        status, head, page = 200, self._head, b""
        try:
            next(self._pieces)
        except StopIteration as end:
            page = end.value
        except Exception:  # a bug of ours: loud, and the next page may come out well  # noqa: BLE001
            _log.exception("a page could not be made")
            status, head, page = 500, b"content-type: text/plain\r\n", _FAILED
        else:
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        readers, self._readers, self._pieces = self._readers, [], None
        for request in readers:
            request.respond(status, head, page)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._go_on)
