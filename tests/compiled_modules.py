"""The modules that pyproject.toml has compiled into wheels."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def compiled_modules() -> frozenset[str]:
    """Their paths below `engine`."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    include = build["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    return frozenset(module.removeprefix("/engine/") for module in include)
