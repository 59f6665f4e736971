"""Whether this machine can run environments as forked processes; imports nothing else of the executor."""

from __future__ import annotations

import os
import sys


def unavailable() -> str | None:
    """Why environments cannot be forked here, in a few words; None if they can be.

    What it takes: Linux, and `pidfd_open` (Linux 5.3), which some sandboxes do not offer.
    """
    if sys.platform != "linux":
        return f"{sys.platform} is not Linux"
    if not hasattr(os, "pidfd_open"):
        return "this Python has no pidfd_open"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return f"pidfd_open: {error.strerror}"
    return None
