"""Hides what a zygote imported for itself from handlers: `sys.modules` has only what is the handler's.

The engine's code goes on working by its own references. A handler that imports a module of that name gets
what its search path has: usually its own copy; where the path leads to the very file that the engine
uses, because both are installed there, the module that is loaded already.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

from engine.executors.module_names import OF_AWS_CLIENT, OF_ENGINE, is_plain_package, modules_in

_USED_HERE: Final = ("engine", "engine__mypyc", "orjson", "simplejson")
"""What a zygote imports that is not of the standard library."""


def copy_used_modules() -> None:
    """Give the engine's modules copies of all modules that they use, but `sys`.

    A handler may replace functions of a module, `os.write` say, without the engine's code seeing it. What
    functions of the standard library use themselves stays the handler's to replace. To be called before
    the code is warmed up: the interpreter's caches hold for the modules they were filled with.
    """
    copies: dict[int, ModuleType] = {id(sys): sys}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "engine":
            members = vars(module)
            for key, used in list(members.items()):
                if isinstance(used, ModuleType) and used.__name__.partition(".")[0] != "engine":
                    members[key] = _copy(used, copies)


def _copy(module: ModuleType, copies: dict[int, ModuleType]) -> ModuleType:
    known = copies.get(id(module))
    if known is None:
        known = copies[id(module)] = ModuleType(module.__name__)
        vars(known).update(vars(module))
        if module is os:
            vars(known)["path"] = _copy(os.path, copies)
    return known


class PrivateModules:
    """Modules that are in use but not in `sys.modules`. Made by `take`; `open` puts it on `sys.meta_path`."""

    def __init__(self, modules: Mapping[str, ModuleType]) -> None:
        self._modules = dict(modules)
        self._folders: Mapping[str, str] = {}
        self._expected: ModuleSpec | None = None

    @classmethod
    def take(cls) -> PrivateModules:
        """Take out of `sys.modules` what the engine and its libraries put there."""
        names = [name for name in sys.modules if name.partition(".")[0] in _USED_HERE]
        return cls({name: sys.modules.pop(name) for name in names})

    def open(self, folders: Mapping[str, str]) -> None:
        """Start to find the modules, and the packages without `__init__.py` in `folders`."""
        self._folders = folders
        sys.meta_path.insert(0, self)

    def expect(self, spec: ModuleSpec | None) -> None:
        """Have the module that is imported next by the name of `spec` be found by it."""
        self._expected = spec

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """Called by the import system."""
        expected = self._expected
        if expected is not None and expected.name == fullname:
            self._expected = None
            return expected
        folder = self._folders.get(fullname)
        if folder is not None:
            package = ModuleSpec(fullname, None, is_package=True)
            package.submodule_search_locations = [folder]
            return package
        module = self._modules.get(fullname)
        if module is None:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is not None and module.__spec__ is not None and found.origin == module.__spec__.origin:
            found.loader = _Again(module)  # type: ignore[assignment]  # it has what a loader needs
        return found


class _Again:
    """Loads a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec, self._loader = module, module.__spec__, module.__loader__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Return the module that is loaded already."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do not run it again; restore the spec and loader that the import system has replaced."""
        module.__spec__, module.__loader__ = self._spec, self._loader


def shadowed_modules(code: str) -> tuple[str, ...]:
    """Names of modules in the folder `code` that others have been imported under here, but not on Lambda.

    What AWS's client has imported before the handler is the standard library's there too.
    """
    return tuple(name for name in modules_in(code) if name in sys.modules and name not in OF_AWS_CLIENT)


def plain_packages(code: str, handler: str) -> dict[str, str]:
    """Folders of `code` without `__init__.py` that must win over installed packages of their names.

    To Python an installed package goes before such a folder. Those of the engine would not be there on
    Lambda; and the folder that the handler lies in is what was meant.
    """
    first = handler.replace("/", ".").partition(".")[0]
    folders = {name: os.path.join(code, name) for name in (*OF_ENGINE, first)}
    plain = {name: folder for name, folder in folders.items() if is_plain_package(folder)}
    if first in plain and first not in OF_ENGINE and not _is_installed(first):
        del plain[first]
    return plain


def forget_modules(names: Iterable[str]) -> None:
    """Remove these from `sys.modules`: the function has modules of these names itself."""
    for name in names:
        for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            del sys.modules[loaded]


def _is_installed(name: str) -> bool:
    """Whether there is a package with `__init__.py`, or a module, of that name."""
    found = PathFinder.find_spec(name)
    return found is not None and found.origin is not None
