"""The folder with all packages: unpacked code, layers, and the file that says what belongs to what.

    <root>/state.json        the records, replaced whole and atomically
    <root>/lock              held while an engine uses the folder
    <root>/packages/<id>/    code.zip as it came, task/ (what handlers are imported from), opt/ (layers)
    <root>/packages/.new-*   being made; removed at the next start if an engine died over it

Everything here blocks: the event loop calls it on a worker thread.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import orjson
from pydantic import ValidationError

from engine.errors import EngineError
from engine.packages.archive import unpack
from engine.packages.layering import put_under
from engine.packages.records import FORMAT, State

_UNFINISHED: Final = ".new-"


class StateError(EngineError):
    """A state folder that cannot be used: which, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Shelf:
    """One folder of packages. With no `root`, a temporary one that is removed at the end."""

    def __init__(self, root: Path | None) -> None:
        self.lasting = root is not None
        self._root = Path(tempfile.mkdtemp(prefix="engine-packages-")) if root is None else root.absolute()
        self._packages = self._root / "packages"
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the folder. Raises StateError if it cannot be made or another engine has it."""
        try:
            self._packages.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StateError(str(self._root), "another engine uses this state folder") from None
        except OSError as error:
            raise StateError(str(self._root), f"cannot be used as state folder: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)
        if not self.lasting:
            shutil.rmtree(self._root, ignore_errors=True)

    # ---------------------------------------------------------------- state

    def load(self) -> State:
        """What was saved last; nothing, in a new folder. Removes what no record speaks of.

        Raises:
            StateError: The file is damaged, of a newer engine, or a package it names is missing.
        """
        file = self._root / "state.json"
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            state = State()
        except OSError as error:
            raise StateError(str(file), f"cannot be read: {error.strerror}") from None
        else:
            state = _parse(file, text)
        for name, folder in _named_folders(state):
            if not (self._packages / folder).is_dir():
                raise StateError(str(file), f"the package of {name} is missing: {self._packages / folder}")
        self.sweep(state.folders())
        return state

    def save(self, text: bytes) -> None:
        """Replace the state file by `text`: after a crash it is the old one or the new one, whole."""
        if not self.lasting:
            return
        beside = self._root / "state.json.new"
        with open(beside, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._root / "state.json")
        _sync_folder(self._root)

    # ---------------------------------------------------------------- packages

    def add_code(self, folder: str, data: bytes, layers: Sequence[str]) -> None:
        """Unpack a function's archive, with `layers` (their folders) under it, as `folder`.

        Raises:
            ArchiveError: What is wrong with the archive.
            OSError: The disk is full.
        """
        beside = self._packages / f"{_UNFINISHED}{folder}"
        try:
            unpack(data, beside / "task")
            put_under(beside / "task", beside / "opt", [self._packages / layer / "opt" for layer in layers])
            (beside / "code.zip").write_bytes(data)
            os.rename(beside, self._packages / folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def add_layer(self, folder: str, data: bytes) -> None:
        """Unpack a layer's archive as `folder`. Raises what `add_code` raises."""
        beside = self._packages / f"{_UNFINISHED}{folder}"
        try:
            unpack(data, beside / "opt")
            (beside / "code.zip").write_bytes(data)
            os.rename(beside, self._packages / folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def archive(self, folder: str) -> bytes:
        """The archive as it came."""
        return self.archive_path(folder).read_bytes()

    def archive_path(self, folder: str) -> Path:
        """Where the archive lies."""
        return self._packages / folder / "code.zip"

    def task(self, folder: str) -> Path:
        """Where the code is imported from."""
        return self._packages / folder / "task"

    def opt(self, folder: str) -> Path:
        """Where the layers lie, merged; it need not exist."""
        return self._packages / folder / "opt"

    def remove(self, folder: str) -> None:
        """A package nobody needs any more. Never raises: what is left is swept at the next start."""
        shutil.rmtree(self._packages / folder, ignore_errors=True)

    def sweep(self, needed: set[str]) -> None:
        """Remove every package but `needed`, and what was never finished."""
        for entry in os.scandir(self._packages):
            if entry.name not in needed:
                self.remove(entry.name)


def _parse(file: Path, text: bytes) -> State:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StateError(str(file), f"is damaged: {error}") from None
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        reason = f"has format {version!r}; this engine reads format {FORMAT}"
        raise StateError(str(file), reason)
    try:
        return State.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise StateError(str(file), f"is damaged: {where}: {first['msg']}") from None


def _named_folders(state: State) -> list[tuple[str, str]]:
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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
