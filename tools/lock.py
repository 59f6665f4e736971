"""Writes requirements.lock anew: every package of the suite, with the hashes of PyPI's files for all Pythons.

    make lock                          keeps versions, adds and drops what pyproject.toml added and dropped
    make lock LOCK_ARGS=--upgrade      takes the newest ones

Run it after every change of dependencies in pyproject.toml. `uv` resolves for all supported Pythons and
systems at once and asks PyPI alone, whatever pip is configured to ask.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--no-config", "--quiet")
INDEX = "https://pypi.org/simple"


def requirements(document: dict) -> list[str]:
    """What the package needs with all its extras, and what its development needs besides."""
    project = document["project"]
    own = project["name"]
    wanted = [*project["dependencies"], *document["dependency-groups"]["dev"]]
    wanted += [each for extra in project["optional-dependencies"].values() for each in extra]
    return [each for each in wanted if not each.startswith(f"{own}[")]


def main() -> None:
    """Resolve, and write the lock."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lowest = document["project"]["requires-python"].removeprefix(">=")
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", *OPTIONS, "--default-index", INDEX]
    command += ["--python-version", lowest, "--output-file", str(LOCK), *sys.argv[1:]]
    text = "\n".join(requirements(document))
    subprocess.run(command, input=text, text=True, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    LOCK.write_text(
        f"# What CI installs (pip install --require-hashes). Made by `make lock`.\n{LOCK.read_text()}"
    )


if __name__ == "__main__":
    main()
