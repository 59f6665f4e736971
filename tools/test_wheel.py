"""`make test WHEEL=compiled` or `pure`: the suite on what that wheel installs, not on the sources.

The wheel replaces the engine in the environment of the interpreter that runs this. Then the source
distribution is unpacked into `build/suite`, with a link to the installed package in place of its own: tests
that import the engine and tests that read its files both see those of the wheel. Arguments after the kind of
wheel go to pytest. The exit code is pytest's; 1 if the wheel cannot be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BUILT: Final = ROOT / "build" / "wheels"
TREE: Final = ROOT / "build" / "suite"


def main() -> int:
    """Build, install, lay out, and run pytest."""
    kind, *arguments = sys.argv[1:]
    shutil.rmtree(BUILT, ignore_errors=True)
    builds = [sys.executable, str(ROOT / "tools" / "wheels.py"), "--only", kind, "--out", str(BUILT)]
    if subprocess.run(builds, check=False).returncode:
        return 1
    [wheel] = BUILT.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    told = subprocess.run(
        [sys.executable, "-c", "import engine, engine.version as v; print(v.build(), engine.__path__[0])"],
        cwd=BUILT,
        capture_output=True,
        text=True,
        check=True,
    )
    build, package = told.stdout.strip().split(maxsplit=1)
    if build != kind:
        raise SystemExit(f"{wheel.name} is {build}")
    _lay_out(Path(package))
    print(f"the suite on {wheel.name}, {sys.version}", flush=True)
    environment = {
        **os.environ,
        "GIT_CEILING_DIRECTORIES": str(TREE.parent),
    }  # it is no clone, though within one
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=TREE, env=environment, check=False
    ).returncode


def _lay_out(package: Path) -> None:
    """Unpack the source distribution into `TREE`, its package a link to the one installed."""
    shutil.rmtree(TREE, ignore_errors=True)
    [sdist] = BUILT.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(BUILT, filter="data")
    (BUILT / sdist.name.removesuffix(".tar.gz")).rename(TREE)
    shutil.rmtree(TREE / "engine")
    (TREE / "engine").symlink_to(package)


if __name__ == "__main__":
    sys.exit(main())
