"""The version of this package. pyproject.toml takes it from here: to look it up takes 20 ms at start."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
