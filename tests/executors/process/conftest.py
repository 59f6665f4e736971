"""Engines that run handlers in processes, and what is left of them afterwards."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Engine, Function


def marked_processes() -> list[int]:
    """Zygotes of this process, and all they have forked: they have its command line."""
    mine = str(os.getpid()).encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine in command and b"process.child.zygote" in b"".join(command):
            found.append(int(pid))
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is not merely waiting to be reaped."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(name="alive")
def alive_fixture() -> Callable[[int], bool]:
    """Whether there is a process of that number."""
    return alive


@pytest.fixture(name="marked_processes")
def marked_processes_fixture() -> Callable[[], list[int]]:
    """Processes that this one's engines have made."""
    return marked_processes


@pytest.fixture
def make(tmp_path) -> Callable[..., Engine]:
    """`make(source, **limits)`: an engine whose function `f` is `handler` of that source."""
    folder = tmp_path / "code"
    folder.mkdir()

    def make(source: str, *, settings: dict | None = None, **limits: object) -> Engine:
        (folder / "app.py").write_text(source)
        limits = {"timeout_s": 20, "handler": "app.handler", "code": str(folder), **limits}
        return Engine([Function("f", executor="process", **limits)], scaling_rate=0, **(settings or {}))

    yield make
    assert [] == marked_processes()
