"""Reads how much memory is left before the kernel kills something, in the machine and in control groups.

Sources: proc(5), `MemAvailable`; Linux kernel documentation, "Memory Resource Controller" (v1) and "Control
Group v2".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
_MAX_DESCENDANTS: Final = 64
"""Child processes of one environment that are counted. Each costs a walk over all of its pages."""

_V1: Final = (
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    (b"total_inactive_file", b"total_active_file"),
)
_V2: Final = ("memory.max", "memory.current", (b"inactive_file", b"active_file"))


class Memory(NamedTuple):
    """Memory that can still be taken (`available_kb`), and the tightest limit on it (`limit_kb`)."""

    available_kb: int
    limit_kb: int


class MemoryGauge:
    """Reads the machine's memory, and that of every control group around this process that has a limit.

    Which groups there are is looked up once; a reading takes some ten microseconds for each that limits.

    Args:
        root: Where control groups are mounted.
        proc: The proc file system.
    """

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> None:
        self._meminfo = str(proc / "meminfo")
        self._groups = [group for group in _groups(root, proc / "self" / "cgroup") if group.limit_kb()]

    def read(self) -> Memory | None:
        """What is left now; None where the kernel does not say."""
        fields = _fields(self._meminfo, (b"MemTotal:", b"MemAvailable:"))
        if len(fields) < 2:
            return None
        tightest = Memory(fields[b"MemAvailable:"], fields[b"MemTotal:"])
        for group in self._groups:
            limit_kb = group.limit_kb()
            available_kb = limit_kb - group.used_kb()
            if limit_kb and available_kb < tightest.available_kb:
                tightest = Memory(max(0, available_kb), min(limit_kb, tightest.limit_kb))
        return tightest


def reserve_kb(limit_kb: int) -> int:
    """How much of that memory is kept free: a twentieth, 64 MB at least and 1 GB at most."""
    return min(1 << 20, max(1 << 16, limit_kb // 20))


def resident_kb(pid: int) -> int | None:
    """What `pid` has in memory, pages shared with others included; None if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as statm:
            return int(statm.read(64).split()[1]) * _PAGE_KB
    except (OSError, IndexError):
        return None


def children_of(pid: int) -> list[int]:
    """Processes that `pid`, in whichever of its threads, has started; none where the kernel does not tell."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        found += map(int, _text(f"/proc/{pid}/task/{thread}/children").split())
    return found


def tree_kb(pid: int) -> tuple[int | None, bool]:
    """What `pid` and all that it has started have in memory, None if it is gone; and whether it has children.

    A page that several of them share counts once: by the sum of their proportional shares, which is a little
    less than the truth for what they share with others, but never less than what `pid` has alone.
    """
    own_kb = resident_kb(pid)
    pending = children_of(pid)
    if own_kb is None or not pending:
        return own_kb, False
    share = share_of(pid)
    total_kb = share.proportional_kb if share is not None else own_kb
    for _ in range(_MAX_DESCENDANTS):
        if not pending:
            break
        child = pending.pop()
        pending += children_of(child)
        share = share_of(child)
        if share is not None:
            total_kb += share.proportional_kb
    return max(own_kb, total_kb), True


class Share(NamedTuple):
    """`own_kb`: pages no other process has. `proportional_kb`: those, and its part of the shared ones."""

    own_kb: int
    proportional_kb: int


def share_of(pid: int) -> Share | None:
    """What `pid` has to itself; None if it is gone, or the kernel does not tell. It counts all its pages."""
    fields = _fields(f"/proc/{pid}/smaps_rollup", (b"Pss:", b"Private_Clean:", b"Private_Dirty:"))
    if b"Pss:" not in fields:
        return None
    return Share(fields.get(b"Private_Clean:", 0) + fields.get(b"Private_Dirty:", 0), fields[b"Pss:"])


class _Group:
    """One control group, by the names of its version."""

    def __init__(self, folder: Path, names: tuple[str, str, tuple[bytes, ...]]) -> None:
        limit, used, self._reclaimable = names
        self._limit, self._used, self._stat = (str(folder / name) for name in (limit, used, "memory.stat"))

    def limit_kb(self) -> int:
        """Its limit; 0 = none."""
        text = _text(self._limit).strip()
        limit_kb = int(text) // 1024 if text.isdigit() else 0
        return limit_kb if limit_kb < 1 << 50 else 0  # v1 writes "no limit" as a number of pages

    def used_kb(self) -> int:
        """What is taken, without file pages, which the kernel takes back before it kills."""
        text = _text(self._used).strip()
        used = int(text) if text.isdigit() else 0
        return max(0, used - sum(_fields(self._stat, self._reclaimable).values())) // 1024


def _groups(root: Path, own: Path) -> Iterator[_Group]:
    """Those that this process is in, innermost first. A container sees its own at the root."""
    for line in _text(str(own)).decode(errors="replace").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            bases, names = (root, root / "unified"), _V2
        elif "memory" in controllers.split(","):
            bases, names = (root / "memory", root / controllers), _V1
        else:
            continue
        for base in bases:
            folder = base / path.lstrip("/")
            while folder != base.parent:
                if (folder / names[0]).exists():
                    yield _Group(folder, names)
                folder = folder.parent


def _fields(path: str, names: tuple[bytes, ...]) -> dict[bytes, int]:
    """Lines that begin with a name and a number, as most of these files have."""
    found: dict[bytes, int] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(b" ")
        if name in names:
            found[name] = int(value.split()[0])
    return found


def _text(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(16_384)
    except (OSError, ValueError):
        return b""
