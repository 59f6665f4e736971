"""Which folder may be used as state folder, and which names in it are the engine's own.

A folder is the engine's if it holds a marker, which is put into a new or an empty folder alone. A folder
that an engine used before there were markers is taken if every name in it is one that such an engine gives,
and both indexes are where they belong. Every other folder is refused before anything in it is touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from engine.errors import EngineError
from engine.packages import private_files

MARKER: Final = ".invocation-engine-state"
"""Name of the file that marks the folder as the engine's."""
LOCK: Final = "lock"
STATE: Final = "state.json"
PACKAGES: Final = "packages"
OBJECTS: Final = "objects"
DURABLE: Final = "durable"
"""Name of the folder with the journal of durable executions."""
CHECKPOINTS: Final = "checkpoints"
"""Name of the folder that says how far mappings of streams are."""
UNFINISHED: Final = ".new-"
"""Before the name of a package that is being made."""

INDEX: Final = "index.sqlite3"
"""In `objects`: what is known of all blobs."""

_FORMAT: Final = 1
_PACKAGE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BLOB: Final = re.compile(r"[0-9a-f]{30}([0-9a-f]{2})")
_BLOB_FOLDERS: Final = frozenset(f"{number:02x}" for number in range(256))
_PART: Final = ".part"
_IN_PACKAGE: Final = frozenset(("code.zip", "task", "opt"))
_MARKER_BEGINS: Final = b'{"invocation_engine":"state folder",'
_OTHERS: Final = 0o077
_EARLIER_FILES: Final = frozenset((STATE, f"{STATE}.new", LOCK))
_EARLIER_INDEX: Final = frozenset((INDEX, f"{INDEX}-wal", f"{INDEX}-shm", f"{INDEX}-journal"))


class StateError(EngineError):
    """A state folder cannot be used; `path` and `reason` say which and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Standing(Enum):
    """What a folder is to the engine."""

    NEW = "new"
    """The folder does not exist, or is empty."""
    OWN = "own"
    """The folder has the marker of an engine."""
    EARLIER = "earlier"
    """The folder has no marker, and only files of an earlier engine that made none."""


class Examined(NamedTuple):
    """What a folder is.

    Attributes:
        standing: Whose it is.
        id: The one in its marker; empty if there is no marker.
        has_objects: Whether the marker says that an engine has kept objects in it.
    """

    standing: Standing
    id: str = ""
    has_objects: bool = False


def examine(root: Path) -> Examined:
    """What `root` is to the engine. Changes nothing.

    Raises:
        StateError: It may hold what is not the engine's, or a part of it is gone that was there before.
        OSError: It cannot be read.
    """
    entries = _entries(root)
    if MARKER in entries:
        examined = _read_marker(root / MARKER)
        _check_parts(root, entries, examined)
        return examined
    if all(map(_is_unfinished_start, entries.values())):
        return Examined(Standing.NEW)
    foreign = _foreign_entry(root, entries)
    if foreign is None:
        return Examined(Standing.EARLIER)
    reason = f"is neither empty nor a state folder of the engine ({foreign}); name an empty or a new folder"
    raise StateError(str(root), reason)


def mark(root: Path, folder_id: str) -> None:
    """Write the marker into `root`, and note whether objects are kept in it. Raises OSError."""
    document: dict[str, object] = {"invocation_engine": "state folder", "format": _FORMAT, "id": folder_id}
    if has_objects(root):
        document["objects"] = True
    private_files.replace(root / MARKER, orjson.dumps(document) + b"\n")


def has_objects(root: Path) -> bool:
    """Whether there is an index of objects in it."""
    return os.path.lexists(root / OBJECTS / INDEX)


def is_package_name(name: str) -> bool:
    """Whether it is a name that the engine gives to the folder of a package."""
    return _PACKAGE.fullmatch(name) is not None


def is_package(path: Path) -> bool:
    """Whether `path` is a package by its name and by what is in it, finished or not."""
    if not is_package_name(path.name.removeprefix(UNFINISHED)) or path.is_symlink() or not path.is_dir():
        return False
    return _IN_PACKAGE.issuperset(os.listdir(path))


def is_blob_name(name: str) -> bool:
    """Whether it is a name that the engine gives to the file of a blob."""
    return _BLOB.fullmatch(name) is not None


def blobs(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The files in `folder` that are blobs by their names and places; half written ones too."""
    for below in _BLOB_FOLDERS:
        for entry in _entries(folder / below).values():
            name = _BLOB.fullmatch(entry.name.removesuffix(_PART))
            if name is not None and name[1] == below and _is_file(entry):
                yield entry


def half_written(path: Path) -> Path:
    """Where the blob `path` lies until it is whole."""
    return path.with_suffix(_PART)


# ---------------------------------------------------------------- inside


def _entries(folder: Path) -> Mapping[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries}
    except FileNotFoundError:
        return {}


def _is_unfinished_start(entry: os.DirEntry[str]) -> bool:
    """Whether the entry was left by an engine that was killed before it had written the marker."""
    if entry.name not in (LOCK, f"{MARKER}.new") or not _is_file(entry):
        return False
    found = entry.stat(follow_symlinks=False)
    if found.st_mode & _OTHERS:
        return False
    if entry.name == LOCK or not found.st_size:
        return not found.st_size
    with open(entry.path, "rb") as file:
        return file.read(len(_MARKER_BEGINS)) == _MARKER_BEGINS


def _check_parts(root: Path, entries: Mapping[str, os.DirEntry[str]], examined: Examined) -> None:
    """Refuse a folder of the engine's with a part missing: the engine would start as if it were new."""
    missing = None
    if STATE in entries and PACKAGES not in entries:
        missing = root / PACKAGES
    elif examined.has_objects and STATE not in entries:
        missing = root / STATE
    elif examined.has_objects and not has_objects(root):
        missing = root / OBJECTS / INDEX if OBJECTS in entries else root / OBJECTS
    if missing is not None:
        raise StateError(str(missing), "is missing, and was there before: nothing was changed")


def _read_marker(file: Path) -> Examined:
    try:
        document = orjson.loads(b"" if file.is_symlink() else file.read_bytes())
        kind, version, folder_id = (document[key] for key in ("invocation_engine", "format", "id"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise StateError(str(file), "is no marker of this engine") from None
    if kind != "state folder" or version != _FORMAT or not isinstance(folder_id, str) or not folder_id:
        raise StateError(str(file), f"is no marker of format {_FORMAT}, which is what this engine knows")
    return Examined(Standing.OWN, folder_id, document.get("objects") is True)


def _foreign_entry(root: Path, entries: Mapping[str, os.DirEntry[str]]) -> str | None:
    """The first thing in a folder without a marker that no engine created, or None."""
    for name, entry in entries.items():
        if not (
            _is_file(entry) if name in _EARLIER_FILES else name in (PACKAGES, OBJECTS) and _is_dir(entry)
        ):
            return f"it holds {name!r}"
    for name in (LOCK, PACKAGES):
        if name not in entries:
            return f"it has no {name!r}"
    packages = _entries(root / PACKAGES)
    for name in packages:
        if not is_package(root / PACKAGES / name):
            return f"it holds {PACKAGES + '/' + name!r}"
    if STATE not in entries and any(map(is_package_name, packages)):
        return f"it holds packages, but no {STATE!r}"
    return _foreign_object(root / OBJECTS)


def _foreign_object(objects: Path) -> str | None:
    entries = _entries(objects)
    for name, entry in entries.items():
        if not (_is_file(entry) if name in _EARLIER_INDEX else name == "blobs" and _is_dir(entry)):
            return f"it holds {OBJECTS + '/' + name!r}"
    folder = objects / "blobs"
    for name, entry in _entries(folder).items():
        if name not in _BLOB_FOLDERS or not _is_dir(entry):
            return f"it holds {f'{OBJECTS}/blobs/{name}'!r}"
    there = sum(len(_entries(folder / name)) for name in _BLOB_FOLDERS)
    if there > _count(blobs(folder)):
        return f"it holds files in {OBJECTS + '/blobs'!r} that are no objects"
    if there and not (INDEX in entries and entries[INDEX].stat(follow_symlinks=False).st_size):
        return f"it holds objects, but no {OBJECTS + '/' + INDEX!r}"
    return None


def _count(entries: Iterable[object]) -> int:
    return sum(1 for _ in entries)


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)
