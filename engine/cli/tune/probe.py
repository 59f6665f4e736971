"""A handler that calls another one where that would run, and tells afterwards how much CPU time it took.

The other one is named by the variables `PROBED_CODE` and `PROBED_HANDLER`. It is loaded as the executors
load it, and what it gives goes on to the executor, which does with it what it does with any handler's: JSON
as bytes, so that the CPU time of writing it is counted, a coroutine and a generator as such.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from functools import cache
from pathlib import Path
from types import CoroutineType
from typing import Any, Final

from engine.executors.handler_loader import Loader
from engine.executors.marshal import encode

FIGURES: Final = "engine tune: figures"
"""The event that asks for those of the last call; only this text is that event."""


class ProbedHandler:
    """One handler, loaded, and its CPU seconds: of its import, and of the last call."""

    def __init__(self, code: Path, handler: str) -> None:
        self._call_s = self.import_s = 0.0
        with self._counted():
            self._call: Any = Loader(code).load(handler, fresh=False).callable
        self.import_s, self._call_s = self._call_s, 0.0

    def figures(self) -> dict[str, float]:
        """Of the last call, and of the import."""
        return {"cpu_s": self._call_s, "init_cpu_s": self.import_s}

    def call(self, event: Any, context: Any) -> Any:
        """What the handler gives, in a form that the executor takes as it would take that."""
        self._call_s = 0.0
        with self._counted():
            value = self._call(event, context)
            if type(value) is not CoroutineType:
                return self._given(value)
        return self._awaited(value)

    async def _awaited(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        with self._counted():
            return self._given(await coroutine)

    def _given(self, value: Any) -> Any:
        if isinstance(value, Generator):
            return self._pieces(value)
        if isinstance(value, AsyncGenerator):
            return self._awaited_pieces(value)
        return encode(value)[0]

    def _pieces(self, generator: Generator[Any, Any, Any]) -> Iterator[Any]:
        with self._counted(), closing(generator):
            yield from generator

    async def _awaited_pieces(self, generator: AsyncGenerator[Any, Any]) -> AsyncIterator[Any]:
        with self._counted():
            async with aclosing(generator):
                async for piece in generator:
                    yield piece

    @contextmanager
    def _counted(self) -> Iterator[None]:
        began_s = time.process_time()
        try:
            yield
        finally:
            self._call_s += time.process_time() - began_s


@cache
def _probe() -> ProbedHandler:
    return ProbedHandler(Path(os.environ["PROBED_CODE"]), os.environ["PROBED_HANDLER"])


if "PROBED_HANDLER" in os.environ:  # in an environment, whose initialisation this is
    _probe()


def handler(event: Any, context: Any) -> Any:
    """What the probed handler gives; for the event `FIGURES` those of its last call."""
    return _probe().figures() if event == FIGURES else _probe().call(event, context)
