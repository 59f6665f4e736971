"""Says on stderr how far a run is: one line that changes on a terminal, a line each time elsewhere."""

from __future__ import annotations

import shutil
from typing import TextIO

from engine.ports import Clock


class Voice:
    """Lines with the seconds since the beginning before them."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        self._out, self._clock = out, clock
        self._began_s = clock.now()
        self._changes = out.isatty()
        self._shown = 0

    def say(self, line: str) -> None:
        """Tell something that stays."""
        self.close()
        self._out.write(f"{self._stamped(line)}\n")
        self._out.flush()

    def progress(self, line: str) -> None:
        """Tell how far it is; the next one takes its place."""
        if not self._changes:
            self.say(line)
            return
        text = self._stamped(line)[: shutil.get_terminal_size().columns - 1]
        self._out.write(f"\r{text.ljust(self._shown)}")
        self._out.flush()
        self._shown = len(text)

    def close(self) -> None:
        """Make room for other text: the line that changed is wiped out."""
        if self._shown:
            self._out.write(f"\r{' ' * self._shown}\r")
            self._shown = 0

    def _stamped(self, line: str) -> str:
        return f"{self._clock.now() - self._began_s:6.1f} s  {line}"
