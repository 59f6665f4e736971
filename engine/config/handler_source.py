"""What the source of a handler says of it before it is run: which failures are certain."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from zipfile import BadZipFile, ZipFile, is_zipfile

from engine.config.handler_file import Code
from engine.core.spelling import did_you_mean
from engine.executors.handler_loader import bound_names

_BY_OTHER_MEANS: Final = frozenset(
    {"exec", "eval", "globals", "locals", "vars", "setattr", "__import__", "__dict__", "__getattr__"}
    | {"modules"}
)
"""Whatever source names one of these may bind names that do not stand in it."""
_LITERALS: Final = (
    ast.Constant,
    ast.JoinedStr,
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
)


def handler_source(handler: str, where: Code) -> bytes | None:
    """The source of the handler's module if it is in the code itself; None if it lies elsewhere."""
    file, colon, _ = handler.rpartition(":")
    module = file if colon else handler.rpartition(".")[0].replace(".", "/")
    names = [module] if colon else [f"{module}/__init__.py", f"{module}.py"]
    if where.inline is not None:
        return where.inline.encode("utf-8", "replace")
    try:
        if is_zipfile(where.path):
            with ZipFile(where.path) as archive:
                found = set(archive.namelist())
                return next((archive.read(name) for name in names if name in found), None)
        if os.path.isfile(where.path):
            paths = [where.path] if os.path.basename(where.path) in names else []
        else:
            paths = [path for name in names if os.path.isfile(path := os.path.join(where.path, name))]
        for path in paths:
            with open(path, "rb") as source:
                return source.read()
    except (OSError, BadZipFile, ValueError, RuntimeError, NotImplementedError):
        pass  # said when the code is read to be run
    return None


def certain_failure(source: bytes, module: str, name: str) -> str | None:
    """Why no invocation of `module.name` can succeed, in the words of AWS's client; None if one may.

    Said only where it is certain: the source is no Python, binds no such name and holds nothing that could
    bind it by other means, or binds it once, to a value that cannot be called.
    """
    try:
        bound = _bindings(source)
    except SyntaxError as error:
        return f"Syntax error in module '{module}': {error}"
    except (ValueError, RecursionError, MemoryError):
        return None
    if not bound or name.startswith("__"):
        return None
    bindings = bound.get(name, ())
    if not bindings:
        return f"Handler '{name}' missing on module '{module}'{did_you_mean(name, bound)}"
    kind = _kind_of_literal(bindings[0]) if len(bindings) == 1 else None
    return f"Handler '{name}' of module '{module}' is {kind}, which cannot be called" if kind else None


@lru_cache(maxsize=64)  # many functions may share a file
def _bindings(source: bytes) -> Mapping[str, list[ast.stmt]]:
    """The statements at module level that may bind a name, by name; empty if names may be bound unseen.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It is no Python source.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        compile(tree, "<handler>", "exec", dont_inherit=True)  # also finds a `return` outside of a function
    found: dict[str, list[ast.stmt]] = {}
    if any(map(_binds_by_other_means, ast.walk(tree))):
        return found
    for statement in tree.body:
        for name in set(bound_names(statement)):
            found.setdefault(name, []).append(statement)
    return found


def _binds_by_other_means(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name):
            return name in _BY_OTHER_MEANS
        case ast.alias(name=name):
            return name == "*" or name in _BY_OTHER_MEANS
        case ast.Global():
            return True
    return False


def _kind_of_literal(statement: ast.stmt) -> str | None:
    """What a plain assignment at module level gives its names, if it is a literal."""
    match statement:
        case ast.Assign(targets=targets, value=value) if all(isinstance(one, ast.Name) for one in targets):
            pass
        case ast.AnnAssign(value=ast.expr() as value):
            pass
        case _:
            return None
    if not isinstance(value, _LITERALS):
        return None
    if isinstance(value, ast.Constant):
        return "None" if value.value is None else f"of type {type(value.value).__name__}"
    kinds = {"joinedstr": "str", "listcomp": "list", "dictcomp": "dict", "setcomp": "set"}
    kind = type(value).__name__.lower()
    return f"of type {kinds.get(kind, kind)}"
