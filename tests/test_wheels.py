"""The wheels: what is compiled, and, where one is installed, what is in it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import distribution
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.version import VERSION, build
from tests.compiled_modules import compiled_modules

ROOT = Path(__file__).parents[1]
SUFFIX = EXTENSION_SUFFIXES[0]
SERIES = f"cp{sys.version_info.major}{sys.version_info.minor}"


@pytest.fixture(scope="module")
def installed() -> set[str]:
    """The files of the wheel that is installed."""
    files = {str(file) for file in distribution("invocation-engine").files or ()}
    if "engine/__init__.py" not in files:
        pytest.skip("the engine is not installed from a wheel: make test WHEEL=compiled does that")
    return {file for file in files if "__pycache__" not in file and not file.startswith("..")}


def test_every_module_that_is_compiled_exists():
    """A module that was moved would not be compiled any more, without a word."""
    assert [] == [module for module in compiled_modules() if not (ROOT / "engine" / module).is_file()]


NOT_NATIVE = {"Enum", "IntEnum", "NamedTuple", "Protocol", "TypedDict"}
"""What derives from these mypyc leaves a class of Python."""


def classes(module: Path) -> list[tuple[str, set[str]]]:
    """Each class of a file, and the names of those that it derives from."""
    return [
        (node.name, {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases})
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.ClassDef)
    ]


def test_no_class_derives_from_one_that_is_compiled():
    """Such a class cannot be instantiated where that is so. A class name stands once: names tell."""
    native = {
        name
        for module in compiled_modules()
        for name, bases in classes(ROOT / "engine" / module)
        if not bases & NOT_NATIVE
    }
    modules = {path.relative_to(ROOT / "engine").as_posix() for path in (ROOT / "engine").rglob("*.py")}
    derived = [
        f"{module}: {name}"
        for module in sorted(modules - compiled_modules())
        for name, bases in classes(ROOT / "engine" / module)
        if bases & native
    ]

    assert {"Connection", "Invocation"} < native
    assert [] == derived


def test_no_coroutine_is_compiled():
    """One that is cancelled while it waits would cause a warning of Python, from 3.12 on."""
    found = [
        f"{module}: {node.name}"
        for module in sorted(compiled_modules())
        for node in ast.walk(ast.parse((ROOT / "engine" / module).read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
    ]

    assert [] == found


def test_a_machine_without_a_compiler_is_told_so():
    """In place of a compiled wheel."""
    command = [sys.executable, ROOT / "tools" / "wheels.py", "--only", "compiled"]
    done = subprocess.run(
        command, env={**os.environ, "PATH": ""}, capture_output=True, text=True, check=False
    )

    assert (1, "no compiled wheel: there is no C compiler (cc) on this machine\n") == (
        done.returncode,
        done.stderr,
    )


def test_a_wheel_has_the_sources_and_the_data_of_the_package(installed):
    """The compiled one as well: tracebacks, other interpreters and readers need the sources."""
    [sdist] = (ROOT.parent / "wheels").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    packages = {
        name for name in sources if name.startswith(("engine/", "handlers/")) and not name.endswith(".c")
    }
    data = {f"engine/resources/{name}" for name in sources if name.startswith("grafana/dashboards/")}

    assert set() == (packages | data) - installed
    assert data


def test_a_compiled_wheel_has_all_binaries_and_a_pure_one_has_none(installed):
    binaries = {file for file in installed if file.endswith(".so")}
    modules = {f"engine/{module.removesuffix('.py')}{SUFFIX}" for module in compiled_modules()}
    tag = [
        line.removeprefix("Tag: ")
        for line in (distribution("invocation-engine").read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    ]

    if build() == "compiled":
        assert set() == modules - binaries
        assert f"engine__mypyc{SUFFIX}" in binaries
        assert [f"{SERIES}-{SERIES}"] == [one.rpartition("-")[0] for one in tag]
    else:
        assert set() == binaries
        assert ["py3-none-any"] == tag


def test_the_version_of_a_wheel_is_that_of_the_package(installed):
    assert VERSION == distribution("invocation-engine").version


def test_the_command_says_which_build_runs():
    said = CliRunner().invoke(main, ["--version"])

    assert f"engine, version {VERSION} ({build()})\n" == said.output
