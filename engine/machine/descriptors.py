"""How many files and sockets this process may still open.

A process that has opened as many as it may gets EMFILE for whatever it tries next, and can neither accept a
connection nor say so to its client. So some are always kept free: who needs many asks here first, and waits.
"""

from __future__ import annotations

import os
import resource
from typing import Final

FEWEST: Final = 40
"""Descriptors with which a server can do anything: it has some twenty itself before the first request."""

_MOST: Final = 1 << 20
"""What the limit is raised to at most: some programs close all that may be open before they start another."""

_OPEN: Final = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"


def raise_limit() -> int:
    """Raise the limit (`ulimit -n`) as far as is allowed; returns the limit that is then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft  # macOS has a bound of its own, below what it says
        return wanted
    return limit()


def limit() -> int:
    """How many may be open at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


def reserve(of: int) -> int:
    """How many of that limit are kept free, for what cannot wait: an eighth, 6 at least and 256 at most."""
    return min(256, max(6, of // 8))


def connections_share(of: int) -> int:
    """How many of those that are spare at the start the connections of a listener may have: a half."""
    return max(3, of // 2)


def environments_share(of: int) -> int:
    """How many of them the processes of environments may have: three quarters.

    An environment takes three, and mostly one connection waits for it. Connections and environments each keep
    theirs while the others do not end.
    """
    return max(3, of * 3 // 4)


def open_now() -> int:
    """How many are open. Linux 6.2 and later say so at once; else they are counted."""
    try:
        return os.stat(_OPEN).st_size or len(os.listdir(_OPEN))
    except OSError:  # no descriptor is left to list them with
        return limit()


def spare() -> int:
    """How many may still be opened without touching the reserve; negative if it is in use."""
    most = limit()
    return most - reserve(most) - open_now()
