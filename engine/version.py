"""The version of this package, and which build of it runs: compiled or pure."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

VERSION: Final = "0.1.0"
"""pyproject.toml takes it from here: to look it up takes 20 ms at start."""


def build() -> str:
    """`compiled` if the modules that every invocation passes through are binaries, else `pure`.

    pyproject.toml lists them. All of them are compiled or none: this asks what one is imported from.
    """
    found = find_spec("engine.core.fleet")
    return "pure" if found is None or found.origin is None or found.origin.endswith(".py") else "compiled"
