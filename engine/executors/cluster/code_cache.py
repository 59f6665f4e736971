"""What an agent keeps of the code that it was sent: a folder for each digest, and no more than it may.

    <cache>/<digest>/task    a function's code
    <cache>/<digest>/opt     its layers
    <cache>/.new-...         what is being received or unpacked

Several agents of one machine may share it. A folder that is in use is locked, and never removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from engine.executors.cluster.code_archive import CodeError, unpack

_DIGEST_CHARACTERS: Final = 64


class CodeCache:
    """The folder of one agent. Everything but `known` blocks, on a disk."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Make `folder`, which only its owner may enter. Raises OSError: it cannot be, or is another's."""
        self.folder = folder
        self._limit_bytes = limit_bytes
        self._in_use: dict[str, tuple[int, int]] = {}  # descriptor of the lock, and how many use it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.lstat(folder)
        if status.st_uid != os.getuid():
            raise PermissionError(1, "belongs to another user, who could change what is run", str(folder))
        os.chmod(folder, 0o700)
        self._remove_unfinished()

    def known(self) -> list[bytes]:
        """Digests of all code that lies here."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:  # somebody has cleaned up
            return []
        return [bytes.fromhex(name) for name in names if _is_digest(name)]

    def use(self, digest: bytes) -> Path | None:
        """The folder with that code, kept until as many calls of `release`; None if it is not here."""
        name = digest.hex()
        path = self.folder / name
        descriptor, users = self._in_use.get(name, (-1, 0))
        if not users:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return None  # not there, or being removed
            with suppress(OSError):
                os.utime(path)  # the one that was used longest ago is removed first
        self._in_use[name] = descriptor, users + 1
        return path

    def release(self, digest: bytes) -> None:
        """One user less. Code that nobody uses stays while there is room."""
        name = digest.hex()
        descriptor, users = self._in_use.pop(name, (-1, 0))
        if users > 1:
            self._in_use[name] = descriptor, users - 1
        elif users:
            os.close(descriptor)

    def new_archive(self) -> IncomingArchive:
        """A file to receive an archive in. Raises OSError: the disk is full, say."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return IncomingArchive(self.folder / f".new-{os.getpid()}-{os.urandom(8).hex()}")

    def install(self, archive: IncomingArchive, digest: bytes) -> None:
        """Unpack what was received, and remove what is too much then.

        Raises:
            CodeError: It is not what the digest says, or no archive.
            OSError: The disk is full, say.
        """
        path = self.folder / digest.hex()
        beside = archive.path.with_suffix(".unpacked")
        try:
            if archive.finish() != digest:
                raise CodeError("the archive is not what its digest says")
            unpack(archive.path, beside)
            try:
                os.rename(beside, path)
            except OSError:
                if not path.is_dir():  # else another agent of this machine was quicker
                    raise
        finally:
            archive.drop()
            _remove(beside)
        self._shrink(keep=digest.hex())

    def close(self) -> None:
        """Let go of everything; the folder stays."""
        for descriptor, _ in self._in_use.values():
            os.close(descriptor)
        self._in_use.clear()

    def _shrink(self, keep: str) -> None:
        """Remove what was used longest ago until all is within the limit."""
        found = []
        for name in filter(_is_digest, os.listdir(self.folder)):
            with suppress(OSError):
                path = self.folder / name
                found.append((path.stat().st_mtime, name, _size(path)))
        total = sum(size for _, _, size in found)
        for _, name, size in sorted(found):
            if total <= self._limit_bytes:
                return
            if name != keep and name not in self._in_use and self._remove_unused(name):
                total -= size

    def _remove_unused(self, name: str) -> bool:
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            beside = path.with_name(f".new-{os.getpid()}-{os.urandom(8).hex()}")
            os.rename(path, beside)
        except OSError:
            return False  # another agent uses it
        finally:
            os.close(descriptor)
        _remove(beside)
        return True

    def _remove_unfinished(self) -> None:
        """Remove what agents that were killed have left."""
        for name in os.listdir(self.folder):
            if name.startswith(".new-") and not _is_alive(name.split("-")[1]):
                _remove(self.folder / name)


class IncomingArchive:
    """An archive that is being received."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb")
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        self._hash.update(piece)
        self._file.write(piece)

    def finish(self) -> bytes:
        """Close the file; returns the digest of what was received."""
        self._file.close()
        return self._hash.digest()

    def drop(self) -> None:
        """Remove it."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _is_digest(name: str) -> bool:
    return len(name) == _DIGEST_CHARACTERS and all(letter in "0123456789abcdef" for letter in name)


def _is_alive(pid: str) -> bool:
    return pid.isdigit() and os.path.exists(f"/proc/{pid}")


def _remove(path: Path) -> None:
    """Remove a folder or file, also one whose folders may not be written to."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
