"""A blob store that survives the process: one file for each blob, and SQLite for everything else.

    <folder>/index.*            buckets, versions, uploads, parts: one JSON document each
    <folder>/blobs/ab/<id>      bytes, written under another name and renamed when whole

No name that a client chose ever becomes the name of a file, and no file is removed but blobs, known by their
names and places. A blob is written before the document that names it is committed, and removed after the one
that named it is gone: a crash can leave a blob that no record names, which the next start removes.
Commits are safe from the end of the process; power that fails may take the last of them, but leaves all
before whole (SQLite's write-ahead log, `synchronous=NORMAL`).
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import orjson

from engine.packages.private_files import create, make_folder
from engine.packages.state_folder import INDEX, blobs, half_written, is_blob_name
from engine.ports import Offload
from engine.services.s3.blob_index import TABLES, BlobIndex
from engine.services.s3.blob_store import Blob, BlobStore, Content, FileBlob, Persistable, Piece
from engine.services.s3.checksums import Checksum
from engine.services.s3.cors import CorsRule
from engine.services.s3.model import (
    Bucket,
    CompletedPart,
    ObjectMetadata,
    ObjectVersion,
    Part,
    Upload,
    Versioning,
)
from engine.services.s3.notification_rules import NotificationConfiguration

_UNKNOWN_NUMBER: Final = 2**62
"""Of uploads that an earlier engine has begun: they conflict with nothing."""


_Change = tuple[str, tuple[str | int | bytes, ...]]
"""A statement that writes or deletes one row, and its values."""


class FileBlobStore(BlobStore):
    """Everything in one folder, which one engine at a time may use."""

    blocks = True

    def __init__(self, folder: Path, offload: Offload) -> None:
        """Open the store, or create it.

        Raises:
            OSError: The folder cannot be used, another engine uses it, or its index is not that of its blobs.
        """
        self._blobs = folder / "blobs"
        self._offload = offload
        self._used = Counter[str]()
        self._changes: list[_Change] = []
        self._unused: list[FileBlob] = []
        self._asked = self._done = 0  # changes, counted
        self._committing = anyio.Lock()
        make_folder(folder)
        self._index = BlobIndex(folder, has_blobs=any(self._blobs.glob("*/*")))
        self._base = self._index.base
        for number in range(256):
            make_folder(self._blobs / f"{number:02x}")

    # --- bytes

    def keep(self, data: bytes, /) -> Blob:
        """Write a file. Empty data needs none."""
        if not data:
            return b""
        name = uuid.uuid4().hex  # on a worker thread, where the engine's ids may not be made
        path = self._path(name)
        whole = half_written(path)
        try:
            with open(create(whole), "wb", buffering=0) as file:
                file.write(data)
            whole.rename(path)
        except OSError:
            whole.unlink(missing_ok=True)
            raise
        return FileBlob(path, name, len(data))

    def retain(self, content: Content, /) -> None:
        """Count one more use of each file."""
        for file in content.files():
            self._used[file.name] += 1

    def release(self, content: Content, /) -> None:
        """Count one use less; a file without a use is removed once that change is on the disk."""
        for file in content.files():
            self._used[file.name] -= 1
            if not self._used[file.name]:
                del self._used[file.name]
                self._unused.append(file)
                self._asked += 1

    def _path(self, name: str) -> Path:
        return self._blobs / name[-2:] / name

    # --- documents

    def put(self, table: str, key: tuple[str | int, ...], persistable: Persistable, /) -> None:
        """Store a record at the next commit."""
        self._change(_insertion(table), (*key, orjson.dumps(persistable.document(), default=list)))

    def drop(self, table: str, key: tuple[str | int, ...], /) -> None:
        """Remove a record at the next commit."""
        self._change(_deletion(table), key)

    def _change(self, *change: *_Change) -> None:
        self._changes.append(change)
        self._asked += 1

    async def flushed(self) -> None:
        """Commit: one transaction for all that wait. After an OSError the next call tries again."""
        asked = self._asked
        while self._done < asked:
            async with self._committing:
                if self._done >= asked:
                    return
                upto, changes, unused = self._collect()
                try:
                    await self._offload(partial(self._commit, changes, unused))
                except BaseException:  # cancelled, or no room: none of it may be forgotten
                    self._changes[:0], self._unused[:0] = changes, unused
                    raise
                self._done = upto

    def _collect(self) -> tuple[int, list[_Change], list[FileBlob]]:
        changes, self._changes = self._changes, []
        unused, self._unused = self._unused, []
        return self._asked, changes, unused

    def _commit(self, changes: Iterable[_Change], unused: Iterable[FileBlob]) -> None:
        """Write the rows, then remove the files. Doing it twice does no harm."""
        try:
            self._base.execute("BEGIN")
            try:
                for change in changes:
                    self._base.execute(*change)
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
        for file in unused:
            file.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Commit what is left, and close the index.

        Raises:
            OSError: What is left, of which no client was told that it is done, could not be written.
        """
        _, changes, unused = self._collect()
        try:
            self._commit(changes, unused)
        except OSError as error:
            index = self._blobs.parent / INDEX
            raise OSError(f"{index}: what was answered with an error last is not kept: {error}") from None
        finally:
            self._index.close()

    # --- after a restart

    def load(self) -> tuple[list[Bucket], int]:
        """Read the buckets with everything in them, and the number of the newest version.

        Then removes blobs that no record names. Blocks.

        Raises:
            OSError: The index is damaged, or not that of the blobs; nothing was changed.
        """
        try:
            buckets, newest = self._read()
        except (sqlite3.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            self._base.close()
            raise OSError(
                f"{self._blobs.parent / INDEX}: is damaged: {error!r}: nothing was changed"
            ) from error
        unnamed = [entry.path for entry in blobs(self._blobs) if entry.name not in self._used]
        if self._index.earlier and unnamed and not any(self._path(name).exists() for name in self._used):
            self._base.close()
            reason = "names none of the objects beside it: nothing was changed"
            raise OSError(f"{self._blobs.parent / INDEX}: {reason}")
        self._index.begin()
        for path in unnamed:
            os.unlink(path)
        return buckets, newest

    def _read(self) -> tuple[list[Bucket], int]:
        buckets = {name: _bucket(name, document) for name, document in self._rows("buckets")}
        newest = 0
        for bucket, key, number, document in self._rows("versions", "ORDER BY number"):
            if bucket in buckets:
                version = self._version(key, number, document)
                buckets[bucket].keys.setdefault(key, []).append(version)
                newest = max(newest, number)
        uploads: dict[str, Upload] = {}
        for upload_id, document in self._rows("uploads"):
            if document["bucket"] in buckets:
                upload = uploads[upload_id] = _upload(upload_id, document)
                buckets[upload.bucket].uploads[upload_id] = upload
        for upload_id, number, document in self._rows("parts"):
            if upload_id in uploads:
                uploads[upload_id].parts[number] = self._part(number, document)
        return list(buckets.values()), newest

    def _rows(self, table: str, order: str = "") -> Iterable[tuple[Any, ...]]:
        cursor = self._base.execute(f"SELECT * FROM {table} {order}")  # noqa: S608  # our own names
        return ((*row[:-1], orjson.loads(row[-1])) for row in cursor)

    def _content(self, pieces: list[list[Any]]) -> Content:
        if not all(is_blob_name(name) for name, *_ in pieces):
            message = "a blob has a name that no engine gives"
            raise ValueError(message)
        content = Content(
            tuple(
                Piece(FileBlob(self._path(name), name, size), start, stop)
                for name, size, start, stop in pieces
            )
        )
        self.retain(content)
        return content

    def _version(self, key: str, number: int, document: dict[str, Any]) -> ObjectVersion:
        return ObjectVersion(
            key,
            self._content(document["content"]),
            document["etag"],
            ObjectMetadata.of(document),
            _checksum(document["checksum"]),
            _completed_parts(document),
            document["version_id"],
            document["modified_s"],
            number,
            document["is_marker"],
        )

    def _part(self, number: int, document: dict[str, Any]) -> Part:
        return Part(
            number=number,
            content=self._content(document["content"]),
            etag=document["etag"],
            modified_s=document["modified_s"],
            checksum=_checksum(document["checksum"]),
        )


def _insertion(table: str) -> str:
    marks = ", ".join("?" * (len(TABLES[table]) + 1))
    return f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608  # our own names


def _deletion(table: str) -> str:
    where = " AND ".join(f"{key} = ?" for key in TABLES[table])
    return f"DELETE FROM {table} WHERE {where}"  # noqa: S608  # our own names


def _bucket(name: str, document: dict[str, Any]) -> Bucket:
    return Bucket(
        name=name,
        region=document["region"],
        created_s=document["created_s"],
        versioning=Versioning(document["versioning"]),
        tags=document["tags"],
        notifications=NotificationConfiguration.from_document(document["notifications"]),
        cors=tuple(CorsRule.of(rule) for rule in document.get("cors", ())),
        settings=document.get("settings", {}),
    )


def _upload(upload_id: str, document: dict[str, Any]) -> Upload:
    return Upload(
        bucket=document["bucket"],
        key=document["key"],
        upload_id=upload_id,
        object_metadata=ObjectMetadata.of(document),
        begun_s=document["begun_s"],
        algorithm=document["algorithm"],
        kind=document["kind"],
        begun_number=document.get("begun_number", _UNKNOWN_NUMBER),
        saw_deletion=document.get("saw_deletion", False),
    )


def _completed_parts(document: dict[str, Any]) -> tuple[CompletedPart, ...]:
    """The parts of an object; stores of earlier engines have their sizes alone."""
    if "parts" in document:
        return tuple(CompletedPart(*part) for part in document["parts"])
    return tuple(CompletedPart(number, size) for number, size in enumerate(document["part_sizes"], 1))


def _checksum(persistable: list[str] | None) -> Checksum | None:
    return None if persistable is None else Checksum(*persistable)
