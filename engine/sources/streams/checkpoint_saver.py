"""Keeps the checkpoints of one stream mapping on disk, while it reads and beyond."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import anyio

from engine.core.late_dataclass import dataclass
from engine.ports import Clock, Offload
from engine.sources.streams.checkpoint_files import (
    CheckpointFiles,
    CheckpointsUnusable,
    StreamCheckpoints,
)

SAVED_EVERY_S: Final = 1.0
"""Checkpoints that changed are written this often; seldomer if that takes more than a tenth of the time."""
_SHARE: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFolder:
    """Where checkpoints are kept.

    Attributes:
        files: The folder.
        offload: Runs what blocks.
        clock: The engine's.
        say: Takes a line for the operator.
    """

    files: CheckpointFiles
    offload: Offload
    clock: Clock
    say: Callable[[str], None]

    async def sweep(self, mappings: list[str]) -> None:
        """Remove the files of mappings that are no more: of all but these."""
        await self.offload(partial(self.files.sweep, mappings))


class CheckpointSaver:
    """The file of one mapping. One method at a time."""

    def __init__(self, folder: CheckpointFolder, mapping: str, title: str) -> None:
        """`mapping` names the file, `title` the mapping in lines for the operator."""
        self._folder, self._mapping, self._title = folder, mapping, title
        self._saved: StreamCheckpoints | None = None
        self._is_troubled = False

    async def load(self) -> StreamCheckpoints | None:
        """What an earlier engine saved; None if it saved nothing, or that cannot be used: a line says so."""
        try:
            self._saved = await self._folder.offload(partial(self._folder.files.load, self._mapping))
        except CheckpointsUnusable as error:
            self._folder.say(f"{self._title}: {error}; it begins at its starting position")
        return self._saved

    async def keep(
        self, now: Callable[[], StreamCheckpoints | None], begun: asyncio.Event, ended: anyio.Event
    ) -> None:
        """Save what `now` returns, then set `begun`; again whenever it changes, and when it has `ended`.

        None: there is nothing to be saved yet.
        """
        while True:
            is_last = ended.is_set()
            began_s = self._folder.clock.now()
            await self._save(now())
            begun.set()
            if is_last:
                return
            wait_s = max(SAVED_EVERY_S, _SHARE * (self._folder.clock.now() - began_s))
            with anyio.move_on_after(wait_s):
                await ended.wait()

    async def remove(self) -> None:
        """The mapping was deleted."""
        await self._offload(partial(self._folder.files.remove, self._mapping))
        self._saved = None

    async def _save(self, kept: StreamCheckpoints | None) -> None:
        if kept is None or kept == self._saved:
            return
        try:
            await self._offload(partial(self._folder.files.save, self._mapping, kept))
        except CheckpointsUnusable as error:
            if not self._is_troubled:
                self._folder.say(f"{self._title}: {error}; it is tried again")
            self._is_troubled = True
        else:
            self._saved, self._is_troubled = kept, False

    def _offload(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._folder.offload(work)
