"""Compiles the hot modules with mypyc, into a copy of the package: `build/compiled/engine`.

They are those that pyproject.toml has compiled into wheels, and the one that is written in C. Run:
`python tools/compile.py`; then put `build/compiled` first on PYTHONPATH. The copy is made anew when a source
is newer. Exit code 1 if nothing could be compiled.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
ENGINE: Final = ROOT / "engine"
TARGET: Final = ROOT / "build" / "compiled"
STAMP: Final = TARGET / "made"
BUILD: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
HOOK: Final = BUILD["targets"]["wheel"]["hooks"]["mypyc"]
"""How wheels are compiled: the copy is compiled likewise."""

MODULES: Final = tuple(module.removeprefix("/engine/") for module in HOOK["include"])
"""Below `engine`."""

SETUP: Final = """
from mypyc.build import mypycify
from setuptools import Extension, setup
in_c = Extension("engine.core._fast_json", ["engine/core/_fast_json.c"])
setup(name="compiled", packages=[], ext_modules=[in_c, *mypycify({arguments!r}, **{options!r})])
"""


def main() -> int:
    """Compile if something changed, and say where the result is."""
    sources = [Path(__file__), ROOT / "pyproject.toml", *ENGINE.rglob("*.py"), *ENGINE.rglob("*.c")]
    if STAMP.exists() and STAMP.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return 0
    if shutil.which("cc") is None:
        print("no C compiler (cc): nothing compiled", file=sys.stderr)
        return 1
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(ENGINE, TARGET / "engine", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    arguments = [*HOOK["mypy-args"], *(f"engine/{module}" for module in MODULES)]
    (TARGET / "setup.py").write_text(SETUP.format(arguments=arguments, options=HOOK["options"]))
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=TARGET, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, "compiling failed", sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(TARGET / "build")
    STAMP.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
