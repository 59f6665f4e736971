"""The engine as pip installs it: the compiled wheel and the pure one, each in an environment of its own.

They lie below `build/bench`, and are made anew when a source is newer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "build" / "bench"
WHEELS: Final = ROOT / "tools" / "wheels.py"


def installed(kind: Literal["compiled", "pure"]) -> Path | None:
    """The interpreter of the environment that the wheel is installed in; None if it cannot be built here."""
    python = FOLDER / kind / "bin" / "python"
    made = FOLDER / kind / "made"
    newest_s = _newest_source()
    if made.exists() and made.stat().st_mtime >= newest_s:
        return python
    print(f"building the {kind} wheel, and installing it", file=sys.stderr, flush=True)
    command = [sys.executable, str(WHEELS), "--only", kind, "--out", str(FOLDER / "dist")]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        return None
    new_environment(kind, built.stdout.split()[-1])
    made.touch()
    os.utime(made, (newest_s, newest_s))  # what changed while it was built is not in it
    return python


def new_environment(name: str, *requirements: str) -> Path:
    """The interpreter of a new virtual environment with those packages.

    Raises:
        SystemExit: pip cannot install them; with all it said.
    """
    python = FOLDER / name / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER / name)], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return python


def variables() -> dict[str, str]:
    """The environment variables of a process that is to import what is installed, and with bytecode."""
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in left_out}


def _newest_source() -> float:
    sources = [ROOT / "pyproject.toml", *(ROOT / "tools").glob("*.py")]
    sources += [path for path in (ROOT / "engine").rglob("*") if path.suffix in (".py", ".c")]
    return max(source.stat().st_mtime for source in sources)
