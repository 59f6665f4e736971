"""The Python that a function's handler runs in, where it is not the engine's own."""

from __future__ import annotations

from typing import NamedTuple


class PythonInterpreter(NamedTuple):
    """An interpreter that was found to work.

    Attributes:
        executable: Its absolute path, as it gives it itself: in a virtual environment, that one's.
        version: Major, minor and micro.
        prefix: Where its packages are.
    """

    executable: str
    version: tuple[int, int, int]
    prefix: str

    @property
    def series(self) -> str:
        """`3.12`, as in the name of a runtime."""
        return f"{self.version[0]}.{self.version[1]}"

    def __str__(self) -> str:
        return f"Python {'.'.join(map(str, self.version))} ({self.executable})"


class ChosenPython(NamedTuple):
    """What a function's handler runs in, and why.

    Attributes:
        interpreter: None for the engine's own.
        why: In a few words; None if there was nothing to choose from.
    """

    interpreter: PythonInterpreter | None = None
    why: str | None = None
