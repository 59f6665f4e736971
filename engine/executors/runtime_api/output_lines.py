"""Splits the output of a process into lines, as Lambda does."""

from __future__ import annotations

from typing import Final

_LONGEST_LINE: Final = 262_144
"""Bytes of one event of a log (CloudWatch Logs quotas); what is longer is cut."""


class OutputLines:
    """Bytes in, whole lines of text out, each with its newline."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > _LONGEST_LINE:
            whole.append(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._rest = rest
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """The text after the last newline, as a line, if there is any."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    if text.startswith("[ERROR]"):
        text = text.replace("\r", "\n")  # how AWS's client keeps a traceback one event
    return text + "\n"
