"""Unpacks uploaded zip archives, and refuses every archive that could harm the machine it is unpacked on.

Source: Lambda Developer Guide, "Lambda quotas" (deployment package size); zip format, APPNOTE 6.3.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from engine.errors import EngineError
from engine.packages.private_files import create, make_folder

ZIPPED_LIMIT_BYTES: Final = 52_428_800
"""Of an archive that is sent in a request; one that is fetched has none."""
UNZIPPED_LIMIT_BYTES: Final = 262_144_000
MAX_FILES: Final = 50_000
"""AWS names no limit; this many take a directory of no more than a few megabytes."""

NOT_A_ZIP: Final = "Could not unzip uploaded file. Please check your file, then try to upload again."
EMPTY: Final = "Uploaded file must be a non-empty zip"

_DIRECTORY_LIMIT_BYTES: Final = 16 * 1024 * 1024
_LONGEST_PATH_BYTES: Final = 1024
_LONGEST_NAME_BYTES: Final = 255
_CHUNK_BYTES: Final = 1024 * 1024
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_ZIP64: Final = b"PK\x06\x07"
_PLAIN_KINDS: Final = (0, stat.S_IFREG, stat.S_IFDIR)
_ENCRYPTED: Final = 0x1


class ArchiveError(EngineError):
    """An archive that is not unpacked; `reason` is one sentence or two for its sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class _Entry(NamedTuple):
    """A file to extract: its path below the folder, and its entry in the archive."""

    path: str
    info: ZipInfo


def unpack(data: bytes, folder: Path) -> None:
    """Create `folder` and unpack the archive `data` into it. Blocks: not for the event loop.

    Only plain files and folders below `folder` ever come out of it, for their owner alone: their modes are
    600, or 700 if the archive has them executable. Left behind half done if it raises: unpack beside, then
    move.

    Raises:
        ArchiveError: It is no zip, too large unpacked, or holds what no package needs: paths
            that lead outside, links, devices, one name twice, encrypted or unknown compression.
        OSError: The disk is full, or the folder is there already.
    """
    if len(data) > UNZIPPED_LIMIT_BYTES + _DIRECTORY_LIMIT_BYTES:
        raise _too_large()
    _check_directory(data)
    make_folder(folder.parent)
    folder.mkdir()
    folder.chmod(0o700)
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            folders, entries = _plan(archive.infolist())
            for path in folders:
                make_folder(folder / path)
            room = UNZIPPED_LIMIT_BYTES
            for entry in entries:
                room -= _extract(archive, entry, folder, room)
    except (BadZipFile, LargeZipFile, NotImplementedError, zlib.error, EOFError, struct.error) as error:
        raise ArchiveError(NOT_A_ZIP) from error
    except (ValueError, RuntimeError, IndexError, UnicodeError) as error:  # what zipfile says of nonsense
        raise ArchiveError(NOT_A_ZIP) from error


def _check_directory(data: bytes) -> None:
    """Refuse a directory that would take too much memory merely to be read.

    The end record is sought where zipfile seeks it; one of zip64, which no archive of this size needs,
    could say otherwise.
    """
    at = len(data) - _END_BYTES
    if at < 0 or data[at : at + 4] != _END or data[-2:] != b"\0\0":
        at = data.rfind(_END, max(0, len(data) - _END_BYTES - 65_536))
    if at < 0 or at + _END_BYTES > len(data):
        raise ArchiveError(NOT_A_ZIP)
    size: int = struct.unpack_from("<L", data, at + 12)[0]
    if data[max(0, at - 20) : at].startswith(_ZIP64) or size > _DIRECTORY_LIMIT_BYTES:
        raise _refused("its directory is too large")


def _plan(infos: list[ZipInfo]) -> tuple[list[str], list[_Entry]]:
    """The folders and files to create. Nothing is written before all of them are checked."""
    if len(infos) > MAX_FILES:
        raise _refused(f"it holds more than {MAX_FILES} files")
    if sum(info.file_size for info in infos) >= UNZIPPED_LIMIT_BYTES:
        raise _too_large()
    folders: dict[str, None] = {}
    files: dict[str, _Entry] = {}
    for info in infos:
        path = _path(info)
        if not path:
            continue  # the folder itself
        if info.filename.endswith(("/", "\\")):
            folders[path] = None
            continue
        if path in files:
            raise _refused(f"it holds {_shown(path)} twice")
        files[path] = _Entry(path, info)
    if not files:
        raise ArchiveError(EMPTY)
    for path in (*folders, *files):
        for above in _above(path):
            folders[above] = None
    for path in folders:
        if path in files:
            raise _refused(f"{_shown(path)} is a file and a folder")
    return list(folders), list(files.values())


def _path(info: ZipInfo) -> str:
    """The path of an entry, relative and normalised; a backslash separates too, as in archives of Windows."""
    name = info.orig_filename.replace("\\", "/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in _PLAIN_KINDS:
        what = "a link" if kind == stat.S_IFLNK else "no plain file"
        raise _refused(f"{_shown(name)} is {what}")
    if info.flag_bits & _ENCRYPTED:
        raise _refused(f"{_shown(name)} is encrypted")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise _refused(f"{_shown(name)} is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refused(f"{_shown(name)} leads outside")
    try:
        encoded = [part.encode() for part in parts]
    except UnicodeEncodeError:
        raise _refused(f"{_shown(name)} is no name") from None
    if any(byte < 32 for part in encoded for byte in part):
        raise _refused(f"{_shown(name)} holds a control character")
    if any(len(part) > _LONGEST_NAME_BYTES for part in encoded) or len(name.encode()) > _LONGEST_PATH_BYTES:
        raise _refused(f"{_shown(name)} is too long a name")
    return "/".join(parts)


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _extract(archive: ZipFile, entry: _Entry, folder: Path, room: int) -> int:
    """Write one file; returns its size, which is never above `room`, whatever the directory declares."""
    executable = (entry.info.external_attr >> 16) & 0o111
    written = 0
    descriptor = create(folder / entry.path, executable=bool(executable))
    with os.fdopen(descriptor, "wb") as file, archive.open(entry.info) as source:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                raise _too_large()
            file.write(chunk)
    return written


def _too_large() -> ArchiveError:
    return ArchiveError(f"Unzipped size must be smaller than {UNZIPPED_LIMIT_BYTES} bytes")


def _refused(why: str) -> ArchiveError:
    return ArchiveError(f"{NOT_A_ZIP} ({why})")


def _shown(path: str) -> str:
    return ascii(path[:100])
