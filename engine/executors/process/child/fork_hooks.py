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
"""Modules whose functions change nothing else where there is one thread and no lock is held."""

_Hook = Callable[[], Any]


class ForkHooks:
    """The interpreter's own lists of what `os.fork` calls: before, in the child, and in the parent."""

    def __init__(self) -> None:
        """To be made before `gc.freeze`, which hides the lists."""
        self._lists = _find_lists()
        self._taken: list[list[_Hook]] = []
        self._are_out = False
        self._restorer = self._restore  # made once, not in each child

    def take_out(self) -> None:
        """Have the next forks of this process do without, if it has but one thread."""
        if threading.active_count() > 1:
            return
        # What their function in the child would do: else a thread of it that exits waits for the main one.
        vars(threading).get("_shutdown_locks", set()).clear()
        for hooks in self._lists:
            self._taken.append([hook for hook in hooks if hook.__module__ in _NEEDLESS])
            hooks[:] = [hook for hook in hooks if hook.__module__ not in _NEEDLESS]
        self._are_out = bool(self._lists)

    def put_back(self) -> None:
        """In a process that runs code of the user's, which may fork: have them called then."""
        if self._are_out:
            self._are_out = False
            self._lists[0].append(self._restorer)

    def _restore(self) -> None:
        """Put them back, and call those that are due: called before the first fork of that process."""
        self._lists[0].remove(self._restorer)
        for hooks, taken in zip(self._lists, self._taken):
            hooks += taken
        for hook in reversed(self._taken[0]):
            hook()


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
    found = [one for one in gc.get_referrers(*ours) if type(one) is list and len(one) and one[-1] in ours]
    lists = [one for hook in ours for one in found if one[-1] is hook]
    if len(lists) != len(ours):
        return []
    for hooks in lists:
        hooks.pop()
    return lists
