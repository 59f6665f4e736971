"""Finds modules that failed to import, and what refers to them: no environment may be kept that does.

On Lambda a failed init ends the process. In one interpreter the modules that were imported on the way stay in
`sys.modules`, some of them with references to the one that failed; and where two threads import the same
module and it fails, CPython hands the half-made object to the one that waited.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any


def forget_since(before: Collection[str], folder: Path) -> None:
    """After an import that failed: take out of `sys.modules` what came since, as a new process would.

    That is what lies below `folder`, and the rest of a package whose own import failed. Extension modules
    stay: they are made to be loaded once.
    """
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if name in before or isinstance(getattr(spec, "loader", None), ExtensionFileLoader):
            continue
        if _lies_below(module, folder) or name.partition(".")[0] not in sys.modules:
            _forget(name, module)


def holds_half_made(module: ModuleType, folder: Path) -> bool:
    """Whether `module`, or a module below `folder` that it has, refers to one that failed.

    The helpers on the way to that are forgotten then.
    """
    seen = {id(module): module}
    pending = [module]
    found = False
    while pending:
        for inner, namespace in _references(pending.pop()):
            known = sys.modules.get(namespace.get("__name__", ""))
            if known is None or vars(known) is not namespace:
                found = True
            elif inner is not None and id(inner) not in seen and _lies_below(inner, folder):
                seen[id(inner)] = inner
                pending.append(inner)
    if found:
        for helper in seen.values():
            if helper is not module:
                _forget(helper.__name__, helper)
    return found


def _forget(name: str, module: ModuleType) -> None:
    """Take it out of `sys.modules`, but not what another thread is importing by that name."""
    spec = getattr(module, "__spec__", None)
    if sys.modules.get(name) is module and not getattr(spec, "_initializing", False):
        sys.modules.pop(name, None)


def _references(module: ModuleType) -> Iterator[tuple[ModuleType | None, dict[str, Any]]]:
    """The modules that `module` has under a name, and the namespaces of those whose functions it has."""
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            namespace = vars(value)
        elif isinstance(value, FunctionType):
            namespace = value.__globals__
        else:
            continue
        if getattr(namespace.get("__spec__"), "loader", None) is not None:  # else nobody imported it
            yield (value if isinstance(value, ModuleType) else None), namespace


def _lies_below(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)
