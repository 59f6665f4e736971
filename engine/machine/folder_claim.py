"""Marks a folder as in use for as long as a process holds a descriptor of it. Small: zygotes import it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def claim(folder: Path) -> int:
    """Make the folder and open a descriptor of it: while any process has that open, it is no leftover.

    Process ids are reused, and mean nothing in another container with the same `/tmp`; a lock does not.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor
