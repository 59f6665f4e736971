"""Makes folders below `/tmp`, and removes those that killed processes have left there."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from engine.machine.folder_claim import claim

_NAME: Final = re.compile(r"invocation-engine-([1-9][0-9]{0,9})-[a-z]+-[0-9a-f]{8}")


def new_path(kind: str) -> Path:
    """Return an unused name; `kind`, lower-case letters, says what the folder is for."""
    name = f"invocation-engine-{os.getpid()}-{kind}-{secrets.token_hex(4)}"
    return Path(tempfile.gettempdir(), name)


class TemporaryFolder:
    """A folder that `close` removes."""

    def __init__(self, kind: str) -> None:
        self.path = new_path(kind)
        self._descriptor = claim(self.path)

    def close(self) -> None:
        """Remove it, with all that is in it."""
        if self._descriptor >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._descriptor)
            self._descriptor = -1


def remove_leftovers(parent: Path | None = None) -> list[str]:
    """Remove what killed engines have left in `parent`, mostly `/tmp`; returns the names. May block.

    A leftover is a folder, not a link, of this user, with a name of the pattern, whose process is not alive
    and whose descriptor no process holds. What cannot be removed stays.
    """
    parent = parent or Path(tempfile.gettempdir())
    removed: list[str] = []
    try:
        names = sorted(os.listdir(parent))
    except OSError:
        return removed
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None and not _is_alive(int(match[1])) and _remove(parent / name):
            removed.append(name)
    return removed


def _remove(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)  # follows no symbolic link
    except OSError:
        return False  # in use
    finally:
        os.close(descriptor)
    return not folder.exists()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
