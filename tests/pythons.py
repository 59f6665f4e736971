"""The CPythons of this machine, and virtual environments of them."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SERIES = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""What handlers may run in."""


@cache
def interpreters() -> dict[str, str]:
    """Path of an interpreter that starts, by its series, for those of `SERIES` that are found."""
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")]
    roots.append(Path.home() / ".local/share/uv/python")
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for series in SERIES:
        places = [path for root in roots for path in root.glob(f"*/bin/python{series}")]
        on_path = shutil.which(f"python{series}")
        for place in [*map(str, places), *([on_path] if on_path else [])]:
            if series not in found and starts(place, series):
                found[series] = place
    return found


def starts(executable: str, series: str) -> bool:
    """Whether it is a Python of that series; a shim may be none."""
    asked = subprocess.run([executable, "-V"], capture_output=True, text=True, check=False)
    return asked.stdout.startswith(f"Python {series}.")


def interpreter(series: str) -> str:
    """The interpreter of that series; skips the test if this machine has none."""
    found = interpreters().get(series)
    if found is None:
        pytest.skip(f"this machine has no CPython {series}")
    return found


def make_venv(folder: Path, executable: str = sys.executable) -> Path:
    """A virtual environment without pip, in which `from_venv`, a package of pure Python, is installed."""
    subprocess.run([executable, "-m", "venv", "--without-pip", folder], check=True)
    [site] = folder.glob("lib/python3.*/site-packages")
    (site / "from_venv").mkdir()
    (site / "from_venv" / "__init__.py").write_text("VALUE = 'of the environment'\n")
    return folder
