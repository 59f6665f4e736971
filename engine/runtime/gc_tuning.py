"""Tells Python's garbage collector how a server lives: what it holds stays, the rest is freed at once."""

from __future__ import annotations

import gc
from typing import Final, Self

THRESHOLDS: Final = (20_000, 10, 10)
"""Net allocations between looks at the young objects (Python's default is 700), and the factors above."""


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
