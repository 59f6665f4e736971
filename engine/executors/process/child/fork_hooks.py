"""Spares each environment the functions that `os.fork` calls for processes with several threads.

`threading` and `logging` have registered some, which make new locks and lists of threads. Forked from a
process with one thread a child has nothing to renew; but to run them, it copies sixty pages of memory.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from typing import Any, Final

_NEEDLESS: Final = ("threading", "logging")
"""Modules whose functions change nothing where there is one thread and no lock is held."""

_Hook = Callable[[], Any]


class ForkHooks:
    """The interpreter's own lists of what `os.fork` calls: before, in the child, and in the parent."""

    def __init__(self) -> None:
        """To be made before `gc.freeze`, which hides the lists."""
        self._lists = _find_lists()
        self._taken: list[tuple[int, _Hook]] = []

    def take_out(self) -> None:
        """Have the next forks of this process do without, if it has but one thread."""
        if threading.active_count() > 1:
            return
        for at, hooks in enumerate(self._lists):
            self._taken += [(at, hook) for hook in hooks if hook.__module__ in _NEEDLESS]
            hooks[:] = [hook for hook in hooks if hook.__module__ not in _NEEDLESS]

    def put_back(self) -> None:
        """In the child: have them called if the handler forks. They come after those that stayed."""
        for at, hook in self._taken:
            self._lists[at].append(hook)


def _find_lists() -> list[list[_Hook]]:
    """Found by functions that are put in them; none if an interpreter keeps them in another way."""

    def before() -> None:
        """Do nothing."""

    def in_child() -> None:
        """Do nothing."""

    def in_parent() -> None:
        """Do nothing."""

    ours = before, in_child, in_parent
    os.register_at_fork(before=before, after_in_child=in_child, after_in_parent=in_parent)
    lists = []
    for hook in ours:
        found = [one for one in gc.get_referrers(hook) if type(one) is list and one[-1:] == [hook]]
        if len(found) != 1:
            return []
        lists += found
    for hooks in lists:
        hooks.pop()
    return lists
