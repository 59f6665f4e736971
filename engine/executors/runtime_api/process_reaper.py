"""Sees to it that no process outlives the engine, even one that is killed and can tidy up nothing.

The guardian is a shell that reads process groups from a pipe whose other end only the engine holds. When
the engine is gone, however it went, the pipe ends, and the guardian kills the groups it still knows.
(`PR_SET_PDEATHSIG` would miss grandchildren, and strikes when a mere thread of the engine ends.)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import Final

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
        """Kill it if the engine goes."""
        self._tell(b"+ %d\n" % group)

    def forget(self, group: int) -> None:
        """It is about to be no more: its number may become another's."""
        self._tell(b"- %d\n" % group)

    def close(self) -> None:
        """No group is left."""
        pipe = self._shell.stdin
        if pipe is not None:
            pipe.close()
        try:
            self._shell.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._shell.kill()
            self._shell.wait()

    def _tell(self, line: bytes) -> None:
        pipe = self._shell.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(OSError):  # somebody killed the shell; the engine goes on without
                os.write(pipe.fileno(), line)
