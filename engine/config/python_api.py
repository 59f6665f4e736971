"""Configurations that no file holds: `Engine([Function(...)])` and `engine serve NAME=MODULE.FUNCTION`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from engine.config.configuration import LISTENERS, Config, DocumentOrigin, build
from engine.config.overrides import applied
from engine.config.problems import Place, Problem, dotted, show
from engine.config.settings import EngineSettings, FunctionSettings
from engine.core.function import Function
from engine.core.spelling import did_you_mean

_ROUTES: Final = ("/{name}", "/{name}/{{proxy+}}")


def from_functions(functions: Iterable[Function], **engine_keys: Any) -> Config:
    """Check functions made in Python by the rules of engine.toml; `engine_keys` are those of `[engine]`.

    `cluster` and `ray`, mappings, have those of `[cluster]` and `[ray]`. Relative code folders are relative
    to the working directory. Only listeners that are named are opened.

    Raises:
        ConfigError: With every problem, a line each.
    """
    named = tuple(name for name in LISTENERS if engine_keys.get(name) is not None)
    return _from_functions(functions, engine_keys, named)


def served_functions(functions: Iterable[Function], **engine_keys: Any) -> Config:
    """As `from_functions`, with all listeners: those that are not named have their default addresses."""
    return _from_functions(functions, engine_keys, LISTENERS)


def _from_functions(
    functions: Iterable[Function], engine_keys: Mapping[str, Any], listen: tuple[str, ...]
) -> Config:
    problems: list[Problem] = []
    tables: dict[str, Any] = {}
    given: list[object] = list(functions)
    for number, function in enumerate(given):
        if not isinstance(function, Function):
            problems.append(Problem(("functions", number), f"{show(function)} is not a Function"))
            continue
        if function.name in tables:
            problems.append(Problem(("functions", function.name), "two functions have this name"))
        tables[function.name] = FunctionSettings.of(function)
    elsewhere = {key: engine_keys[key] for key in ("cluster", "ray") if engine_keys.get(key) is not None}
    for key in engine_keys:
        if key not in EngineSettings.model_fields and key not in ("cluster", "ray"):
            hint = did_you_mean(key, EngineSettings.model_fields)
            problems.append(Problem(("engine", key), f"unknown key{hint}"))
    engine = {k: v for k, v in engine_keys.items() if k in EngineSettings.model_fields and v is not None}
    origin = DocumentOrigin(folder=os.getcwd(), problems=tuple(problems), listen=listen)
    config = build({"engine": engine, "functions": tables, **elsewhere}, origin)
    init_limits_s = {
        function.name: function.init_limit_s for function in given if isinstance(function, Function)
    }  # no table's key
    return config.changed(lambda function: replace(function, init_limit_s=init_limits_s[function.name]))


def from_targets(targets: Sequence[str], overrides: Mapping[str, Any] | None = None) -> Config:
    """`["hello=handlers.hello.handler", ...]`: functions by their handlers, as `engine serve` takes them.

    A name left out is the last part of the module (`handlers.hello.handler` is `hello`). One target
    gets every route; of several each gets `/NAME` and everything below it, any method.
    `overrides` are keys of `[engine]` and of every function.

    Raises:
        ConfigError: With every problem, a line each, named by target.
    """
    problems: list[Problem] = []
    tables: dict[str, Any] = {}
    for target in targets:
        name, handler = _split(target)
        if name in tables:
            known = tables[name]["handler"]
            sentence = f"{known!r} and {handler!r} have the same name; write NAME=MODULE.FUNCTION"
            problems.append(Problem(("functions", name), sentence))
        tables[name] = {"handler": handler}
    if len(tables) > 1:
        for name, table in tables.items():
            table["events"] = [_route(path.format(name=name)) for path in _ROUTES]
    document = applied({"functions": tables}, overrides or {})
    return build(document, DocumentOrigin(folder=os.getcwd(), spell=_spell_target, problems=tuple(problems)))


def _route(path: str) -> dict[str, str]:
    return {"type": "http", "method": "ANY", "path": path, "payload_format": "2.0"}


def _split(target: str) -> tuple[str, str]:
    name, equals, handler = target.partition("=")
    if equals and "/" not in name:
        return name, handler
    file, colon, _ = target.rpartition(":")
    module = file.removesuffix(".py") if colon else target.rpartition(".")[0]
    return module.replace("/", ".").rpartition(".")[2] or target, target


def _spell_target(place: Place) -> str:
    """`hello.memory_mb` and `concurrency_limit`: there are no tables on a command line."""
    return dotted(place[1:]) if len(place) > 1 else "targets"
