"""Tells Python's garbage collector how a server lives: what it holds stays, the rest is freed at once."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

THRESHOLDS: Final = (20_000, 10, 10) if sys.version_info >= (3, 14) else (20_000, 1, 50)
"""Net allocations between looks at the young objects (Python's default is 700), and the factors above.

A look at the middle generation takes 20 ms with the objects of two looks at the young ones, and 100 ms with
those of ten. From Python 3.14 on there is none; the second number is how slowly old objects are gone through.
"""


@contextmanager
def paused_collector() -> Iterator[None]:
    """No look at all meanwhile: for what makes much and drops little, as reading ten thousand functions.

    Nor at what was made, at its end and later, until a `GcTuning` ends: the first look would go through it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


class GcTuning:
    """Between `with` and its end, looks seldom, and never at what was there before.

    With thousands of invocations in flight the default looks at all of them again and again: a quarter
    of the time of 20,000 cold starts went there. Handlers that make cycles are still collected.
    """

    def __enter__(self) -> Self:
        self._before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        return self

    def __exit__(self, *_: object) -> None:
        gc.set_threshold(*self._before)
        gc.unfreeze()
