"""Code that is not a folder as it stands: archives, single files, text, and code with layers under it.

    <folder>/<name>/task/    what the handler is imported from
    <folder>/<name>/opt/     its layers, merged

as the packages that come over the Lambda API lie (`engine.packages.store`). A function whose code is a
plain folder is left alone.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, Self
from zipfile import is_zipfile

from engine.core.function import Function
from engine.errors import ConfigError
from engine.machine.temporary import TemporaryFolder
from engine.packages.archive import ArchiveError, unpack
from engine.packages.layers import install_layers, overlay
from engine.ports import Offload

_NOT_CODE: Final = frozenset({".aws-sam", ".git", ".venv", "__pycache__", "node_modules"})
"""Folders beside the code of a project that are no part of it."""


class Bundles:
    """A temporary folder, made when first needed and removed at the end."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._temporary: TemporaryFolder | None = None
        self._made: dict[str, Function] = {}  # name -> the function as configured

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary is not None:
            self._temporary.close()

    async def prepared(self, functions: Iterable[Function], offload: Offload) -> tuple[Function, ...]:
        """The functions, each with a folder as its `code`.

        Raises:
            ConfigError: An archive that cannot be unpacked, a file that cannot be read.
        """
        return tuple(
            [
                await offload(partial(self._prepared, function)) if _is_made(function) else function
                for function in functions
            ]
        )

    def renew(self) -> None:
        """Make all of it again from what it is made of; blocks. Raises ConfigError, as `prepared` does."""
        for function in self._made.values():
            self._make(function)

    def _prepared(self, function: Function) -> Function:
        if self._root is None:
            self._temporary = TemporaryFolder("code")
            self._root = self._temporary.path
        self._made[function.name] = function
        return dataclasses.replace(function, code=str(self._make(function) / "task"), inline=None, layers=())

    def _make(self, function: Function) -> Path:
        assert self._root is not None
        place, beside = self._root / function.name, self._root / f".new-{function.name}"
        try:
            _fill(beside, function)
            shutil.rmtree(place, ignore_errors=True)
            os.rename(beside, place)
        except (ArchiveError, OSError) as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise ConfigError((f"functions.{function.name}.code: {error}",)) from error
        return place


def _is_made(function: Function) -> bool:
    return function.inline is not None or bool(function.layers) or os.path.isfile(function.code)


def _fill(folder: Path, function: Function) -> None:
    """Make `folder`: the code in `task`, the layers in `opt` and under the code."""
    task = folder / "task"
    if function.inline is not None:
        task.mkdir(parents=True)
        (task / "index.py").write_text(function.inline)
    elif os.path.isdir(function.code):
        overlay(Path(function.code), task, left_out=_NOT_CODE)
    elif is_zipfile(function.code):
        unpack(Path(function.code).read_bytes(), task)
    else:
        task.mkdir(parents=True)
        shutil.copy2(function.code, task)
    layers = [
        _unpacked(layer, folder / f"layer-{number}") if os.path.isfile(layer) else Path(layer)
        for number, layer in enumerate(function.layers)
    ]
    install_layers(task, folder / "opt", layers, function.runtime)


def _unpacked(archive: str, folder: Path) -> Path:
    unpack(Path(archive).read_bytes(), folder)
    return folder
