"""A function's code as one archive with a digest, and back to a folder on a node.

    task/...    what the handler is imported from
    opt/...     its layers, if there are any

The archive is a tar file whose entries are sorted, so that the same files make the same digest. Bytecode,
folders of version control and virtual environments stay behind. A link inside the code stays a link; of one
that leads out of it the target is shipped.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from engine.errors import EngineError
from engine.executors.process.child.tmp_dir import layers_of

MAX_BYTES: Final = 262_144_000
"""Lambda's limit of unpacked code and layers (Lambda Developer Guide, "Lambda quotas")."""

MAX_FILES: Final = 50_000
"""Files, folders and links of one archive."""

_LEFT_OUT: Final = frozenset(
    {
        *("__pycache__", ".git", ".hg", ".svn", ".venv", ".aws-sam", "node_modules"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox"),
    }
)
_MARKS_VENV: Final = "pyvenv.cfg"
_MODES: Final = 0o777
_BUFFER: Final = 1 << 20


class CodeError(EngineError):
    """Code that cannot be shipped; `reason` goes on after the function's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ShippedCode(NamedTuple):
    """An archive: the digest of its bytes, where it lies, and how many bytes it has."""

    digest: bytes
    path: Path
    size: int


class _CodeEntry(NamedTuple):
    """Something to pack: its name in the archive, where it lies, what it is, and where it leads if a link."""

    name: str
    path: str
    status: os.stat_result
    link: str | None = None


def pack(code: str, folder: Path) -> ShippedCode:
    """Pack the folder `code`, with the layers beside it, into a file in `folder`; blocks.

    Raises:
        CodeError: It is too large, or cannot be read.
    """
    try:
        entries = list(_entries(code))
        beside = folder / f".packing-{os.urandom(8).hex()}"
        try:
            digest = _write(entries, beside)
            path = folder / digest.hex()
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        return ShippedCode(digest, path, path.stat().st_size)
    except OSError as error:
        raise CodeError(f"its code cannot be read: {error}") from error


def _entries(code: str) -> Iterator[_CodeEntry]:
    total = count = 0
    layers = layers_of(code)
    for root, name in ((code, "task"), *([(layers, "opt")] if layers is not None else ())):
        for entry in _walk(os.path.realpath(root), root, name, ()):
            count += 1
            total += entry.status.st_size if stat.S_ISREG(entry.status.st_mode) else 0
            if total > MAX_BYTES:
                raise CodeError(
                    f"{code} holds more than {MAX_BYTES // 1_048_576} MB, the most that Lambda takes and "
                    "that nodes are sent: name a smaller folder as its code"
                )
            if count > MAX_FILES:
                raise CodeError(
                    f"{code} holds more than {MAX_FILES} files: name a smaller folder as its code"
                )
            yield entry


def _walk(root: str, path: str, name: str, above: tuple[str, ...]) -> Iterator[_CodeEntry]:
    """What is in the folder `path`, itself first, in order of name; `above`: the folders that it is in."""
    here = os.path.realpath(path)
    if here in above:
        return  # a link to a folder that it lies in
    yield _CodeEntry(name, path, os.stat(path))
    names = sorted(os.listdir(path))
    for child in names:
        if child in _LEFT_OUT or (child.endswith(".pyc") and child[:-1] in names):
            continue
        child_path, child_name = os.path.join(path, child), f"{name}/{child}"
        status = os.lstat(child_path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(child_path)
            if _stays_inside(root, child_path, target):
                yield _CodeEntry(child_name, child_path, status, target)
                continue
            if not os.path.exists(child_path):
                continue  # it leads nowhere
            status = os.stat(child_path)
        if stat.S_ISDIR(status.st_mode):
            if not os.path.exists(os.path.join(child_path, _MARKS_VENV)):
                yield from _walk(root, child_path, child_name, (*above, here))
        elif stat.S_ISREG(status.st_mode):
            yield _CodeEntry(child_name, child_path, status)


def _stays_inside(root: str, path: str, target: str) -> bool:
    """Whether a link is relative, and it and all it leads through lies in the folder `root`."""
    if os.path.isabs(target):
        return False
    folder = os.path.realpath(os.path.dirname(path))
    textual = os.path.normpath(os.path.join(folder, target))
    places = folder, textual, os.path.realpath(path)
    return all(place == root or place.startswith(root + os.sep) for place in places)


def _write(entries: list[_CodeEntry], path: Path) -> bytes:
    """Write the archive; returns its digest."""
    with path.open("x+b") as file:
        os.fchmod(file.fileno(), 0o600)
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in entries:
                _add(archive, entry)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").digest()


def _add(archive: tarfile.TarFile, entry: _CodeEntry) -> None:
    info = tarfile.TarInfo(entry.name)
    info.mode = stat.S_IMODE(entry.status.st_mode) & _MODES
    info.mtime = int(entry.status.st_mtime)
    if entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        archive.addfile(info)
    elif stat.S_ISDIR(entry.status.st_mode):
        info.type, info.mtime = tarfile.DIRTYPE, 0
        archive.addfile(info)
    else:
        with open(entry.path, "rb") as source:
            data = source.read(entry.status.st_size)
        info.size = len(data)  # it may have become shorter
        archive.addfile(info, io.BytesIO(data))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack what `pack` has made into the new folder `folder`; blocks.

    Nothing is written outside of it, whatever the archive says: links are made last, and are refused if they
    lead out.

    Raises:
        CodeError: It is no such archive.
        OSError: The disk is full, say.
    """
    folder.mkdir(mode=0o700)
    links: list[tuple[str, str]] = []
    folders: list[tuple[Path, int]] = []
    total = 0
    try:
        with tarfile.open(archive, "r:") as opened:
            for info in opened:
                name = _checked(info.name)
                path = folder / name
                if info.issym():
                    _refuse_outside(name, info.linkname)
                    links.append((name, info.linkname))
                elif info.isdir():
                    path.mkdir(mode=0o700, parents=True, exist_ok=True)
                    folders.append((path, info.mode & _MODES))
                elif info.isreg():
                    total += info.size
                    source = opened.extractfile(info)
                    if total > MAX_BYTES or source is None:
                        raise CodeError("the archive is too large")
                    _write_file(path, source, info)
                else:
                    raise CodeError(f"{name!r} in the archive is neither file, folder nor link")
    except tarfile.TarError as error:
        raise CodeError(f"it is no archive: {error}") from error
    _make_links(os.path.realpath(folder), links)
    for path, mode in reversed(folders):
        os.chmod(path, mode | 0o700)


def _checked(name: str) -> str:
    parts = name.split("/")
    if parts[0] not in ("task", "opt") or any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise CodeError(f"{name!r} in the archive leads outside")
    return name


def _refuse_outside(name: str, target: str) -> None:
    """Refuse a link that does not stay in the top folder that it is in, read without what other links do."""
    place = os.path.normpath(os.path.join(os.path.dirname(name), target))
    if os.path.isabs(target) or place.split("/")[0] != name.split("/")[0]:
        raise CodeError(f"the link {name!r} in the archive leads outside")


def _make_links(root: str, links: list[tuple[str, str]]) -> None:
    """Make them in the folder `root`. Raises CodeError: one leads out of it by way of another."""
    for name, target in links:
        folder, last = os.path.split(os.path.join(root, name))
        _refuse_beyond(root, name, folder)
        os.symlink(target, os.path.join(folder, last))
    for name, _ in links:  # a link made later may have led an earlier one elsewhere
        _refuse_beyond(root, name, os.path.join(root, name))


def _refuse_beyond(root: str, name: str, path: str) -> None:
    if not os.path.realpath(path).startswith(root + os.sep):
        raise CodeError(f"the link {name!r} in the archive leads outside")


def _write_file(path: Path, source: IO[bytes], info: tarfile.TarInfo) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _BUFFER)
        os.fchmod(file.fileno(), info.mode & _MODES | 0o400)
    os.utime(path, (info.mtime, info.mtime))


def pieces(shipped: ShippedCode, size: int) -> Iterator[bytes]:
    """The archive, cut into pieces of `size` bytes."""
    with shipped.path.open("rb") as file:
        while piece := file.read(size):
            yield piece
