"""Kills the process groups of an engine that was killed and could not do so itself.

The reaper is a shell that reads process groups from a pipe whose other end only the engine holds. When
the engine exits, for whatever reason, the pipe ends, and the reaper kills the groups it still knows.
(`PR_SET_PDEATHSIG` would miss grandchildren, and fires when a mere thread of the engine ends.)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import Final

from engine.executors.child_exit import reap

_SCRIPT: Final = """
trap '' HUP INT TERM
groups=' '
while read -r verb group; do
    case "$verb$groups" in
        +*) groups="$groups$group " ;;
        -*" $group "*) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do
    kill -9 "-$group" 2>/dev/null
done
"""
_PATIENCE_S: Final = 2.0


class ProcessReaper:
    """One shell for all the processes of one executor. Raises OSError if it cannot be started."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(  # noqa: S603  a script of ours
            ("/bin/sh", "-c", _SCRIPT),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """Kill this group if the engine exits."""
        self._tell(b"+ %d\n" % group)

    def forget(self, group: int) -> None:
        """Do not kill it any more: it is about to be reaped, and its number may be used again."""
        self._tell(b"- %d\n" % group)

    async def close(self) -> None:
        """End the shell. No group is left."""
        pipe = self._shell.stdin
        if pipe is not None:
            pipe.close()
        await reap(self._shell, _PATIENCE_S)

    def _tell(self, line: bytes) -> None:
        pipe = self._shell.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(OSError):  # somebody killed the shell; the engine goes on without
                os.write(pipe.fileno(), line)
