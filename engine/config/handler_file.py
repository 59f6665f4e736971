"""Whether a handler's file exists, found out without importing any of the user's code."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from typing import Final, NamedTuple
from zipfile import BadZipFile, ZipFile, is_zipfile

from engine.core.spelling import did_you_mean

_PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_LAYER_FOLDERS: Final = (("python",), ("python", "lib", _PYTHON, "site-packages"))


class HandlerCode(NamedTuple):
    """Where a handler may be: a folder, archive or file, or the text `inline`; and layers. Absolute paths."""

    path: str
    inline: str | None = None
    layers: tuple[str, ...] = ()


def code_problem(code: str, may_be_a_file: bool) -> str | None:  # noqa: FBT001  # it is not an option
    """Why the absolute path `code` cannot be a code folder, an archive or a file; None if it can."""
    if os.path.isdir(code):
        return None
    if os.path.isfile(code):
        is_code = is_zipfile(code) or (may_be_a_file and code.endswith(".py"))
        return None if is_code else f"{code!r} is neither a folder nor a zip archive"
    if os.path.exists(code):
        return f"{code!r} is not a folder"
    parent, name = os.path.split(code)
    return f"no folder {code!r}{did_you_mean(name, _names_in(parent))}"


def handler_problem(handler: str, where: HandlerCode) -> str | None:
    """Why `handler` (well-formed) has no file in its code, its layers or on `sys.path`; None if it has one.

    Only the file is looked for: whether it defines the function is known when it is imported.
    """
    code = where.path
    file, colon, _ = handler.rpartition(":")
    if colon:
        if os.path.isfile(os.path.join(code, file)):
            return None
        folder, name = os.path.split(file)
        near = did_you_mean(file, (os.path.join(folder, n) for n in _names_in(os.path.join(code, folder))))
        return f"no file {file!r} in {code!r}{near if name else ''}"
    module = handler.rpartition(".")[0].replace("/", ".")
    parts = module.split(".")
    if where.inline is not None:
        return None if module == "index" else f"{handler!r} is not in index.py, which is all of its code"
    packed = _names_in_archive(where)
    if packed & {"/".join(parts) + ".py", "/".join((*parts, "__init__.py"))}:
        return None
    if parts[0] in sys.builtin_module_names:
        return f"{parts[0]!r} is a module built into Python; AWS Lambda cannot use it as a handler module"
    roots = (code, *(os.path.join(layer, *below) for layer in where.layers for below in _LAYER_FOLDERS))
    if _module_exists(parts, [*roots, *sys.path]) or _finder_knows(parts):
        return None
    return (
        f"no module {module!r} in {code!r} or on sys.path{did_you_mean(module, _modules_beside(parts, code))}"
    )


def _names_in_archive(where: HandlerCode) -> set[str]:
    """Files at the top of what is imported from, of archives and of code that is one file."""
    names: set[str] = set()
    for path in filter(os.path.isfile, (where.path, *where.layers)):
        if not is_zipfile(path):
            names.add(os.path.basename(path))
            continue
        try:
            with ZipFile(path) as archive:
                found = archive.namelist()
        except (BadZipFile, OSError):
            continue  # said when it is unpacked
        heads = [""] if path == where.path else ["/".join((*below, "")) for below in _LAYER_FOLDERS]
        names |= {name.removeprefix(head) for name in found for head in heads if name.startswith(head)}
    return names


def _module_exists(parts: list[str], roots: Iterable[str]) -> bool:
    for root in roots:
        path = os.path.join(root, *parts)
        if os.path.isfile(f"{path}.py") or os.path.isfile(os.path.join(path, "__init__.py")):
            return True
    return False


def _finder_knows(parts: list[str]) -> bool:
    """Ask Python's finders about the top-level name: extensions, zip files, editable installs."""
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError):
        return False
    if spec is None or len(parts) == 1:
        return spec is not None
    return _module_exists(parts[1:], spec.submodule_search_locations or ())


def module_is_installed(module: str) -> bool:
    """Whether `module` is found on `sys.path`, without importing any part of it."""
    parts = module.split(".")
    return parts[0] in sys.builtin_module_names or _module_exists(parts, sys.path) or _finder_knows(parts)


def _modules_beside(parts: list[str], code: str) -> list[str]:
    """Modules that exist in the deepest folder of `code` that the name leads to."""
    depth = 0
    while depth < len(parts) - 1 and os.path.isdir(os.path.join(code, *parts[: depth + 1])):
        depth += 1
    package = parts[:depth]
    stems = {os.path.splitext(name)[0] for name in _names_in(os.path.join(code, *package))}
    candidates = [[*package, stem] for stem in stems]
    candidates += [[*package, stem, *parts[depth + 1 :]] for stem in stems]  # the folder was mistyped
    return [".".join(names) for names in candidates if _module_exists(names, [code])]


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (OSError, ValueError):
        return []
