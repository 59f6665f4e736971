"""The folder of all packages: unpacked code, layers, and the state file that names them.

    <root>/.invocation-engine-state   says that the folder is the engine's, and its id
    <root>/state.json                 the records and the same id, replaced whole and atomically
    <root>/lock                       held while an engine uses the folder
    <root>/packages/<id>/             code.zip as it came, task/ (the code), opt/ (its layers)
    <root>/packages/.new-<id>/        being made; removed at the next start if an engine died over it

Only packages are ever removed, known by their names and by what is in them; anything else that somebody put
beside them stays. Everything here blocks: the event loop calls it on a worker thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import orjson

from engine.core.table import read_errors
from engine.machine.temporary import TemporaryFolder
from engine.packages import private_files
from engine.packages.archive import unpack
from engine.packages.layers import install_layers
from engine.packages.records import FORMAT, StoredState
from engine.packages.state_folder import (
    LOCK,
    PACKAGES,
    STATE,
    UNFINISHED,
    Standing,
    StateError,
    examine,
    has_objects,
    is_package,
    is_package_name,
    mark,
)


class PackageStore:
    """One folder of packages. With no `root`, a temporary one that is removed at the end."""

    def __init__(self, root: Path | None) -> None:
        self.lasting = root is not None
        self._temporary = TemporaryFolder("packages") if root is None else None
        lasting = Path(os.path.realpath(root or ""))
        self._root = lasting if self._temporary is None else self._temporary.path
        self._packages = self._root / PACKAGES
        self._lock = -1
        self._id = ""
        self._unmarked = False
        self._notes_objects = False

    def __enter__(self) -> Self:
        """Lock the folder, and create what is missing in it.

        Raises:
            StateError: It may hold what is not the engine's, another engine has it, or it cannot be made.
        """
        try:
            if self.lasting:
                self._lock_folder()
            private_files.make_folder(self._packages)
        except OSError as error:
            self._release()
            raise self._unusable(error) from None
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._release()
        if self._temporary is not None:
            self._temporary.close()

    def inspect(self) -> None:
        """Raise the StateError that `with` or `load` would raise. Changes and locks nothing."""
        try:
            standing, self._id, _ = examine(self._root)
            if standing is Standing.NEW:
                _refuse_unwritable(self._root)
                return
            self._unmarked = standing is Standing.EARLIER
            if (self._root / STATE).exists() or self._packages.is_dir():
                self.load()
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StateError:
        place = str(error.filename or self._root)
        return StateError(place, f"cannot be used as state folder: {error.strerror}")

    def _lock_folder(self) -> None:
        """Lock the folder, and mark it if it is new. One that may be foreign is not even locked."""
        if examine(self._root).standing is Standing.NEW:
            private_files.make_folder(self._root)
        self._lock = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(str(self._root), "another engine uses this state folder") from None
        # Another engine may have been here before the lock was ours.
        standing, self._id, self._notes_objects = examine(self._root)
        self._unmarked = standing is Standing.EARLIER
        if standing is Standing.NEW:
            os.fchmod(self._lock, 0o600)
            with suppress(PermissionError):  # somebody else's folder that we may write to: a mounted volume
                os.chmod(self._root, 0o700)
            self._id = uuid.uuid4().hex
            mark(self._root, self._id)

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # ---------------------------------------------------------------- state

    def load(self) -> StoredState:
        """The state that was saved last; an empty one in a new folder. Changes nothing.

        Raises:
            StateError: The file is damaged, of a newer engine or of another folder, or it is missing beside
                packages, or a package it names is missing.
        """
        file = self._root / STATE
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            if any(is_package_name(name) for name in os.listdir(self._packages)):
                raise StateError(
                    str(file), f"is missing, but there are packages in {self._packages}"
                ) from None
            state = StoredState(state_folder=self._id)
        except OSError as error:
            raise StateError(str(file), f"cannot be read: {error.strerror}") from None
        else:
            state = _parse(file, text)
        if self._unmarked:
            self._id = state.state_folder = state.state_folder or uuid.uuid4().hex
        if state.state_folder != self._id:
            raise StateError(str(file), "belongs to another state folder")
        for name, folder in _named_folders(state):
            if not (self._packages / folder).is_dir():
                raise StateError(str(file), f"the package of {name} is missing: {self._packages / folder}")
        return state

    def begin(self, state: StoredState) -> None:
        """Use the folder, once all that is in it was read without an error: `state` is what `load` returned.

        Removes the packages that no record names, and marks a folder that had no marker (in which nothing is
        removed before the next start), or whose marker does not know yet of its objects.

        Raises:
            StateError: It cannot be written.
        """
        try:
            if not self._unmarked:
                self.sweep(state.folders())
            if self.lasting:
                self.save(state.model_dump_json().encode())
            if self._unmarked or (self.lasting and not self._notes_objects and has_objects(self._root)):
                mark(self._root, self._id)
                self._unmarked, self._notes_objects = False, True
        except OSError as error:
            raise self._unusable(error) from None

    def save(self, text: bytes) -> None:
        """Replace the state file by `text`: after a crash it is the old one or the new one, whole."""
        if self.lasting:
            private_files.replace(self._root / STATE, text)

    # ---------------------------------------------------------------- packages

    def add_code(self, folder: str, data: bytes, layers: Sequence[str], runtime: str | None = None) -> None:
        """Unpack a function's archive, with `layers` (their folders) under it, as `folder`.

        `runtime` is the one it declares, as for `install_layers`.

        Raises:
            ArchiveError: What is wrong with the archive.
            OSError: The disk is full.
        """
        beside = self._packages / f"{UNFINISHED}{folder}"
        try:
            unpack(data, beside / "task")
            under = [self._packages / layer / "opt" for layer in layers]
            install_layers(beside / "task", beside / "opt", under, runtime)
            _write(beside / "code.zip", data)
            os.rename(beside, self._packages / folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def add_layer(self, folder: str, data: bytes) -> None:
        """Unpack a layer's archive as `folder`. Raises what `add_code` raises."""
        beside = self._packages / f"{UNFINISHED}{folder}"
        try:
            unpack(data, beside / "opt")
            _write(beside / "code.zip", data)
            os.rename(beside, self._packages / folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def archive(self, folder: str) -> bytes:
        """The bytes of the archive."""
        return self.archive_path(folder).read_bytes()

    def archive_path(self, folder: str) -> Path:
        """Path of the archive."""
        return self._packages / folder / "code.zip"

    def task(self, folder: str) -> Path:
        """Folder that the code is imported from."""
        return self._packages / folder / "task"

    def opt(self, folder: str) -> Path:
        """Folder of the merged layers, which may not exist."""
        return self._packages / folder / "opt"

    def remove(self, folder: str) -> None:
        """Remove a package. Never raises: the next start removes what is left."""
        with suppress(OSError):
            if is_package(self._packages / folder):
                shutil.rmtree(self._packages / folder, ignore_errors=True)

    def sweep(self, needed: set[str]) -> None:
        """Remove unfinished packages, and all except `needed`."""
        for name in os.listdir(self._packages):
            if name not in needed:
                self.remove(name)


def _refuse_unwritable(folder: Path) -> None:
    """Raise OSError if nothing can be put into `folder`, or it cannot be made."""
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _parse(file: Path, text: bytes) -> StoredState:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StateError(str(file), f"is damaged: {error}") from None
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        reason = f"has format {version!r}; this engine reads format {FORMAT}"
        raise StateError(str(file), reason)
    try:
        return StoredState.model_validate(document)
    except ValueError as error:
        first = read_errors(error)[0]
        where = ".".join(map(str, first["loc"]))
        raise StateError(str(file), f"is damaged: {where}: {first['msg']}") from None


def _named_folders(state: StoredState) -> list[tuple[str, str]]:
    code = [
        (f"function {record.name!r}, version {version.version}", version.folder)
        for record in state.functions.values()
        for version in record.all_versions()
    ]
    layers = [
        (f"layer {layer.name!r}, version {version.version}", version.folder)
        for layer in state.layers.values()
        for version in layer.versions.values()
    ]
    return code + layers


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(private_files.create(path), "wb") as file:
        file.write(data)
