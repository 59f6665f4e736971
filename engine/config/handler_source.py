"""What the source of a handler says of it before it is run: which failures are certain."""

from __future__ import annotations

import os
from typing import Final
from zipfile import BadZipFile, ZipFile, is_zipfile

from engine.config.handler_file import HandlerCode
from engine.core.spelling import did_you_mean
from engine.executors.source_names import SourceNames, names_in_file, source_names

_UNREADABLE: Final = (OSError, BadZipFile, ValueError, RuntimeError, NotImplementedError)


def certain_failure(handler: str, where: HandlerCode) -> str | None:
    """Why no invocation of `handler` can succeed, in the words of AWS's client; None if one may.

    Said only where it is certain: its module is in the code itself, and is no Python, binds no such name
    and holds nothing that could bind it by other means, or binds it once, to a value that cannot be called.
    """
    label, _, name = handler.rpartition(":" if ".py:" in handler else ".")
    label = label.removesuffix(".py")
    try:
        source = _names(handler, where)
    except SyntaxError as error:
        return f"Syntax error in module '{label}': {error}"
    except (*_UNREADABLE, MemoryError):
        return None  # said when the code is read to be run
    if source is None:
        return None
    if source.syntax_error is not None:
        return f"Syntax error in module '{label}': {source.syntax_error}"
    if not source.is_complete or not source.names or name.startswith("__"):
        return None
    bound = source.names.get(name)
    if bound is None:
        return f"Handler '{name}' missing on module '{label}'{did_you_mean(name, source.names)}"
    kind = bound.literal
    return f"Handler '{name}' of module '{label}' is {kind}, which cannot be called" if kind else None


def _names(handler: str, where: HandlerCode) -> SourceNames | None:
    """The names of the handler's module if it is in the code itself; None if it lies elsewhere."""
    file, colon, _ = handler.rpartition(":")
    module = file if colon else handler.rpartition(".")[0].replace(".", "/")
    names = [module] if colon else [f"{module}/__init__.py", f"{module}.py"]
    if where.inline is not None:
        return source_names(where.inline.encode("utf-8", "replace"), thorough=True)
    if os.path.isdir(where.path):
        paths = [os.path.join(where.path, name) for name in names]
        return next((names_in_file(path, thorough=True) for path in paths if os.path.isfile(path)), None)
    if is_zipfile(where.path):
        with ZipFile(where.path) as archive:
            found = set(archive.namelist())
            return next(
                (source_names(archive.read(name), thorough=True) for name in names if name in found), None
            )
    is_it = os.path.basename(where.path) in names
    return names_in_file(where.path, thorough=True) if is_it else None
