"""Waits for a child process of the engine without holding the loop."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Final

_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.02


async def reap(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Return when `process` has exited and was reaped; send it SIGKILL if it has not after `patience_s`.

    It looks every few milliseconds: a pidfd would need a descriptor, and the process may be ended because
    there are none left.
    """
    pause_s, waited_s = _FIRST_PAUSE_S, 0.0
    while process.poll() is None:
        if waited_s >= patience_s:
            process.kill()
        await asyncio.sleep(pause_s)
        waited_s += pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
