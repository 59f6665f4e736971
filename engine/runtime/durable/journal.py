"""The journal: what happened to durable executions, on disk before anybody is told that it is kept.

    <folder>/00000001-00000007.journal     seven files, merged: what is gone was left out
    <folder>/00000008-00000008.journal     full, never written again
    <folder>/00000009-00000009.journal     records are added to the newest

One record is one line: CRC-32 of the rest in hexadecimal, the execution, the fact as JSON. A record without
a fact says that the execution is gone, and so are all of its records. A merged file stands in the place of
every file whose numbers it spans, so a crash before those are removed changes nothing.

Records that come while a write is under way go with the next one, under one fsync: the more executions
there are at a time, the fewer writes each of them costs.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from zlib import crc32

from engine.errors import EngineError
from engine.packages import private_files
from engine.ports import Offload

SEGMENT_BYTES: Final = 64 << 20
"""Size from which on a file is full."""
_SUFFIX: Final = ".journal"
_NAME: Final = re.compile(r"[0-9]{8,}-[0-9]{8,}" + re.escape(_SUFFIX))
"""Other files are not the journal's."""
_RETRY_S: Final = 1.0
"""Seconds until a write that failed is tried again."""

Done = Callable[[OSError | None], None]
"""Called once: None when everything appended so far is on disk, else why it is not."""


class JournalDamaged(EngineError):
    """A record in the middle of the journal cannot be read; `path` and `offset` say where."""

    def __init__(self, path: Path, offset: int) -> None:
        super().__init__(path, offset)
        self.path, self.offset = path, offset

    def __str__(self) -> str:
        return (
            f"{self.path}: the record at byte {self.offset} is damaged, and whole ones follow it; "
            f"without {self.path.parent}, moved away, the engine starts with no durable execution"
        )


class JournalRecord(NamedTuple):
    """One record.

    Attributes:
        execution: The ARN of the execution.
        fact: JSON text; empty once the execution is gone.
    """

    execution: str
    fact: bytes


class Journal(Protocol):
    """Where the facts of executions go."""

    def append(self, execution: str, fact: bytes) -> None:
        """Add a fact: JSON text without a newline."""

    def forget(self, execution: str) -> None:
        """Say that the execution is gone: its records will be dropped."""

    def when_kept(self, done: Done) -> None:
        """Call `done` once all that was appended so far is kept, now or later."""

    async def close(self) -> None:
        """Write what is left, and let go of the files."""


class NoJournal:
    """Keeps nothing: executions end with the engine."""

    def append(self, execution: str, fact: bytes) -> None:
        """Drop it."""

    def forget(self, execution: str) -> None:
        """There is nothing to drop."""

    def when_kept(self, done: Done) -> None:
        """Nothing is waited for."""
        done(None)

    async def close(self) -> None:
        """There is nothing to close."""


class FileJournal:
    """A journal in a folder of its own. `recover` reads what an earlier engine wrote, and opens it.

    A write that fails is told to those who wait for it, and tried again with all that came since: a record
    is never left out of the order. They may hear of a failure and find the record kept after all.
    """

    def __init__(
        self,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        offload: Offload,
        say: Callable[[str], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """`say` takes a line for the operator when the disk refuses, and when it takes records again."""
        self._folder, self._loop, self._offload, self._say = folder, loop, offload, say
        self._segment_bytes = segment_bytes
        self._file = -1
        self._segment = 0
        self._written = 0  # bytes of the newest file that are whole records
        self._pending: list[JournalRecord] = []
        self._waiting: deque[tuple[int, Done]] = deque()
        self._appended = self._kept = 0  # records of this engine: all, and those on disk
        self._task: asyncio.Task[None] | None = None
        self._failed = False
        self._sizes: dict[str, int] = {}
        self._total = self._garbage = 0

    # ---------------------------------------------------------------- opening, which blocks

    def recover(self) -> Iterator[JournalRecord]:
        """Yield the records of executions that are not gone, in order, and open the journal behind them.

        A record that was cut off at the very end is dropped: nobody was told that it was kept.

        Raises:
            JournalDamaged: A record before the last one cannot be read.
            OSError: The folder cannot be used.
        """
        private_files.make_folder(self._folder)
        for stale in self._folder.glob("*.new"):
            stale.unlink()
        segments = self._segments()
        gone = _gone(segments)
        for path in segments:
            for record in _records(path):
                self._count(record)
                if record.execution not in gone:
                    yield record
        for execution in gone:
            self._garbage += self._sizes.pop(execution, 0)
        self._open_newest(segments)

    def _open_newest(self, segments: list[Path]) -> None:
        if not segments:
            self._begin_segment()
            return
        path = segments[-1]
        self._segment = _span(path)[1]
        self._file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._written = sum(len(line) for line in _whole_lines(path))
        os.ftruncate(self._file, self._written)

    def _begin_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        number = self._segment + 1
        self._file = private_files.create(self._path(number, number))
        self._segment = number
        self._written = 0
        private_files.sync(self._folder)

    def _path(self, first: int, last: int) -> Path:
        return self._folder / f"{first:08}-{last:08}{_SUFFIX}"

    def _segments(self) -> list[Path]:
        """The files in order; one that a merged file stands for is removed."""
        segments: list[Path] = []
        spanned = 0
        for path in sorted(
            (path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)),
            key=lambda path: (_span(path)[0], -_span(path)[1]),
        ):
            if _span(path)[1] <= spanned:
                path.unlink()
            else:
                segments.append(path)
                spanned = _span(path)[1]
        return segments

    # ---------------------------------------------------------------- use

    def append(self, execution: str, fact: bytes) -> None:
        """Add a fact: JSON text without a newline. It is written soon; `when_kept` tells when."""
        record = JournalRecord(execution, fact)
        self._appended += 1
        self._count(record)
        self._pending.append(record)
        if self._task is None:
            self._task = self._loop.create_task(self._write_all())

    def forget(self, execution: str) -> None:
        """Say that the execution is gone; its records are dropped when files are merged."""
        self.append(execution, b"")
        self._garbage += self._sizes.pop(execution, 0)

    def when_kept(self, done: Done) -> None:
        """Call `done` once all that was appended so far is on disk; at once if it is."""
        if self._kept == self._appended:
            done(None)
        else:
            self._waiting.append((self._appended, done))

    async def close(self) -> None:
        """Write what is left, once more if the disk refuses, and close the file."""
        if self._task is not None:
            if self._failed:
                self._task.cancel()
            await asyncio.wait((self._task,))
        if self._pending and (error := await self._write()) is not None:
            self._tell_failure(error)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _count(self, record: JournalRecord) -> None:
        size = len(record.execution) + len(record.fact) + 20
        self._sizes[record.execution] = self._sizes.get(record.execution, 0) + size
        self._total += size

    # ---------------------------------------------------------------- writing

    async def _write_all(self) -> None:
        try:
            while self._pending:
                error = await self._write()
                if error is not None:
                    self._tell_failure(error)
                    await asyncio.sleep(_RETRY_S)
                elif self._garbage * 2 > self._total and self._total > self._segment_bytes:
                    dropped = await self._offload(self._merge)
                    self._total -= dropped
                    self._garbage = max(0, self._garbage - dropped)
        finally:
            self._task = None

    async def _write(self) -> OSError | None:
        """Write what is pending now. What failed stays pending."""
        batch = self._pending.copy()
        try:
            await self._offload(partial(self._put, batch))
        except OSError as error:
            return error
        del self._pending[: len(batch)]
        if self._failed:
            self._failed = False
            self._say("durable executions: the disk takes records again")
        self._kept += len(batch)
        waiting = self._waiting
        while waiting and waiting[0][0] <= self._kept:
            waiting.popleft()[1](None)
        return None

    def _tell_failure(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            why = f"{self._folder}: {error.strerror}"
            self._say(f"durable executions: {why}: nothing is acknowledged until it is kept")
        waiting, self._waiting = self._waiting, deque()
        for _, done in waiting:
            done(error)

    def _put(self, batch: list[JournalRecord]) -> None:
        """Write and flush; on an error the file ends where it did before. Runs on a worker thread."""
        if self._written > self._segment_bytes:
            self._begin_segment()
        data = b"".join(map(_line, batch))
        try:
            view = memoryview(data)
            at = self._written
            while view:
                count = os.pwrite(self._file, view, at)
                view, at = view[count:], at + count
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._written)
            raise
        self._written += len(data)

    def _merge(self) -> int:
        """Make one file of all full ones, without what is gone, and return how many bytes that saved.

        Runs on a worker thread, while nothing is written.
        """
        self._begin_segment()
        full = self._segments()[:-1]
        before = sum(path.stat().st_size for path in full)
        gone = _gone(full)
        merged = self._path(_span(full[0])[0], _span(full[-1])[1])
        beside = merged.with_name(f"{merged.name}.new")
        after = 0
        with os.fdopen(private_files.create(beside, anew=True), "wb") as file:
            for record in chain.from_iterable(map(_records, full)):
                if record.execution not in gone:
                    after += file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, merged)
        private_files.sync(self._folder)
        self._segments()  # removes the parts
        return before - after


def _span(path: Path) -> tuple[int, int]:
    """The numbers of the first and the last file that it stands for."""
    first, last = path.stem.split("-")
    return int(first), int(last)


def _line(record: JournalRecord) -> bytes:
    rest = b"%s %s\n" % (record.execution.encode(), record.fact)
    return b"%08x %s" % (crc32(rest), rest)


def _record(line: bytes) -> JournalRecord | None:
    """The record of a line; None if the line is not whole."""
    try:
        if not line.endswith(b"\n") or int(line[:8], 16) != crc32(line[9:]):
            return None
        execution, fact = line[9:-1].split(b" ", 1)
        return JournalRecord(execution.decode(), fact)
    except ValueError:
        return None


def _gone(paths: list[Path]) -> set[str]:
    """The executions whose end is recorded in the files."""
    return {record.execution for path in paths for record in _records(path) if not record.fact}


def _records(path: Path) -> Iterator[JournalRecord]:
    """The records of a file. One that is cut off or torn at the very end is left out: it was never kept.

    Raises:
        JournalDamaged: Whole records follow one that is not.
    """
    offset = 0
    with path.open("rb") as file:
        for line in file:
            record = _record(line)
            if record is None:
                if not any(map(_record, file)):
                    return
                raise JournalDamaged(path, offset)
            offset += len(line)
            yield record


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if _record(line) is None:
                return
            yield line
