"""Pages that are put together in steps, so that no page holds the event loop for long."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Generator
from typing import Final

from engine.protocols.http.message import Request
from engine.telemetry.page_formats import takes_gzip

_log = logging.getLogger("engine.telemetry")

Pieces = Generator[None, None, bytes]
"""Makes a page, a step at a time: between two of them others may have the loop."""

_FAILED: Final = b"internal error\n"
_GZIP_HEAD: Final = b"content-encoding: gzip\r\nvary: accept-encoding\r\n"
_GZIP_LEVEL: Final = 1
"""It makes a page a seventeenth of its size; level 6 takes three times as long for a sixth less."""
_GZIP_STEP: Final = 256 * 1024
"""Bytes that are compressed in one step: about 2 ms."""


def at_once(pieces: Pieces) -> bytes:
    """The page, made in one go."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            page: bytes = end.value
            return page


def gzipped(page: bytes) -> Pieces:
    """`page` in gzip's format, in steps of some milliseconds."""
    packer = zlib.compressobj(_GZIP_LEVEL, wbits=16 + zlib.MAX_WBITS)
    packed = []
    with memoryview(page) as whole:
        for start in range(0, len(page), _GZIP_STEP):
            packed.append(packer.compress(whole[start : start + _GZIP_STEP]))
            yield
    return b"".join([*packed, packer.flush()])


class StepwisePage:
    """Answers requests for one page: a step of it in each turn of the loop.

    Those who ask while a page is under way share the next one: what a page says is never older than the
    question. Those who have gone meanwhile cost nothing but the page.
    """

    def __init__(self, begin: Callable[[], Pieces], head: bytes, *, zips: bool = False) -> None:
        """`zips`: compress for those who take it."""
        self._begin = begin
        self._head = head
        self._zips = zips
        self._steps: Generator[None, None, None] | None = None
        self._readers: list[Request] = []
        self._waiting: list[Request] = []

    def answer(self, request: Request) -> None:
        """Answer it, now if the page takes one step, or later."""
        self._waiting.append(request)
        if self._steps is None:
            self._go_on()

    def _go_on(self) -> None:
        if self._steps is None:
            self._readers, self._waiting = self._waiting, []
            self._steps = self._answers()
        try:
            next(self._steps)
        except StopIteration:
            pass
        except Exception:  # a bug of ours: loud, and the next page may come out well  # noqa: BLE001
            _log.exception("a page could not be made")
            self._respond(self._readers, 500, b"content-type: text/plain\r\n", _FAILED)
        else:
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        self._steps = None
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _answers(self) -> Generator[None, None, None]:
        """Make the page, and answer the readers; `_readers` are those without an answer."""
        page = yield from self._begin()
        zipped = [one for one in self._readers if self._zips and takes_gzip(one.header(b"accept-encoding"))]
        plain = [one for one in self._readers if one not in zipped]
        self._readers = zipped
        self._respond(plain, 200, self._head, page)
        if zipped:
            body = yield from gzipped(page)
            self._readers = []
            self._respond(zipped, 200, self._head + _GZIP_HEAD, body)

    def _respond(self, readers: list[Request], status: int, head: bytes, page: bytes) -> None:
        for request in readers:
            request.respond(status, head, page)
