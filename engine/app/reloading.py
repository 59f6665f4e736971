"""`engine serve --reload`: notices that code changed, whatever became of the folders it lies in.

What was watched says only that it is time to look; what is there, by name, time and size, says whether
anything changed. So a folder may be deleted and made again, swapped by a rename, or be a link that is
pointed elsewhere: it is another folder then, and is watched anew. Where the machine can watch no more
(inotify has limits), it is looked at every second.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from fnmatch import fnmatch
from typing import Final

import anyio
import watchfiles
from watchfiles.main import FileChange

from engine.errors import ConfigError
from engine.ports import Offload

PATTERNS: Final = ("*.py", "*.pyx", "*.pyd", "*.so")
"""What is code."""

_LOOK_EVERY_S: Final = 1.0
_SETTLE_S: Final = 0.1
_MAX_SETTLES: Final = 50
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_IGNORED: Final = frozenset(watchfiles.DefaultFilter.ignore_dirs)

Stamp = tuple[int, int, int]
Snapshot = Mapping[str, Stamp]


Watched = Callable[[Iterable[str], anyio.Event], AsyncGenerator[set[FileChange], None]]


def watched(places: Iterable[str], closing: anyio.Event) -> AsyncGenerator[set[FileChange], None]:
    """What changes in `places`, or nothing every half second. Raises if they cannot be watched."""
    return watchfiles.awatch(
        *places,
        watch_filter=watchfiles.DefaultFilter(),
        stop_event=closing,
        debounce=200,
        rust_timeout=500,
        yield_on_timeout=True,
    )


class Reloader:
    """Calls `renew` when files in `roots` that match `PATTERNS` or `patterns` changed.

    Args:
        roots: Folders, archives or single files.
        patterns: Of what is no code, as globs: `*.json`, `templates/*`.
        renew: Gives what is there to new environments. Raises ConfigError if that cannot be run.
        say: Takes a line for whoever runs the engine.
        offload: Runs what blocks.
        watched: Watches what it is given, until the event is set.
    """

    def __init__(
        self,
        roots: Collection[str],
        patterns: Sequence[str],
        *,
        renew: Callable[[], Awaitable[object]],
        say: Callable[[str], object],
        offload: Offload,
        watched: Watched = watched,
    ) -> None:
        self._roots = sorted(roots)
        self._patterns = (*PATTERNS, *patterns)
        self._renew = renew
        self._say = say
        self._offload = offload
        self._watched = watched
        self._missing: set[str] = set()
        self._links: tuple[str, ...] = ()  # below the roots: what they lead to has to be watched by itself
        self._seen: Snapshot = {}
        self._overlooked = False  # the last look failed: there is another one without any sign of a change
        self._blind = False  # the machine can watch no more

    async def run(self, closing: anyio.Event) -> None:
        """Look, and renew, until `closing`."""
        known = await self._look()
        async with aclosing(self._moments(closing)) as moments:
            async for _ in moments:
                now = await self._settled(known)
                self._say_what_is_missing()
                if now == known or self._missing:  # what is half there would only fail: it is awaited
                    continue
                known = now
                try:
                    await self._renew()
                except (ConfigError, OSError) as error:
                    self._say(f"not reloaded: {error}")

    # ---------------------------------------------------------------- when to look

    async def _moments(self, closing: anyio.Event) -> AsyncGenerator[None, None]:
        """Each time something may have changed, also before it could be watched."""
        while not closing.is_set():
            places = self._places()
            try:
                if self._blind or not places:
                    with anyio.move_on_after(_LOOK_EVERY_S):
                        await closing.wait()
                    yield
                    continue
                async with aclosing(self._watched(places, closing)) as changing:
                    is_first = True
                    async for changes in changing:
                        if changes or is_first or self._overlooked:
                            yield
                        is_first = False
                        if self._places() != places:
                            break  # other folders by the same names
            except FileNotFoundError:
                continue  # gone just now
            except (OSError, RuntimeError) as error:
                self._blind = True
                reason = str(error).partition(" about ")[0]
                self._say(f"--reload cannot watch ({reason}): it looks every {_LOOK_EVERY_S:g} s instead")

    def _places(self) -> dict[str, Stamp]:
        """What is to be watched, and which it is: a folder of the same name may be another one."""
        found = {}
        for place in (*self._roots, *self._links):
            try:
                there = os.stat(place)
            except OSError:
                continue
            changed_ns = 0 if stat.S_ISDIR(there.st_mode) else there.st_mtime_ns
            found[place] = there.st_dev, there.st_ino, changed_ns
        return found

    def _say_what_is_missing(self) -> None:
        missing = {root for root in self._roots if not os.path.exists(root)}
        for root in sorted(missing - self._missing):
            self._say(f"--reload: {root} is gone; environments keep what they have until it is there again")
        self._missing = missing

    # ---------------------------------------------------------------- what is there

    async def _look(self) -> Snapshot:
        links: list[str] = []
        try:
            self._seen = await self._offload(lambda: dict(self._files(links)))
        except OSError:  # the machine is short of something: what cannot be seen has not gone
            self._overlooked = True
        else:
            self._links = tuple(links)
            self._overlooked = False
        return self._seen

    async def _settled(self, known: Snapshot) -> Snapshot:
        """What is there, once it does not change any more: a build writes many files, one after the other."""
        now = await self._look()
        for _ in range(_MAX_SETTLES):
            if now == known:
                break
            before = now
            await anyio.sleep(_SETTLE_S)
            now = await self._look()
            if now == before:
                break
        return now

    def _files(self, links: list[str]) -> Iterator[tuple[str, Stamp]]:
        for root in self._roots:
            if os.path.isdir(root):
                yield from self._files_in(root, links)
            else:
                yield from _stamped(root)

    def _files_in(self, root: str, links: list[str]) -> Iterator[tuple[str, Stamp]]:
        """Links are followed, each folder once, and added to `links`."""
        seen: set[tuple[int, int]] = set()
        for folder, folders, names in os.walk(root, onerror=_raise_shortage, followlinks=True):
            try:
                there = os.stat(folder)
            except OSError:
                folders.clear()
                continue
            if (there.st_dev, there.st_ino) in seen:
                folders.clear()
                continue
            seen.add((there.st_dev, there.st_ino))
            folders[:] = [name for name in folders if name not in _IGNORED]
            links += [path for name in folders if os.path.islink(path := os.path.join(folder, name))]
            below = os.path.relpath(folder, root)
            for name in names:
                relative = name if below == "." else os.path.join(below, name)
                if any(fnmatch(name, glob) or fnmatch(relative, glob) for glob in self._patterns):
                    path = os.path.join(folder, name)
                    links += [path] * os.path.islink(path)
                    yield from _stamped(path)


def _raise_shortage(error: OSError) -> None:
    if error.errno in _SHORTAGES:
        raise error


def _stamped(path: str) -> Iterator[tuple[str, Stamp]]:
    try:
        there = os.stat(path)
    except OSError:
        return
    yield path, (there.st_ino, there.st_mtime_ns, there.st_size)
