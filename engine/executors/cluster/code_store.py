"""The archives that an engine sends to its nodes, each code folder packed once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from engine.executors.cluster import protocol as wire
from engine.executors.cluster.code_archive import ShippedCode, pack, pieces
from engine.executors.cluster.connection import AgentConnection
from engine.machine.temporary import TemporaryFolder
from engine.ports import Workshop


class CodeStore:
    """A temporary folder with archives, made when the first is packed."""

    def __init__(self, workshop: Workshop) -> None:
        self._loop = workshop.loop
        self._offload = workshop.offload
        self._temporary: TemporaryFolder | None = None
        self._packing: dict[str, asyncio.Task[ShippedCode]] = {}  # by folder; also those that are done
        self._begun: set[str] = set()
        self._users: dict[bytes, int] = {}
        self._archives: dict[bytes, ShippedCode] = {}

    def archive_of(self, code: str, *, anew: bool = False) -> asyncio.Task[ShippedCode]:
        """The archive of that folder, packed once for all functions; `anew`: as it is now.

        The task raises CodeError. What it gives is kept until as many calls of `release` as of `keep`.
        """
        packing = self._packing.get(code)
        if packing is None or (anew and code in self._begun) or _has_failed(packing):
            self._begun.discard(code)
            packing = self._packing[code] = self._loop.create_task(self._pack(code))
        return packing

    async def _pack(self, code: str) -> ShippedCode:
        self._begun.add(code)
        if self._temporary is None:
            self._temporary = TemporaryFolder("cluster")
        packed = await self._offload(partial(pack, code, self._temporary.path))
        self._archives[packed.digest] = packed
        return packed

    def keep(self, digest: bytes) -> None:
        """Have that archive stay."""
        self._users[digest] = self._users.get(digest, 0) + 1

    def release(self, digest: bytes) -> None:
        """Remove it, unless others need it."""
        left = self._users.get(digest, 0) - 1
        if left > 0:
            self._users[digest] = left
            return
        self._users.pop(digest, None)
        packed = self._archives.pop(digest, None)
        if packed is not None:
            packed.path.unlink(missing_ok=True)
            for code, packing in list(self._packing.items()):
                if packing.done() and not _has_failed(packing) and packing.result().digest == digest:
                    del self._packing[code]

    def send(self, connection: AgentConnection, digest: bytes) -> None:
        """Send the archive, by and by; or say that it is not there any more."""
        packed = self._archives.get(digest)
        if packed is None:
            connection.send(wire.CODE_END, 0, digest, b"this code has been replaced")
        else:
            connection.send_all(_frames(packed))

    async def close(self) -> None:
        """Remove everything."""
        if self._packing:
            await asyncio.wait(self._packing.values())
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            await self._offload(temporary.close)


def _has_failed(packing: asyncio.Task[ShippedCode]) -> bool:
    return packing.done() and (packing.cancelled() or packing.exception() is not None)


def _frames(packed: ShippedCode) -> Iterator[tuple[int, int, bytes]]:
    digest = packed.digest
    try:
        for piece in pieces(packed, wire.PIECE_BYTES - len(digest)):
            yield wire.CODE, 0, digest + piece
    except OSError as error:
        yield wire.CODE_END, 0, digest + str(error).encode()
    else:
        yield wire.CODE_END, 0, digest
