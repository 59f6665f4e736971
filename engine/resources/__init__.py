"""Folders that the wheel carries as data: dashboards and rules, load-test scenarios.

In a checkout they stand at its top level, which is the only copy. The wheel has them inside this package:
`force-include` of pyproject.toml says which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_INSTALLED: Final = Path(__file__).resolve().parent
_CHECKOUT: Final = _INSTALLED.parents[1]


def folder(name: str) -> Path:
    """Return the folder `name` (`grafana`, `loadtests`) of the installed package, or of this checkout.

    Raises:
        FileNotFoundError: Neither has it: the package was built without its data.
    """
    for place in (_INSTALLED / name, _CHECKOUT / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"this installation has no folder {name}: it was built without its data")
