"""AWS's requirement files, read out of the wheel that they come in. Nothing of it is run.

`python -m tests.durable.conformance.requirement_files` fetches the wheel. Without a network it says so and
ends well: the tests that need the files are then skipped.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

PACKAGE: Final = "aws-durable-execution-conformance-tests==1.0.0"
WHEEL: Final = "aws_durable_execution_conformance_tests-1.0.0-py3-none-any.whl"
SHA256: Final = "59b46cda93c0cbfed6a80f342ab0b93542ad8841196200a15fc716ebaa619c30"
VARIABLE: Final = "DURABLE_CONFORMANCE_FOLDER"
"""The environment variable that names another folder for the wheel."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SUITES: Final = {
    "step": 20,
    "wait": 5,
    "child": 18,
    "callback": 19,
    "invoke": 16,
    "wait_for_condition": 13,
    "wait_for_callback": 15,
    "parallel": 22,
    "map": 20,
    "plugin": 7,
}
"""How many requirements each suite has, in the order of their numbers: suite 3 is `child`."""


class Requirement(NamedTuple):
    """One file: what a function does in words, how it is called, and what must come of it."""

    id: str
    suite: str
    document: dict[str, Any]


def requirement_ids() -> list[str]:
    """All of them, known without the files: `1-1` to `10-7`."""
    return [
        f"{suite}-{number}"
        for suite, count in enumerate(SUITES.values(), start=1)
        for number in range(1, count + 1)
    ]


def wheel() -> Path:
    """Where the wheel is, or would be: in the folder named, else in this interpreter's environment."""
    folder = os.environ.get(VARIABLE)
    return (Path(folder) if folder else Path(sys.prefix) / "share" / "durable-conformance") / WHEEL


def missing() -> str | None:
    """Why there are no files to read, or None."""
    path = wheel()
    if not path.exists():
        return f"{path} is not there: python -m tests.durable.conformance.requirement_files fetches it"
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        return f"{path} is not the wheel that was published"
    return None


def fetch() -> str | None:
    """Has the wheel where `wheel` says; why that failed, or None."""
    path = wheel()
    if not path.exists():
        # The files ask for no interpreter in particular; the package, which is not run, asks for 3.14.
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--python-version", "3.14", "--only-binary", ":all:", "--dest", str(path.parent), PACKAGE]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode or not path.exists():
            return (
                f"{PACKAGE} could not be fetched: {(ended.stderr.strip().splitlines() or ['no wheel'])[-1]}"
            )
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        return f"{path} is not the wheel that was published"
    return None


def requirements() -> dict[str, Requirement]:
    """By their ids.

    Raises:
        FileNotFoundError: The wheel was never fetched.
    """
    found = {}
    with zipfile.ZipFile(wheel()) as archive:
        for name in archive.namelist():
            path = Path(name)
            if path.suffix == ".yaml" and path.parent.name in SUITES:
                document = yaml.load(archive.read(name), Loader=_LOADER)
                found[path.stem] = Requirement(path.stem, path.parent.name, document)
    return {name: found[name] for name in requirement_ids() if name in found}


if __name__ == "__main__":
    print(fetch() or f"{wheel()}: {len(requirements())} requirements")
