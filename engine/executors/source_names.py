"""What the source of a module says of the names it binds, found without running it."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

_BY_OTHER_MEANS: Final = frozenset(
    {"exec", "eval", "globals", "locals", "vars", "setattr", "__import__", "__dict__", "__getattr__"}
    | {"modules"}
)
"""Whatever source names one of these may bind names that do not stand in it."""
_SUSPICIOUS: Final = tuple(word.encode() for word in (*_BY_OTHER_MEANS, "global", "coding"))
"""What stands in any source that does so, or in which it may be spelled by another alphabet."""
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


class BoundName(NamedTuple):
    """One name of a module.

    Attributes:
        is_async: Whether it is bound once, by a bare top-level `async def` (True) or `def` (False), or as
            another name of such a one; None if that cannot be told.
        literal: The type of its value, in words, if it is bound once, to a literal; else None.
    """

    is_async: bool | None = None
    literal: str | None = None


class SourceNames(NamedTuple):
    """The names that running a module may bind, by its source.

    Attributes:
        names: Those that stand in it.
        is_complete: Nothing in it could bind others; None if that was not looked into.
        syntax_error: What forbids to compile it although it can be parsed, or None.
    """

    names: Mapping[str, BoundName]
    is_complete: bool | None = None
    syntax_error: str | None = None


def names_in_file(file: str, *, thorough: bool = False) -> SourceNames:
    """The names of the module in `file`, which is read again only when it has changed.

    Raises:
        OSError, SyntaxError, ValueError, RecursionError, MemoryError: It cannot be read or parsed.
    """
    state = os.stat(file)
    known = _known(file, (state.st_mtime_ns, state.st_size, state.st_ino))
    if not known or (thorough and known[0].is_complete is None):
        with open(file, "rb") as source:
            known[:] = [source_names(source.read(), thorough=thorough)]
    return known[0]


@lru_cache(maxsize=16_384)  # ten thousand functions may have a file each
def _known(_file: str, _state: tuple[int, int, int]) -> list[SourceNames]:
    """Where the names of a file are kept: at most one."""
    return []


def source_names(source: bytes, *, thorough: bool = False) -> SourceNames:
    """The names of a module. `thorough`: also what else the source may do, which doubles the time.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It is no Python source.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        is_complete, syntax_error = _examined(tree, source) if thorough else (None, None)
    by_name: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in set(_bound_by(statement)):
            by_name.setdefault(name, []).append(statement)
    if "*" in by_name:
        by_name.clear()
    names = {
        name: BoundName(
            _is_async(by_name, name), _kind_of_literal(statements[0]) if len(statements) == 1 else None
        )
        for name, statements in by_name.items()
    }
    return SourceNames(names, is_complete, syntax_error)


def _examined(tree: ast.Module, source: bytes) -> tuple[bool, str | None]:
    """Whether no names are bound unseen, and why it cannot be compiled, or None."""
    try:
        compile(tree, "<handler>", "exec", dont_inherit=True)
    except SyntaxError as error:  # a `return` outside of a function, say
        return False, str(error)
    except (ValueError, RecursionError, MemoryError):
        return False, None
    if source.isascii() and not any(word in source for word in _SUSPICIOUS):
        return True, None
    return not any(map(_binds_by_other_means, ast.walk(tree))), None


def _is_async(by_name: Mapping[str, list[ast.stmt]], name: str) -> bool | None:
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        bindings = by_name.get(name, ())
        if len(bindings) != 1:
            return None
        match bindings[0]:
            case ast.Assign(value=ast.Name(id=other)):
                name = other
            case ast.FunctionDef(decorator_list=[]):
                return False
            case ast.AsyncFunctionDef(decorator_list=[]):
                return True
            case _:
                return None
    return None


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """Names that running `statement` at module level may give a value, or take away; `*` for any."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=imported, asname=renamed):
                yield renamed or imported.partition(".")[0]
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name


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
        case ast.Assign(targets=targets, value=value) if all(
            isinstance(target, ast.Name) for target in targets
        ):
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
