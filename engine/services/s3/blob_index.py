"""The index of a store in a folder, opened only if it is the one of the blobs beside it.

    <folder>/index.sqlite3    the tables; who opens it for use gives it a new number (SQLite's user_version)
    <folder>/index.session    that number; while it is given, the one before too
    <folder>/index.in-use     is there while an engine uses the index, so that it has a write-ahead log

Blobs that the index does not name are removed at the start, so an index that is missing, empty, cut short,
from somewhere else, older than the blobs or without its log would cost them: each is an error that changes
nothing.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from engine.packages import private_files
from engine.packages.state_folder import INDEX

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "buckets": ("name",),
    "versions": ("bucket", "key", "number"),
    "uploads": ("id",),
    "parts": ("upload", "number"),
}
"""Each with its keys; beside them is one JSON document."""

_APPLICATION: Final = 0x1E57A7E5
"""SQLite's application_id: says that it is our index. Earlier engines left it at 0."""
_PRAGMAS: Final = ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL")
_MAGIC: Final = b"SQLite format 3\0"
_LOCKED_S: Final = 0.2


class BlobIndex:
    """An open index: `base` has just the tables it should have. Raises OSError if it is not to be used.

    `earlier`: an engine that gave no numbers wrote it last, so nothing says whether the blobs are its own.
    """

    def __init__(self, folder: Path, *, has_blobs: bool) -> None:
        self._file = folder / INDEX
        self._log = folder / f"{INDEX}-wal"
        self._session = folder / "index.session"
        self._in_use = folder / "index.in-use"
        self.earlier = False
        self._number = 0
        try:
            if _size(self._file):
                self._check(has_blobs=has_blobs)
            else:
                self._make(has_blobs=has_blobs)
            self.base = _connected(self._file, "rw")
            for pragma in _PRAGMAS:
                self.base.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise OSError(f"{self._file}: {_reason(error, self._file)}") from error

    def begin(self) -> None:
        """Give the index a new number. Called once everything in it was read; nothing is removed before."""
        number = secrets.randbelow(2**31 - 1) + 1
        private_files.replace(self._session, b"%d %d\n" % (self._number, number))
        try:
            self.base.execute(f"PRAGMA application_id={_APPLICATION}")
            self.base.execute(f"PRAGMA user_version={number}")
        except sqlite3.Error as error:
            raise OSError(f"{self._file}: {_reason(error, self._file)}") from error
        private_files.replace(self._session, b"%d\n" % number)
        private_files.sync(self._log)  # a log is there from now on, whatever becomes of the power
        os.close(private_files.create(self._in_use, anew=True))
        private_files.sync(self._in_use.parent)
        self._number = number

    def close(self) -> None:
        """Close the index. SQLite merges its log into it."""
        self._in_use.unlink(missing_ok=True)
        self.base.close()

    def _make(self, *, has_blobs: bool) -> None:
        """Create an empty index; it gets its name when it is complete."""
        if has_blobs or _size(self._session) or _size(self._log):
            how = "is missing" if _size(self._file) is None else "is empty"
            raise OSError(f"{self._file}: {how}, but there are objects beside it: nothing was changed")
        beside = self._file.with_name(f"{INDEX}.new")
        os.close(private_files.create(beside, anew=True))
        with closing(_connected(beside, "rw")) as base:
            base.execute("BEGIN")
            base.execute(f"PRAGMA application_id={_APPLICATION}")
            for table, keys in TABLES.items():
                columns = ", ".join(f"{key} NOT NULL" for key in keys)
                base.execute(
                    f"CREATE TABLE {table} ({columns}, document BLOB NOT NULL, "
                    f"PRIMARY KEY ({', '.join(keys)})) WITHOUT ROWID"
                )
            base.execute("COMMIT")
        os.replace(beside, self._file)
        private_files.sync(self._file.parent)

    def _check(self, *, has_blobs: bool) -> None:
        """Raise OSError if the index is damaged or belongs elsewhere. Leaves no file behind."""
        with open(self._file, "rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:  # SQLite would throw away the log beside it
                raise OSError(f"{self._file}: is no index of the engine's: nothing was changed")
        if _size(self._in_use) is not None and not _size(self._log):
            raise OSError(
                f"{self._log}: is missing, and with it what was written last before the engine was killed: "
                f"put it back, or remove {self._in_use} if another program has merged it into the index"
            )
        with self._unchanged() as base:
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            [application], [self._number] = (
                base.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
            )
            if tables != set(TABLES) or application not in (0, _APPLICATION):
                raise OSError(f"{self._file}: is no index of the engine's: nothing was changed")
            [result] = base.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            reason = " ".join(result.split())
            raise OSError(f"{self._file}: is damaged ({reason}): nothing was changed")
        numbers = self._numbers()
        self.earlier = application == 0 and not numbers
        if not self.earlier and self._number not in numbers and (numbers or has_blobs):
            raise OSError(
                f"{self._file}: belongs to other objects than those beside it, or is an older copy: "
                "nothing was changed"
            )

    @contextmanager
    def _unchanged(self) -> Iterator[sqlite3.Connection]:
        """A connection that cannot write, and that leaves no file behind."""
        shared = self._file.with_name(f"{INDEX}-shm")
        was_shared = _size(shared) is not None
        try:
            with closing(_connected(self._file, "ro" if _size(self._log) else "ro&immutable=1")) as base:
                yield base
        finally:
            if not was_shared:  # the reader of a log makes one, and does not remove it
                shared.unlink(missing_ok=True)

    def _numbers(self) -> tuple[int, ...]:
        try:
            return tuple(map(int, self._session.read_bytes().split()))
        except FileNotFoundError:
            return ()
        except ValueError:
            raise OSError(f"{self._session}: is damaged: nothing was changed") from None


def _connected(file: Path, mode: str) -> sqlite3.Connection:
    name = f"file:{quote(str(file))}?mode={mode}"
    return sqlite3.connect(name, uri=True, timeout=_LOCKED_S, check_same_thread=False, isolation_level=None)


def _reason(error: sqlite3.Error, file: Path) -> str:
    """What SQLite says; it has several names for a full disk, "disk I/O error" among them."""
    return str(error) if os.statvfs(file.parent).f_bavail else os.strerror(errno.ENOSPC)


def _size(file: Path) -> int | None:
    """Size of the file; None if it does not exist."""
    try:
        return os.lstat(file).st_size
    except FileNotFoundError:
        return None
