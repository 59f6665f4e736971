"""Merges layers into a function's code: what Lambda has at /opt becomes importable from the code's folder.

Source: Lambda Developer Guide, "Packaging your layer content" and "Working with layers for Python Lambda
functions" (search order: the code, then python/lib/python3.x/site-packages, then python).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from engine.packages.archive import UNZIPPED_LIMIT_BYTES, ArchiveError
from engine.packages.private_files import make_folder

HERE: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs, as layers name it."""

_LIBRARY: Final = re.compile(r"python/lib/(python3\.\d+)(?:/|$)")


def install_layers(task: Path, opt: Path, layers: Sequence[Path], runtime: str | None = None) -> None:
    """Merge `layers`, the later over the earlier, into `opt`, and their Python modules into `task`.

    Of `python/lib` that is the folder of the declared `runtime`, whatever Python runs; None: of that one.

    A module of the code itself wins over one of a layer of the same name, as the search path has it;
    folders that are namespace packages in both places are merged. Files are linked, not copied, where
    the file system can do that: nobody writes to them.

    Raises:
        ArchiveError: Code and layers together are above Lambda's limit.
        OSError: The disk is full.
    """
    size = _size(task)
    for layer in layers:
        size += _size(layer)
        if size > UNZIPPED_LIMIT_BYTES:
            message = (
                "Function code combined with layers exceeds the maximum allowed size of "
                f"{UNZIPPED_LIMIT_BYTES} bytes. The actual size is {size} bytes."
            )
            raise ArchiveError(message)
    for layer in layers:
        overlay(layer, opt)
    python = opt / "python"
    for folder in (python / "lib" / _declared(runtime) / "site-packages", python):
        if folder.is_dir():
            _underlay(folder, task, left_out={"lib"} if folder == python else set())


def unused_modules(names: Iterable[str], runtime: str | None) -> str | None:
    """A sentence if all modules of a layer are for other minor versions of Python than `runtime`; else None.

    `names` are paths of what is in the layer, at least of what is directly in `python/lib`. A `runtime` of
    None is the Python that runs.
    """
    versions = sorted({found[1] for name in names if (found := _LIBRARY.match(name))})
    if not versions or _declared(runtime) in versions:
        return None
    whose = f"{HERE} runs here and" if runtime is None else f"the runtime is {runtime}, which"
    return f"its modules in python/lib are for {', '.join(versions)}: {whose} imports none of them"


def _declared(runtime: str | None) -> str:
    return HERE if runtime is None else runtime


def unfit_runtimes(runtimes: Sequence[str]) -> str | None:
    """A sentence if a layer's CompatibleRuntimes name Python, but not the one that runs; else None."""
    pythons = [runtime for runtime in runtimes if runtime.startswith("python")]
    if not pythons or HERE in pythons:
        return None
    return f"it is compatible with {', '.join(pythons)}: {HERE} runs here and may fail to import its modules"


def _size(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(where, name)).st_size for where, _, names in os.walk(folder) for name in names
    )


def overlay(source: Path, target: Path, left_out: Collection[str] = ()) -> None:
    """Copy every file of `source` into `target`, over files of the same name.

    `left_out` names entries of `source` itself that do not go there.
    """
    make_folder(target)
    for entry in os.scandir(source):
        if entry.name in left_out:
            continue
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            if place.exists() and not place.is_dir():
                place.unlink()
            overlay(Path(entry.path), place)
            continue
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        _link(Path(entry.path), place)


def _underlay(source: Path, target: Path, left_out: set[str]) -> None:
    """Copy `source` into `target`, except modules that `target` has already."""
    taken = {_module(entry.name): entry for entry in os.scandir(target)}
    for entry in os.scandir(source):
        if entry.name in left_out:
            continue
        place, there = target / entry.name, taken.get(_module(entry.name))
        if there is None:
            if entry.is_dir(follow_symlinks=False):
                make_folder(place)
                _underlay(Path(entry.path), place, set())
            else:
                _link(Path(entry.path), place)
        elif there.name == entry.name and _is_namespace(entry) and _is_namespace(there):
            _underlay(Path(entry.path), place, set())


def _module(name: str) -> str:
    """What an entry is imported as: `app` for `app.py`, `app` and `app.cpython-311-x86_64-linux-gnu.so`."""
    return name if name.endswith((".dist-info", ".egg-info")) else name.partition(".")[0] or name


def _is_namespace(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and not os.path.exists(os.path.join(entry.path, "__init__.py"))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or too many links
        shutil.copy2(source, target)
