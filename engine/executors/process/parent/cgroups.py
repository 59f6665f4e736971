"""Trees of control groups, in which each environment of an engine gets one, where they can be made.

Memory is limited by cgroup v2 alone. CPU is limited by v2, or by the cpu controller of v1 where v2 has none.

Sources: Linux kernel documentation, "Control Group v2" and "CFS Bandwidth Control".
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from engine.core.cpu_law import PERIOD_S, quota_s

ROOT: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")
_NAME: Final = re.compile(r"invocation-engine-([1-9][0-9]*)-[0-9a-f]{6}")
_PERIOD_US: Final = round(PERIOD_S * 1e6)


class ControlGroups:
    """A folder of the cgroup file system in which each environment gets a group.

    Attributes:
        folder: Where the groups are made.
        mechanism: The file by which CPU is limited: `cpu.max`, or `cpu.cfs_quota_us` of v1.
    """

    def __init__(self, folder: Path, mechanism: str = "cpu.max") -> None:
        self.folder = folder
        self.mechanism = mechanism

    @classmethod
    def for_memory(cls, root: Path = ROOT, own: Path = OWN) -> ControlGroups | None:
        """A tree of our own, or None where there is no cgroup v2 with a memory controller that we may use.

        It is made beside the group of this process, which holds processes and so cannot have children
        with limits, or else at the root.
        """
        return _first(_unified(root, own), "memory", {"memory.max": str(1 << 30)}, "memory.events")

    @classmethod
    def for_cpu(
        cls, memory: ControlGroups | None, root: Path = ROOT, own: Path = OWN
    ) -> ControlGroups | None:
        """The tree in which CPU can be limited: `memory` if it can be in it, or another; None without one."""
        probe = {"cpu.max": f"{_PERIOD_US} {_PERIOD_US}"}
        if memory is not None and memory.enable("cpu", probe, "cpu.stat"):
            return memory
        if memory is None and (unified := _first(_unified(root, own), "cpu", probe, "cpu.stat")) is not None:
            return unified
        return _first(_cfs(root, own), "", dict(_cfs_limit(PERIOD_S)), "cpu.stat", "cpu.cfs_quota_us")

    def cpu_limit(self, memory_mb: int | None) -> Mapping[str, str]:
        """Files and their contents for an environment of this size; None for one that initialises: a vCPU."""
        quota = PERIOD_S if memory_mb is None else quota_s(memory_mb)
        if self.mechanism == "cpu.max":
            return {"cpu.max": f"{round(quota * 1e6)} {_PERIOD_US}"}
        return _cfs_limit(quota)

    def limit_cpu(self, pid: int, memory_mb: int) -> None:
        """Give the environment `pid` its share from now on. Raises OSError if it has exited."""
        for file, text in self.cpu_limit(memory_mb).items():
            (self.folder / str(pid) / file).write_text(text)

    def throttled_s(self, pid: int) -> float:
        """Seconds for which the environment `pid` waited for its quota. Raises OSError if it has exited."""
        for line in (self.folder / str(pid) / "cpu.stat").read_text().splitlines():
            match line.split():
                case ["throttled_usec", number]:
                    return int(number) / 1e6
                case ["throttled_time", number]:
                    return int(number) / 1e9
        return 0.0

    def remove(self) -> None:
        """Remove the tree; whoever was in it is dead."""
        with suppress(OSError):
            for group in [*self.folder.iterdir(), self.folder]:
                if group.is_dir():
                    with suppress(OSError):
                        group.rmdir()

    def enable(self, controller: str, limits: Mapping[str, str], readable: str) -> bool:
        """Whether groups in it can have these limits. `controller` is enabled in cgroup v2; empty for v1."""
        probe = self.folder / "probe"
        try:
            if controller:
                (self.folder / "cgroup.subtree_control").write_text(f"+{controller}")
            probe.mkdir()
            try:
                for file, text in limits.items():
                    (probe / file).write_text(text)
                (probe / readable).read_text()
            finally:
                probe.rmdir()
        except OSError:
            return False
        return True


def memory_limit(memory_mb: int) -> Mapping[str, str]:
    """Files and their contents for an environment of this size; those that a kernel lacks are left out."""
    return {"memory.max": str(memory_mb * 1024 * 1024), "memory.oom.group": "1", "memory.swap.max": "0"}


def _cfs_limit(quota: float) -> Mapping[str, str]:
    return {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(round(quota * 1e6))}


def _first(
    parents: Iterable[Path],
    controller: str,
    limits: Mapping[str, str],
    readable: str,
    mechanism: str = "cpu.max",
) -> ControlGroups | None:
    """A new tree in the first of these that can have it."""
    for parent in parents:
        folder = parent / f"invocation-engine-{os.getpid()}-{secrets.token_hex(3)}"
        _remove_leftovers(parent)
        try:
            if controller and controller not in (parent / "cgroup.subtree_control").read_text().split():
                continue
            folder.mkdir()
        except OSError:
            continue
        groups = ControlGroups(folder, mechanism)
        if groups.enable(controller, limits, readable):
            return groups
        groups.remove()
    return None


def _remove_leftovers(parent: Path) -> None:
    """Trees of engines that were killed. The kernel removes no group that a process is in."""
    with suppress(OSError):
        for folder in list(parent.iterdir()):
            match = _NAME.fullmatch(folder.name)
            if match is not None and not Path("/proc", match[1]).exists():
                ControlGroups(folder).remove()


def _unified(root: Path, own: Path) -> Iterable[Path]:
    """Where a tree of cgroup v2 may be made: beside our own group, or at the root."""
    for controllers, path in _memberships(own):
        if not controllers and path != Path():
            yield (root / path).parent
    yield root


def _cfs(root: Path, own: Path) -> Iterable[Path]:
    """Where one of v1's cpu controller may be made: in our own group, or at its root."""
    for controllers, path in _memberships(own):
        if "cpu" in controllers.split(","):
            yield from dict.fromkeys((root / controllers / path, root / controllers))


def _memberships(own: Path) -> Iterable[tuple[str, Path]]:
    """Controllers, and the path below their root, of each group this process is in."""
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            yield controllers, Path(path.lstrip("/"))
