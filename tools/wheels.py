"""`make wheels`: the source distribution of this version, its pure wheel and its compiled one, to `dist/`.

Both wheels are built from the source distribution, unpacked in a folder of its own: so that is known to be
whole, and nothing is compiled among the sources. What builds them is what is installed here; no index is
asked. Where there is no C compiler, or no headers of Python, the compiled wheel is left out, and it says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SDIST: Final = (sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory")
WHEEL: Final = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir")


def main() -> int:
    """Build, and print the path of each file made; 1 if a compiled wheel alone is asked for and cannot be."""
    parser = argparse.ArgumentParser(description="Build the source distribution and the wheels.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to build into (default dist)")
    parser.add_argument("--only", choices=("compiled", "pure"), help="build this wheel, not the other")
    arguments = parser.parse_args()
    lacking = None if arguments.only == "pure" else missing()
    if lacking is not None:
        print(f"no compiled wheel: {lacking}", file=sys.stderr)
        if arguments.only:
            return 1
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    sdist = _built(out, *SDIST)
    if arguments.only != "compiled":
        _built(out, *WHEEL, str(sdist), "--wheel-dir")
    if arguments.only != "pure" and lacking is None:
        _built(out, *WHEEL, str(sdist), "--wheel-dir", HATCH_BUILD_HOOKS_ENABLE="1")
    return 0


def missing() -> str | None:
    """What this machine lacks to compile, in words; None if it has all."""
    if shutil.which("cc") is None:
        return "there is no C compiler (cc) on this machine"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return f"there are no C headers of Python {sysconfig.get_python_version()} on this machine"
    return None


def _built(out: Path, *command: str, **variables: str) -> Path:
    """Run `command`, whose last argument is the folder it builds one file into; returns the file, in `out`.

    Raises:
        SystemExit: It failed; with all it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, folder],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        [made] = Path(folder).iterdir()
        target = out.resolve() / made.name
        shutil.copyfile(made, target)
    print(target)
    return target


if __name__ == "__main__":
    sys.exit(main())
