"""Files and folders that only their owner may read: mode 600 and 700, whatever the umask is.

A name that turns out to be a link is an error: it leads to what is not the engine's.
"""

from __future__ import annotations

import os
import stat
from errno import ENOTDIR
from pathlib import Path
from typing import Final

_FOLDER: Final = 0o700
_FILE: Final = 0o600


def make_folder(path: Path) -> None:
    """Create `path` and its missing parents. An existing folder is left as it is.

    Raises:
        OSError: It cannot be made, or its name is taken by something else, a link included.
    """
    try:
        _make_folder(path)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_folder(path.parent)
        _make_folder(
            path
        )  # there are folders in which none can be made, and that say no more than this: /proc


def _make_folder(path: Path) -> None:
    try:
        os.mkdir(path, _FOLDER)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(path)) from None
        return
    os.chmod(path, _FOLDER)


def create(path: Path, *, executable: bool = False, anew: bool = False) -> int:
    """Create the file `path` and return a descriptor to write to; `anew` empties an existing file.

    Raises:
        OSError: It cannot be made, or is there already, or its name is taken by a link.
    """
    mode = _FOLDER if executable else _FILE
    how = os.O_TRUNC if anew else os.O_EXCL
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how, mode)
    os.fchmod(descriptor, mode)
    return descriptor


def replace(path: Path, data: bytes) -> None:
    """Replace the content of the file `path` by `data`: a crash leaves the old one or the new one.

    Raises:
        OSError: The disk is full, or the folder cannot be written; it names the file.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(create(beside, anew=True), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    os.replace(beside, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush the file or folder `path` to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
