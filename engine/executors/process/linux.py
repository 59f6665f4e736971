"""The few system calls that Python 3.11 does not offer: prctl, unshare, setns and mount.

Source: the Linux manual pages prctl(2), unshare(2), setns(2), mount(2), proc(5).
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any, Final

CLONE_NEWNS: Final = 0x00020000
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_SLAVE: Final = 0x80000

_PR_SET_PDEATHSIG: Final = 1
_SIGKILL: Final = int(signal.SIGKILL)
_PR_SET_CHILD_SUBREAPER: Final = 36


# Their arguments are ints below 2**31, bytes and None, which ctypes passes as they are. Told of their types
# it looks those up and makes objects of them: that is twenty pages of memory for a child to copy. errno too
# costs some, and `prctl` fails only for arguments that it does not know.
_C: Final = ctypes.CDLL(None, use_errno=True)
_unshare: Final[Any] = _C.unshare
_setns: Final[Any] = _C.setns
_mount: Final[Any] = _C.mount
_prctl: Final[Any] = ctypes.CDLL(None).prctl


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, its parent, dies; at once if that happened already."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def bind_to(parent: int) -> None:
    """Do both `die_with_parent` and `adopt_orphans`; one function is fewer pages for a child to copy."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_parent() -> None:
    """Take back `die_with_parent`."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def unshare_mounts() -> None:
    """Give this process mounts of its own, a copy of those it has. Raises OSError (mostly EPERM)."""
    _check("unshare", _unshare(CLONE_NEWNS))


def enter_mounts(namespace: int) -> None:
    """Take the mounts of `namespace`, a descriptor of `/proc/PID/ns/mnt`; cwd is `/` then. Raises OSError."""
    _check("setns", _setns(namespace, CLONE_NEWNS))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Show `source` at the folder `target`, with the flags and data of the system call. Raises OSError."""
    _check("mount", _mount(os.fsencode(source), os.fsencode(target), _text(kind), flags, _text(data)))


def children() -> list[int] | None:
    """Process ids of this single-threaded process's children; None where the kernel does not tell."""
    try:
        with open("/proc/thread-self/children", "rb", buffering=0) as listing:
            return [int(pid) for pid in listing.read().split()]
    except OSError:
        return None


def _text(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)


def _check(name: str, result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
