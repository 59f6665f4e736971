"""Detects the death of processes that a runtime starts to serve several invocations, as AWS's client does.

Linux only: elsewhere nothing is detected.
"""

from __future__ import annotations

import os
from pathlib import Path


class WorkerProcesses:
    """The children of one process.

    Args:
        pid: The process.
        lasting: They are meant to live as long as it does, so that one which is missing has died.
    """

    def __init__(self, pid: int, *, lasting: bool) -> None:
        self._pid = pid
        self._lasting = lasting
        self._seen: set[bytes] = set()
        self._found_dead: set[bytes] = set()  # at the last look

    def see(self) -> None:
        """Remember those that live now."""
        if self._lasting:
            self._seen |= self._children()

    def death(self) -> int | None:
        """Exit status of one that died, as `subprocess` gives it; None if none has. To be asked now and then.

        A helper of a moment is dead for an instant too, until its parent takes note of it: one that is not
        known to last counts when it is found dead a second time. Once its parent has taken note of one
        that was to last, the status cannot be known any more: then it is 0, told as an exit without a reason.
        """
        dead: set[bytes] = set()
        for child in self._seen | self._children():
            try:
                fields = Path(f"/proc/{child.decode()}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                if child in self._seen:
                    return 0
                continue
            if fields[0] != b"Z":
                continue
            if child in self._seen or child in self._found_dead:
                return os.waitstatus_to_exitcode(int(fields[-1]))
            dead.add(child)
        self._found_dead = dead
        return None

    def _children(self) -> set[bytes]:
        try:
            return set(Path(f"/proc/{self._pid}/task/{self._pid}/children").read_bytes().split())
        except OSError:
            return set()
