"""Module instances: runs one module file several times in one process, each time with globals of its own.

Python keeps one module for a name. Here the first instance gets the plain name (`app`), further ones
a numbered name (`app#2`) that the import system knows as well, so that pickle, dataclasses, typing
and `sys.modules[__name__]` find the instance they belong to. Where the program around the engine is to
reach the handler with its patches, an instance may be the module that the program itself has imported.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from engine.core.served_function import ImportedModuleFor

_INSTANCE: Final = "instance"
"""The `loader_state` of the specs of instances; what a program imports by itself has none."""


class CodeFolder(str):
    """An entry of `sys.path` put there for one function: other functions' handlers are not sought in it."""

    __slots__ = ()


class _Expected:
    """A spec held ready for an import that is about to happen."""

    __slots__ = ("given", "spec")

    def __init__(self, spec: ModuleSpec) -> None:
        self.spec = spec
        self.given = False


class _Finder:
    """Answers for the names it was told to expect, before any other finder is asked."""

    def __init__(self) -> None:
        self._expected: dict[str, _Expected] = {}

    def expect(self, name: str, spec: ModuleSpec) -> _Expected | None:
        """Hold `spec` ready for `name`; None if another thread is importing that name already."""
        mine = _Expected(spec)
        return mine if self._expected.setdefault(name, mine) is mine else None

    def forget(self, name: str) -> None:
        self._expected.pop(name, None)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        expected = self._expected.get(fullname)
        if expected is None:
            return None
        expected.given = True
        return expected.spec


class Modules:
    """The module instances of one code folder. `close` takes all of them back out of the process.

    Safe to use from several threads. Two limits of one process remain: helper modules are shared by
    everyone who imports them by the same absolute name, and where two code folders have helper modules
    of equal names, the folder that imported first wins. The process executor has neither.

    `imported_module_for`: whether `run` gives the module that the program has imported from the same place:
    for one instance at a time (`first`), or for `all`. Never that of another function: its variables differ.
    """

    def __init__(self, folder: Path, imported_module_for: ImportedModuleFor = "none") -> None:
        self._imported_module_for = imported_module_for
        self._folder = CodeFolder(folder.absolute())
        self._finder = _Finder()
        self._located: dict[str, list[ModuleSpec]] = {}
        self._numbers: dict[str, Iterator[int]] = {}
        self._freed: dict[str, list[str]] = {}
        # By the module's id: plain name, instance name, and the module itself, so that the id stays its own.
        self._instances: dict[int, tuple[str, str, ModuleType]] = {}
        self._borrowed: dict[int, tuple[ModuleType]] = {}

    def open(self) -> None:
        """Make the folder importable. Called again it does nothing."""
        if not any(finder is self._finder for finder in sys.meta_path):
            sys.meta_path.insert(0, self._finder)
        self.extend_path()

    def extend_path(self) -> None:
        """Put the folder on `sys.path`. Called again it does nothing."""
        if self._folder not in sys.path:
            sys.path.insert(0, self._folder)

    def close(self) -> None:
        """Drop every instance and restore `sys.path` and `sys.meta_path`."""
        for _, name, module in list(self._instances.values()):
            self.drop(name, module)
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._finder]
        sys.path[:] = [entry for entry in sys.path if entry is not self._folder]

    def locate(self, dotted: str) -> list[ModuleSpec]:
        """Specs of the packages and the module of `dotted`, as far as they are found. Imports nothing."""
        known = self._located.get(dotted)
        if known is not None:
            return known
        importlib.invalidate_caches()  # the file may be younger than the import system's listing
        parts = dotted.split(".")
        # The folder alone first: a plain folder in it must not lose to an installed package of its name.
        found = _walk(parts, [str(self._folder)])
        if len(found) < len(parts):
            others = [entry for entry in sys.path if not isinstance(entry, CodeFolder)]
            found = _walk(parts, [str(self._folder), *others])
        if len(found) == len(parts):
            self._located[dotted] = found
        return found

    def run(self, dotted: str) -> tuple[str, ModuleType]:
        """A new instance of the module `dotted`, and the name it got.

        Raises whatever the module raises, as importing it does; nothing of the instance stays then.
        """
        self.open()
        if "" in dotted.split("."):
            return dotted, importlib.import_module(dotted)  # not a name: raises, in Python's words
        found = self.locate(dotted)
        if not found:
            return dotted, self._import_elsewhere(dotted)
        parent, _, leaf = dotted.rpartition(".")
        if parent:
            parent = self._import_parent(parent, found[0])
        leaf = f"{parent}.{leaf}" if parent else leaf
        if len(found) <= dotted.count(".") or not _can_repeat(found[-1]):
            return leaf, importlib.import_module(leaf)
        return self._run_instance(leaf, found[-1])

    def drop(self, name: str, module: ModuleType) -> None:
        """Forget the instance that `run` gave; its name may be used again. Nothing if it is not there."""
        if self._borrowed.pop(id(module), None) is not None:
            return
        instance = self._instances.pop(id(module), None)  # in one step: of several threads one gets it
        if instance is None:
            return  # dropped before, and the name perhaps another's by now
        plain = instance[0]
        _forget(name, module)
        if name != plain:
            self._freed.setdefault(plain, []).append(name)

    def _import_parent(self, dotted: str, root: ModuleSpec) -> str:
        """Import the packages above a module; their names, numbered if another folder has the plain one."""
        plain, dot, rest = dotted.partition(".")
        for name in itertools.chain((plain,), (f"{plain}#{number}" for number in itertools.count(2))):
            known = sys.modules.get(name)
            if known is None:
                expected = self._finder.expect(name, _named(root, name))
                try:
                    importlib.import_module(name)
                finally:
                    if expected is not None:
                        self._finder.forget(name)
                known = sys.modules[name]
            if _place(getattr(known, "__spec__", None)) == _place(root):
                break
        parent = f"{name}{dot}{rest}"
        importlib.import_module(parent)
        return parent

    def _run_instance(self, plain: str, found: ModuleSpec) -> tuple[str, ModuleType]:
        borrowed = self._borrow(plain, found)
        if borrowed is not None:
            return plain, borrowed
        for name in self._free_names(plain):
            spec = _named(found, name)
            spec.loader_state = _INSTANCE
            expected = None if name in sys.modules else self._finder.expect(name, spec)
            if expected is None:
                continue  # taken, by another engine or another function's import
            try:
                module = importlib.import_module(name)
            except BaseException:
                if name != plain:
                    self._freed.setdefault(plain, []).append(name)
                raise
            finally:
                self._finder.forget(name)
            if expected.given:
                self._instances[id(module)] = plain, name, module
                return name, module
        raise AssertionError("numbers do not end")

    def _borrow(self, plain: str, found: ModuleSpec) -> ModuleType | None:
        """The module of that name and place that the program has imported, if this one may have it."""
        module = sys.modules.get(plain)
        spec = getattr(module, "__spec__", None)
        if self._imported_module_for == "none" or module is None or spec is None:
            return None
        if getattr(spec, "_initializing", False) or not _is_same_place(spec, found):
            return None
        if spec.loader_state is _INSTANCE:
            return None  # another function's: it was imported with that one's variables
        mine = (module,)  # in one step: of several threads one gets it
        return module if self._borrowed.setdefault(id(module), mine) is mine else None

    def _free_names(self, plain: str) -> Iterator[str]:
        """The plain name, names given back, then new ones."""
        yield plain
        freed = self._freed.setdefault(plain, [])
        numbers = self._numbers.setdefault(plain, itertools.count(2))
        while True:
            try:
                yield freed.pop()
            except IndexError:
                yield f"{plain}#{next(numbers)}"

    def _import_elsewhere(self, dotted: str) -> ModuleType:
        """Import what no path entry has: frozen, built in or found by a hook of somebody's."""
        root = dotted.partition(".")[0]
        for finder in sys.meta_path:
            if (
                finder is not self._finder
                and finder is not PathFinder
                and finder.find_spec(root, None) is not None
            ):
                return importlib.import_module(dotted)
        raise ModuleNotFoundError(f"No module named {root!r}", name=root)


def source_below(folder: str, dotted: str) -> str | None:
    """The plain case of `Modules.locate`, without the import system's listing of the folder.

    The `.py` file of the module, if it lies in `folder` or in packages there, and nothing of its name goes
    before it; else None.
    """
    *packages, leaf = dotted.split(".")
    for package in packages:
        folder = os.path.join(folder, package)
        if not package or not os.path.isfile(os.path.join(folder, "__init__.py")):
            return None
    path = os.path.join(folder, leaf)
    if os.path.isdir(path) or any(os.path.exists(path + suffix) for suffix in EXTENSION_SUFFIXES):
        return None
    file = path + ".py"
    return file if os.path.isfile(file) else None


def _walk(parts: list[str], search: list[str]) -> list[ModuleSpec]:
    """Specs from the outermost package inwards, as far as they are found."""
    found: list[ModuleSpec] = []
    for part in parts:
        spec = PathFinder.find_spec(part, search)
        if spec is None:
            break
        found.append(spec)
        if spec.submodule_search_locations is not None:
            # A list: the path of a namespace package would change as other folders come.
            spec.submodule_search_locations = list(spec.submodule_search_locations)
        search = spec.submodule_search_locations or []
    return found


def _can_repeat(spec: ModuleSpec) -> bool:
    """Whether the module is Python code: an extension module is made to be loaded once."""
    return isinstance(spec.loader, (SourceFileLoader, SourcelessFileLoader))


def _named(spec: ModuleSpec, name: str) -> ModuleSpec:
    """The same place under another name."""
    inner = spec.submodule_search_locations
    locations = None if inner is None else list(inner)
    if spec.origin is not None and isinstance(spec.loader, (SourceFileLoader, SourcelessFileLoader)):
        loader = type(spec.loader)(name, spec.origin)
        named = spec_from_file_location(
            name, spec.origin, loader=loader, submodule_search_locations=locations
        )
        assert named is not None  # a location and a loader are all it needs
        return named
    if locations is None:
        return spec
    package = ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = locations
    return package


def _place(spec: ModuleSpec | None) -> str | None:
    """What tells two modules of one name apart: the file, or the first folder of a namespace package."""
    if spec is None:
        return None
    if spec.has_location or not spec.submodule_search_locations:
        return spec.origin
    return next(iter(spec.submodule_search_locations))


def _is_same_place(one: ModuleSpec, other: ModuleSpec) -> bool:
    places = _place(one), _place(other)
    return None not in places and len({os.path.realpath(place or "") for place in places}) == 1


def _forget(name: str, module: ModuleType) -> None:
    """Take a module out of `sys.modules`, with all below it, and out of its package."""
    sys.modules.pop(name, None)
    if hasattr(module, "__path__"):
        for inner in [loaded for loaded in list(sys.modules) if loaded.startswith(f"{name}.")]:
            sys.modules.pop(inner, None)
    parent, _, leaf = name.rpartition(".")
    if parent in sys.modules:
        vars(sys.modules[parent]).pop(leaf, None)


def put_back(name: str, before: ModuleType | None) -> None:
    """Leave `sys.modules` with `before` under `name`; None: with nothing, unless it is loaded only once."""
    module = sys.modules.get(name)
    if module is before:
        return
    if before is None:
        spec = getattr(module, "__spec__", None)
        if module is not None and spec is not None and _can_repeat(spec):
            _forget(name, module)
        return
    sys.modules[name] = before
    parent, _, leaf = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], leaf, before)


def forget_helpers(folder: Path) -> dict[str, ModuleType]:
    """Take out of `sys.modules` what was imported from below `folder`, so that it is imported again.

    The engine itself and installed packages stay, even if they lie there (a checkout with its virtual
    environment inside): their code is not what a user edits. Returns what it took, by name.
    """
    forgotten = {}
    root = folder.absolute()
    kept = [Path(sys.prefix), Path(__file__).parents[1]]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or file is None:
            continue
        place = Path(file)
        if place.is_relative_to(root) and not any(place.is_relative_to(other) for other in kept):
            sys.modules.pop(name, None)  # a thread that imports it may have given up just now
            forgotten[name] = module
    return forgotten
