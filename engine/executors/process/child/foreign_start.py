"""Run by its path in a handler's own interpreter: brings along what a zygote is made of, and becomes one.

What is installed there is the handler's. Of the engine's packages it imports the engine and simplejson, from
where they are: the engine from source, even if it is compiled; the compiled part of simplejson is left out if
it is for another Python. Arguments: the number of the socket to the engine, the engine's process id, and the
folder of simplejson.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, Final

_HERE: Final = os.path.dirname(os.path.abspath(__file__))
ENGINE: Final = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))


def import_from(name: str, folder: str) -> None:
    """Import the package in `folder`, whatever else is called so and wherever `sys.path` leads."""
    spec = spec_from_file_location(
        name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None  # both hold for any file of Python source
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)


def import_zygote() -> Any:
    """Import the engine's package, from source, and return the module that a zygote is made of.

    A binary beside a source may be for this very Python, and still lack the one that holds its code: that is
    where the engine is installed, and `sys.path` does not lead there.
    """
    sys.path_hooks.insert(0, _sources_of_engine)
    import_from("engine", ENGINE)
    zygote = import_module("engine.executors.process.child.zygote")
    sys.path_hooks.remove(_sources_of_engine)  # what it found for the folders is kept with them
    return zygote


def _sources_of_engine(folder: str) -> FileFinder:
    if folder != ENGINE and not folder.startswith(ENGINE + os.sep):
        raise ImportError  # which is how a path hook says: not mine
    return FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))


def start(descriptor: int, parent: int, simplejson: str) -> None:
    """Become a zygote, with the `sys.path` that this interpreter gives its programs."""
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != _HERE]
    hidden: dict[str, Any] = sys.modules  # None in it: an import of that name fails
    hidden["orjson"] = None
    import_from("simplejson", simplejson)
    main = import_zygote().main
    del hidden["orjson"], sys.modules["__main__"].__file__
    main(descriptor, parent)


if __name__ == "__main__":
    start(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
