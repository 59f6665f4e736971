"""What a function's own zygote imports beforehand, and when it must not.

Handlers must not be forked from a process with threads, or with sockets that its forks would share.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection, Iterable
from typing import Final

from engine.executors.process.protocol import PreloadRefusal

_SHARED: Final = ("socket:", "pipe:", "anon_inode:")


def imported_from_outside(code: str, before: Collection[str]) -> list[str]:
    """Names of the modules that are not in `before` and do not lie below `code`, in the order of import."""
    names = []
    for name, module in list(sys.modules.items()):
        members = getattr(module, "__dict__", {})
        file, spec = members.get("__file__"), members.get("__spec__")
        if name in before or not isinstance(file, str) or getattr(spec, "name", None) != name:
            continue  # what was made in place, as some packages make modules, cannot be imported by its name
        if not file.startswith(code + os.sep):
            names.append(name)
    return names


def import_all(names: Iterable[str], unwanted: Collection[str]) -> PreloadRefusal | None:
    """Import the modules; returns the first that must not stay imported, and then this process must exit.

    One that cannot be imported is left to the handler, whose own import says so.

    Args:
        names: In the order in which they were imported elsewhere.
        unwanted: Modules that must not be imported here, nor by others, with all below them.
    """
    below = tuple(f"{name}." for name in unwanted)
    threads, shared = _threads(), _shared()
    for name in names:
        if name in sys.modules or name in unwanted or name.startswith(below):
            continue
        before = set(sys.modules)
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001, S112  # whatever it raises
            continue
        came = [one for one in sys.modules if one not in before]
        if any(one in unwanted or one.startswith(below) for one in came):
            return PreloadRefusal(name, "imports what no_preload names", came)
        if _threads() > threads:
            return PreloadRefusal(name, "starts threads", came)
        if _shared() - shared:
            return PreloadRefusal(name, "opens sockets or pipes", came)
    return None


def reseed() -> None:
    """Reseed NumPy after a fork; Python's `random` does that by itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        vars(numpy_random)["seed"]()


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _shared() -> set[str]:
    """Open sockets, pipes and event queues, which a fork would share."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue  # the one that listed them
        if target.startswith(_SHARED):
            found.add(target)
    return found
