"""Names that Python code of users has: one line for each name, parameter, default and member."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import engine
import engine.ports
import engine.testing
from engine import registry
from tests.outside.texts import documentation, recorded

PLURALS = {"policy": "policies"}


def python_names() -> list[str]:
    """What `engine`, `engine.ports` and `engine.testing` have, and what the documentation imports."""
    lines = []
    for module in (engine, engine.ports, engine.testing):
        for name in public(module):
            lines += described(f"{module.__name__}.{name}", getattr(module, name))
    return sorted({*lines, *(f"documented {path}" for path in documented() if found(path))})


def documented() -> Iterator[str]:
    """`module.NAME` of all that examples import, and did when it was recorded."""
    for module, names in re.findall(r"^from (engine[\w.]*) import ([\w, ]+)$", documentation(), re.MULTILINE):
        yield from (f"{module}.{name}" for name in names.split(", "))
    yield from (line.split()[1] for line in recorded("python_names") if line.startswith("documented "))


def found(path: str) -> bool:
    """Whether it can be imported."""
    module, _, name = path.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False


def registered_names() -> list[str]:
    """Names for configuration files, the entry points of this package, and the groups for those of others."""
    kinds = get_args(registry.Kind)
    lines = [f"{kind} {name}" for kind in kinds for name in registry.names(kind)]
    own = metadata.distribution("invocation-engine").entry_points
    lines += [f"{point.group}: {point.name}" for point in own]
    groups = {kind: f"invocation_engine.{PLURALS.get(kind, kind + 's')}" for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder, "a_package-1.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-package\nVersion: 1\n")
        points = "".join(f"[{group}]\nof_a_package = a_package:Some\n" for group in groups.values())
        (info / "entry_points.txt").write_text(points)
        sys.path.append(folder)
        try:
            heard = [kind for kind in kinds if "of_a_package" in registry.names(kind)]
        finally:
            sys.path.remove(folder)
    return sorted([*lines, *(f"group {groups[kind]}" for kind in heard)])


def public(module: ModuleType) -> list[str]:
    """Its `__all__`, else the public names that it defines itself."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]
    return list(getattr(module, "__all__", own))


def described(name: str, value: Any) -> Iterator[str]:
    """The name, how it is called, and for a class its bases and members."""
    yield name
    if not inspect.isclass(value):
        if callable(value):
            yield from parameters(name, value)
        return
    for base in value.__mro__[1:]:
        if base is getattr(engine, base.__name__, None):
            yield f"{name} is {base.__name__}"
    if issubclass(value, enum.Enum):
        yield from (f"{name}.{member.name} = {member.value!r}" for member in value)
        return
    if not getattr(value, "_is_protocol", False):
        yield from parameters(name, value)
    for member in members(value):
        method = inspect.getattr_static(value, member, None)
        method = getattr(method, "__func__", method)  # of class methods and static ones
        yield f"{name}.{member}"
        if inspect.isfunction(method):
            yield from parameters(f"{name}.{member}", method, bound=True)


def members(value: type) -> list[str]:
    """Its public attributes and methods, those of classes of other packages left out."""
    names: set[str] = set()
    for base in value.__mro__:
        if base.__module__.partition(".")[0] == "engine":
            names |= {*vars(base), *inspect.get_annotations(base)}
    return sorted(name for name in names - {"model_config"} if name == "__call__" or name[0] != "_")


def parameters(name: str, value: Any, *, bound: bool = False) -> Iterator[str]:
    """A line each: those that are passed by position alone have a number, for their name means nothing."""
    try:
        of = list(inspect.signature(value).parameters.values())
    except ValueError:  # an exception that says no more than any
        return
    for number, one in enumerate(of[1:] if bound else of, 1):
        if one.name.startswith("_"):
            continue
        word = f"#{number}" if one.kind is one.POSITIONAL_ONLY else str(one.replace(annotation=one.empty))
        yield f"{name}({word.partition('=')[0]}{default(one)})"


def default(parameter: inspect.Parameter) -> str:
    """` = VALUE`, or nothing. Functions print their addresses, so they have one word."""
    value = parameter.default
    if value is parameter.empty:
        return ""
    return " = a function" if inspect.isfunction(value) else f" = {value!r}"
