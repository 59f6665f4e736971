"""The files of `loadtests/`: scenarios, their functions and locustfiles, in a checkout or in the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.resources import folder

_FOLDER: Final = folder("loadtests")

SCENARIOS: Final = _FOLDER / "scenarios"
CONFIG: Final = _FOLDER / "engine.toml"
"""The functions, queues and buckets of the scenarios."""
LOCUSTFILE: Final[Path] = _FOLDER / "locustfile.py"
