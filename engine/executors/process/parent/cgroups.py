"""One tree of control groups for all environments of an engine, where cgroup v2 lets us make one.

Source: Linux kernel documentation, "Control Group v2".
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
_NAME: Final = re.compile(r"invocation-engine-([1-9][0-9]*)-[0-9a-f]{6}")


class ControlGroups:
    """A folder of the cgroup file system in which each environment gets a group with a memory limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> ControlGroups | None:
        """A tree of our own, or None where there is no cgroup v2 with a memory controller that we may use.

        It is made beside the group of this process, which holds processes and so cannot have children
        with limits, or else at the root.
        """
        for parent in _candidates(root, own):
            folder = parent / f"invocation-engine-{os.getpid()}-{secrets.token_hex(3)}"
            _remove_leftovers(parent)
            try:
                if "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                    continue
                folder.mkdir()
            except OSError:
                continue
            groups = cls(folder)
            if groups._is_usable():
                return groups
            groups.remove()
        return None

    def remove(self) -> None:
        """Remove the tree; whoever was in it is dead."""
        with suppress(OSError):
            for group in [*self.folder.iterdir(), self.folder]:
                if group.is_dir():
                    with suppress(OSError):
                        group.rmdir()

    def _is_usable(self) -> bool:
        probe = self.folder / "probe"
        try:
            (self.folder / "cgroup.subtree_control").write_text("+memory")
            probe.mkdir()
            (probe / "memory.max").write_text(str(1 << 30))
            (probe / "memory.events").read_text()
            probe.rmdir()
        except OSError:
            return False
        return True


def _remove_leftovers(parent: Path) -> None:
    """Trees of engines that were killed. The kernel removes no group that a process is in."""
    with suppress(OSError):
        for folder in list(parent.iterdir()):
            match = _NAME.fullmatch(folder.name)
            if match is not None and not Path("/proc", match[1]).exists():
                ControlGroups(folder).remove()


def _candidates(root: Path, own: Path) -> Iterable[Path]:
    """The group above our own, and the root."""
    with suppress(OSError):
        for line in own.read_text().splitlines():
            if line.startswith("0::/"):
                place = root / line.removeprefix("0::/")
                if place != root:
                    yield place.parent
    yield root
