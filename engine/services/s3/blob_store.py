"""The bytes of objects: immutable blobs in memory or in files, and contents made of pieces of them.

A content of several pieces is what a multipart upload ends as, so that completing one copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from engine.ports import Offload

_READ_BYTES: Final = 1 << 20


class FileBlob:
    """Bytes in a file of its own, which is never changed."""

    __slots__ = ("name", "path", "size")

    def __init__(self, path: Path, name: str, size: int) -> None:
        self.path, self.name, self.size = path, name, size

    def __repr__(self) -> str:
        return f"<FileBlob {self.name} of {self.size} bytes>"


Blob = bytes | FileBlob


class Piece(NamedTuple):
    """Bytes `start` to `stop` of a blob."""

    blob: Blob
    start: int
    stop: int


class Content:
    """The bytes of one object or part."""

    __slots__ = ("pieces", "size")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.size = sum(stop - start for _, start, stop in pieces)

    @classmethod
    def of(cls, blob: Blob) -> Content:
        """The content of one whole blob."""
        size = len(blob) if isinstance(blob, bytes) else blob.size
        return cls((Piece(blob, 0, size),))

    @classmethod
    def joined(cls, contents: Sequence[Content]) -> Content:
        """The contents one after the other."""
        return cls(tuple(piece for content in contents for piece in content.pieces))

    def files(self) -> Iterator[FileBlob]:
        """The files that hold the content."""
        return (piece.blob for piece in self.pieces if isinstance(piece.blob, FileBlob))

    def part(self, start: int, stop: int) -> Content:
        """Bytes `start` to `stop` (exclusive) of the content."""
        pieces, at = [], 0
        for blob, first, last in self.pieces:
            length = last - first
            begin, end = max(start - at, 0), min(stop - at, length)
            if begin < end:
                pieces.append(Piece(blob, first + begin, first + end))
            at += length
        return Content(tuple(pieces))

    def read(self) -> bytes:
        """All bytes. Blocks if they are in files."""
        if len(self.pieces) == 1:
            blob, start, stop = self.pieces[0]
            if isinstance(blob, bytes):
                return blob if stop - start == len(blob) else blob[start:stop]
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes in chunks, without a copy of a large one. Blocks if they are in files."""
        for blob, start, stop in self.pieces:
            if isinstance(blob, bytes):
                yield memoryview(blob)[start:stop]
            else:
                yield from _file_chunks(blob, start, stop)

    def document(self) -> list[Any]:
        """The pieces in files as JSON values: name, size, start and stop of each."""
        return [[file.name, file.size, piece.start, piece.stop] for piece, file in self._in_files()]

    def _in_files(self) -> Iterator[tuple[Piece, FileBlob]]:
        return ((piece, piece.blob) for piece in self.pieces if isinstance(piece.blob, FileBlob))

    def __repr__(self) -> str:
        return f"<Content of {self.size} bytes in {len(self.pieces)}>"


EMPTY: Final = Content(())


def _file_chunks(blob: FileBlob, start: int, stop: int) -> Iterator[bytes]:
    with blob.path.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0:
            data = file.read(min(left, _READ_BYTES))
            if not data:
                raise OSError(f"{blob.path} is shorter than it was")
            left -= len(data)
            yield data


class Persistable(Protocol):
    """An object that can be stored as a record."""

    def document(self) -> dict[str, Any]:
        """The object as JSON values."""


class BlobStore:
    """Keeps blobs, and records of everything else that must survive the process: in memory none does.

    Attributes:
        blocks: Whether `keep` and reading use files, and so must run on a worker thread.
    """

    blocks = False

    def keep(self, data: bytes, /) -> Blob:
        """Keep `data` as a blob. Thread-safe; raises OSError if the disk is full."""
        return data

    def retain(self, content: Content, /) -> None:
        """Count one more use of the content."""

    def release(self, content: Content, /) -> None:
        """Count one use less; blobs without a use are removed."""

    def put(self, table: str, key: tuple[str | int, ...], persistable: Persistable, /) -> None:
        """Store a record at `key`."""

    def drop(self, table: str, key: tuple[str | int, ...], /) -> None:
        """Remove the record at `key`."""

    async def flushed(self) -> None:
        """Return when all earlier changes are on the disk. Raises OSError if they cannot be written."""

    def close(self) -> None:
        """Write all changes, and close files. Blocks."""


@contextmanager
def retained(blob_store: BlobStore, content: Content | None) -> Iterator[None]:
    """Count one more use of `content` within the block: its blobs stay, whatever else removes them."""
    if content is not None:
        blob_store.retain(content)
    try:
        yield
    finally:
        if content is not None:
            blob_store.release(content)


async def read_content(blob_store: BlobStore, offload: Offload, content: Content) -> bytes:
    """All bytes of `content`, read on a worker thread. Raises OSError if a file cannot be read."""
    with retained(blob_store, content):
        return await offload(content.read)
