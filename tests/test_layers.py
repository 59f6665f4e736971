"""Imports point down only, and the pure layers stay pure: every import of `engine/` is parsed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import engine
from tests.late_imports import is_late

ROOT = Path(engine.__file__).parent

_GROUND = {"errors", "core"}
_SEAMS = _GROUND | {"version", "ports", "registry", "timer", "machine", "protocols", "packages"}
_SIBLINGS = (
    "runtime",
    "executors",
    "telemetry",
    "model",
)  # strangers to each other, and to services and sources
_PARTS = _SEAMS | {*_SIBLINGS, "services", "sources", "report", "resources"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "core": {"errors"},
    "version": set(),
    "ports": _GROUND,
    "registry": _GROUND,
    "machine": set(),
    "protocols": _GROUND | {"ports", "machine"},
    "packages": _GROUND | {"machine"},
    "timer": _GROUND | {"ports"},
    **dict.fromkeys(_SIBLINGS, _SEAMS),
    "model": _GROUND,
    "services": _SEAMS,
    "sources": _SEAMS | {"services"},
    "report": set(),
    "resources": set(),
    "config": _PARTS,
    "app": _PARTS | {"config"},
    "testing": _PARTS | {"config", "app"},
    "console": _PARTS | {"config", "app"},
    "load": _PARTS | {"config", "app"},
    "cli": _PARTS | {"config", "app", "console", "load"},
    "": _PARTS | {"config", "app"},  # engine/__init__.py: the public names
    "__main__": {"cli"},
}
PURE = {"core", "model"}
IMPURE = {"asyncio", "threading", "time", "datetime", "logging", "os", "socket"}
SEEDED = {"Random"}  # of `random`; everything else of it uses the one generator that all share


def modules() -> list[Path]:
    """All but the copy of loadtests/ that a wheel has."""
    return sorted(
        path for path in ROOT.rglob("*.py") if not path.is_relative_to(ROOT / "resources/loadtests")
    )


def layer_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def problems(source: str, layer: str) -> list[str]:
    """What `source`, a module of `layer`, imports or uses against the rules; one line each."""
    tree = ast.parse(source)
    found = [f"{node.lineno}: {text}" for node, name in imports(tree) for text in against(name, layer)]
    found += [f"{node.lineno}: {text}" for node in ast.walk(tree) for text in misuse(node, layer)]
    return sorted(found, key=lambda line: int(line.split(":")[0]))


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Each import statement with the dotted name it needs; `from engine import x` needs `engine.x`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = [f"engine.{alias.name}" for alias in node.names] if module == "engine" else [module]
            yield from ((node, name) for name in names)


def named_in(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """Each name that an import statement names, with the module it comes from: `engine.config.toml_file`."""
    above = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
    return [f"{above}{alias.name}" for alias in statement.names]


def against(name: str, layer: str) -> Iterator[str]:
    """Whether a module of `layer` may import `name`."""
    if name.startswith("."):
        yield f"relative import of {name}"
        return
    top, _, rest = name.partition(".")
    if top == "engine":
        target = rest.split(".")[0]
        if target != layer and target not in MAY_IMPORT[layer]:
            yield f"{layer or 'engine'} imports {name}"
    elif layer in PURE and top in IMPURE:
        yield f"{layer} is pure and imports {name}"


def misuse(node: ast.AST, layer: str) -> Iterator[str]:
    """Hidden imports, and randomness that was not passed in."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if layer != "registry":
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            yield from (f"import inside {node.name}" for n in inner if not all(map(is_late, named_in(n))))
        case ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING") | ast.alias("TYPE_CHECKING"):
            yield "TYPE_CHECKING"
        case ast.ImportFrom("random") if layer in PURE:
            yield from (f"random.{alias.name} is shared" for alias in node.names if alias.name not in SEEDED)
        case ast.Attribute(ast.Name("random"), attr) if layer in PURE and attr not in SEEDED:
            yield f"random.{attr} is shared"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_points_down(path):
    """Layers: cli > app, config > sources > services > ports, protocols, packages > core > errors."""
    found = problems(path.read_text(), layer_of(path))

    assert [] == found


def test_every_module_has_a_layer():
    """A new top-level package must be given its place here."""
    assert {layer_of(path) for path in modules()} <= MAY_IMPORT.keys()
    assert {"core", "errors", "ports"} <= {layer_of(path) for path in modules()}


def test_the_folders_of_the_model_point_down():
    """distributions < traffic < cost < simulation < queueing: none knows one above it."""
    order = ("distributions", "traffic", "cost", "simulation", "queueing")
    upward = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "model").rglob("*.py")
        for _, name in imports(ast.parse(path.read_text()))
        if name.startswith("engine.model.") and _place(name, order) > _place(_dotted(path), order)
    ]

    assert [] == upward
    assert set(order) == {path.stem for path in (ROOT / "model").iterdir() if path.stem[0] != "_"}


def _dotted(path: Path) -> str:
    return ".".join(("engine", *path.relative_to(ROOT).with_suffix("").parts))


def _place(module: str, order: tuple[str, ...]) -> int:
    part = module.split(".")[2]
    return order.index(part) if part in order else -1  # -1: `engine/model/__init__.py`


def imported_directly(source: str, known: Iterable[str]) -> set[str]:
    """Modules of the engine that `source` names in its imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(known)
            found |= inner or {node.module or ""}
    return found & set(known)


def circle_in(tree: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle, in order; empty if there is none."""
    imports_of = {name: imported_directly(source, tree) for name, source in tree.items()}
    finished: set[str] = set()

    def search(name: str, path: tuple[str, ...]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in finished:
            return []
        for lower in sorted(imports_of[name]):
            if circle := search(lower, (*path, name)):
                return circle
        finished.add(name)
        return []

    return next(filter(None, (search(name, ()) for name in tree)), [])


def test_no_modules_import_each_other_in_a_circle():
    """Also not for annotations only: `TYPE_CHECKING` and imports inside functions are refused above."""
    assert [] == circle_in(sources())


def test_a_circle_would_be_found():
    """However long it is."""
    tree = {
        "engine.a": "import engine.b",
        "engine.b": "from engine import c",
        "engine.c": "from engine.a import x",
    }

    assert ["engine.a", "engine.b", "engine.c", "engine.a"] == circle_in(tree)


def test_no_folder_two_levels_down_holds_more_than_an_eighth_of_the_code():
    """A folder that grows larger has two subjects: 12 % of the lines of `engine/` at most."""
    lines: Counter[str] = Counter()
    for path in modules():
        folders = path.relative_to(ROOT).parts[:-1]
        lines["/".join(folders[:2])] += len(path.read_text().splitlines())
    limit = 0.12 * lines.total()

    assert {} == {folder: count for folder, count in lines.items() if "/" in folder and count > limit}


def test_the_layers_have_no_cycle():
    """Each layer's reach ends at errors: otherwise "down" would mean nothing."""

    def reach(layer: str, above: tuple[str, ...]) -> None:
        assert layer not in above
        for lower in MAY_IMPORT[layer]:
            reach(lower, (*above, layer))

    for layer in MAY_IMPORT:
        reach(layer, ())


@pytest.mark.parametrize(
    ("layer", "source", "expected"),
    [
        ("core", "from engine.runtime.clock import Clock", "core imports engine.runtime.clock"),
        ("core", "from engine import ports", "core imports engine.ports"),
        ("core", "from engine import Engine", "core imports engine.Engine"),
        ("core", "import engine.ports", "core imports engine.ports"),
        ("core", "import time", "core is pure and imports time"),
        ("core", "from os.path import join", "core is pure and imports os.path"),
        ("model", "import asyncio", "model is pure and imports asyncio"),
        ("core", "import random\nx = random.random()", "random.random is shared"),
        ("model", "from random import Random, choice", "random.choice is shared"),
        ("sources", "from engine.executors import loop", "sources imports engine.executors"),
        ("telemetry", "import engine.runtime.driver", "telemetry imports engine.runtime.driver"),
        ("protocols", "from engine.sources.http import routes", "protocols imports engine.sources.http"),
        (
            "ports",
            "from engine.protocols.http.server import Server",
            "ports imports engine.protocols.http.server",
        ),
        ("registry", "from engine.ports import Sink", "registry imports engine.ports"),
        ("model", "from engine.registry import names", "model imports engine.registry"),
        ("config", "from engine.app import Engine", "config imports engine.app"),
        ("app", "from engine.cli import main", "app imports engine.cli"),
        ("app", "from engine.testing import FakeExecutor", "app imports engine.testing"),
        ("cli", "import engine.testing", "cli imports engine.testing"),
        ("runtime", "from . import clock", "relative import of ."),
        ("runtime", "from ..core import event", "relative import of ..core"),
        ("runtime", "def f():\n    import json", "import inside f"),
        ("cli", "def f():\n    import json, rich", "import inside f"),
        ("cli", "async def f():\n    if 1:\n        from json import loads", "import inside f"),
        ("app", "from typing import TYPE_CHECKING", "TYPE_CHECKING"),
        ("app", "import typing\nif typing.TYPE_CHECKING:\n    pass", "TYPE_CHECKING"),
    ],
)
def test_the_checker_sees_what_is_wrong(layer, source, expected):
    """Each rule can fail."""
    assert expected in [line.partition(": ")[2] for line in problems(source, layer)]


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("core", "import random\ndef f(rng: random.Random): return rng.random()"),
        ("core", "from engine.core.event import Event\nfrom engine.errors import EngineError"),
        ("protocols", "from engine.ports import Clock"),
        ("runtime", "import asyncio, time\nfrom engine.ports import Clock"),
        ("registry", "def f():\n    import importlib.metadata"),
        ("cli", "def f():\n    from rich.console import Console"),
        ("runtime", "try:\n    import uvloop\nexcept ImportError:\n    uvloop = None"),
        ("testing", "from engine.app import Engine\nfrom engine.runtime.clock import RealClock"),
        ("", "from engine.app import Engine"),
    ],
)
def test_the_checker_lets_pass_what_is_right(layer, source):
    """No rule is stricter than it says."""
    assert [] == problems(source, layer)


CHILD = "engine.executors.process.child"
PARENT = "engine.executors.process.parent"
STREAMS = "engine.executors.streamed_pieces"
RUNS_COROUTINES = {"_run_coroutine", "_serve_tasks", "until_free"}
"""Functions of the child in which `asyncio` is imported: of the handlers it serves, most never need it."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> dict[str, str]:
    """Every module of the engine by its dotted name."""
    return {module_name(path): path.read_text() for path in modules()}


def needed_by(name: str, source: str, known: Iterable[str]) -> set[str]:
    """Modules of the engine that `source` imports, with the packages that are imported on the way."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    packages = {".".join(one.split(".")[:count]) for one in found for count in range(1, one.count(".") + 1)}
    return (found | packages) & set(known) - {name, "engine"}


def reach_of_the_child(tree: dict[str, str]) -> set[str]:
    """What runs in a child: the modules of its folder, and all that they import, directly or not."""
    reached: set[str] = set()
    pending = [name for name in tree if name.startswith(CHILD)]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += needed_by(name, tree[name], tree)
    return reached


def allowed_in_a_child(name: str) -> bool:
    """The pure rules, what the machine has, and of the executors whatever is no executor itself."""
    layer, _, rest = name.removeprefix("engine.").partition(".")
    top = rest.split(".")[0]
    return layer in {"errors", "core", "machine"} or (
        layer == "executors"
        and top not in {"loop", "thread", "runtime_api"}
        and not name.startswith((PARENT, "engine.executors.process.admission"))
    )


def uses_of_asyncio(source: str) -> list[str]:
    """The innermost named scope of every import of `asyncio`, also by `import_module`."""
    found: list[str] = []

    def visit(node: ast.AST, scope: str) -> None:
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                scope = name
            case ast.Import() if any(alias.name.split(".")[0] == "asyncio" for alias in node.names):
                found.append(scope)
            case ast.ImportFrom(module) if (module or "").split(".")[0] == "asyncio":
                found.append(scope)
            case ast.Constant("asyncio"):
                found.append(scope)
        for inner in ast.iter_child_nodes(node):
            visit(inner, scope)

    visit(ast.parse(source), "")
    return found


def test_the_child_reaches_nothing_of_the_engines_side():
    """A child is forked a thousand times: it has no server, and no hold on the engine but its socket."""
    assert [] == sorted(name for name in reach_of_the_child(sources()) if not allowed_in_a_child(name))


def test_the_engines_side_of_processes_imports_nothing_of_the_child():
    """What both need is in `protocol` and `spec`, beside them."""
    tree = sources()
    needed = {one for name in tree if name.startswith(PARENT) for one in needed_by(name, tree[name], tree)}

    assert [] == sorted(one for one in needed if one.startswith(CHILD))


def test_a_child_imports_asyncio_only_where_it_runs_coroutines():
    """Nothing that a child reaches does so elsewhere."""
    tree = sources()
    found = {
        f"{name}: {scope}"
        for name in reach_of_the_child(tree)
        for scope in uses_of_asyncio(tree[name])
        if not (name.startswith((CHILD, STREAMS)) and scope in RUNS_COROUTINES)
    }

    assert set() == found


def test_the_checker_of_the_child_sees_what_is_wrong():
    """Each rule of the child can fail, however indirectly it is broken."""
    tree = {
        f"{CHILD}.a": "from engine.executors import helper",
        "engine.executors": "",
        "engine.executors.helper": "from engine.executors.process.parent.executor import ProcessExecutor",
        f"{PARENT}.executor": "import engine.runtime.driver",
        "engine.runtime.driver": "",
    }
    wrong = {name for name in reach_of_the_child(tree) if not allowed_in_a_child(name)}

    assert {f"{PARENT}.executor", "engine.runtime.driver"} == wrong
    assert ["f"] == uses_of_asyncio("def f():\n    import_module('asyncio')")
    assert [""] == uses_of_asyncio("from asyncio import run")
