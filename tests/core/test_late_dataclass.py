"""Data classes whose methods are made late are those of the standard library."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import pickle
import tomllib
from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import pytest

import engine
from engine.core import late_dataclass

ROOT = Path(engine.__file__).parent
T = TypeVar("T")
OF_NO_LAYER = {"engine/report/execution_timeline.py"}
"""May import nothing of the engine."""
INHERITING = {"engine/protocols/http/cors.py", "engine/services/s3/cors.py"}
"""One is the base of the other."""
OPTIONS = [
    {"frozen": frozen, "kw_only": kw_only, **further}
    for frozen in (True, False)
    for kw_only in (True, False)
    for further in ({}, {"eq": False, "repr": False})
]


def made(library, options):
    """The same class of each library, by the same name."""

    @library.dataclass(slots=True, **options)
    class Point(Generic[T]):
        """Somewhere."""

        ORIGIN: ClassVar = (0, 0)
        x: int
        y: T
        _: KW_ONLY
        tags: list[str] = field(default_factory=list, repr=False)
        seen: int = field(default=0, compare=False)
        norm: int = field(init=False)
        note: str | None = field(default=None, init=False)

        def __post_init__(self):
            object.__setattr__(self, "norm", abs(self.x) + abs(self.y))

    Point.__qualname__ = "Point"
    return Point


def facts(kind):
    """What can be asked of a class and its instances, before and after it has made any."""
    yield (kind.__name__, kind.__doc__, kind.__slots__, kind.__match_args__, kind.__parameters__)
    yield (str(inspect.signature(kind)), dataclasses.is_dataclass(kind), "x" in vars(kind))
    yield [(each.name, each.type, each.kw_only, each.init) for each in dataclasses.fields(kind)]
    one, same, other = (kind(x=x, y=2, seen=seen) for x, seen in ((1, 0), (1, 5), (3, 0)))
    yield (one == same, one == other, one != same, one == (1, 2, 3), one == copy.deepcopy(one))
    yield (dataclasses.asdict(one), hasattr(one, "__dict__"), one.tags is same.tags, kind.ORIGIN)
    yield repr(copy.copy(one)).partition(" object at ")[0]
    yield [
        told(act, one)
        for act in (
            lambda point: kind(1, 2, 3),
            lambda point: kind(y=1),
            lambda point: hash(point) if kind.__hash__ is not object.__hash__ else None,
            lambda point: setattr(point, "x", 4),
            lambda point: delattr(point, "y"),
            lambda point: dataclasses.replace(point, x=9).norm,
        )
    ]


def told(act, argument):
    """What it returns, or the error that it raises."""
    try:
        return act(argument)
    except Exception as error:
        return (
            isinstance(error, AttributeError),
            type(error) if isinstance(error, TypeError) else str(error),
        )


@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: " ".join(filter(options.get, options)) or "none"
)
def test_a_class_is_as_the_standard_library_makes_it(options):
    assert [*facts(made(dataclasses, options))] == [*facts(made(late_dataclass, options))]


def test_the_first_thing_that_is_asked_may_be_anything():
    """Each makes what the others need."""
    asked = [
        lambda kind: kind(x=1, y=2).norm,
        lambda kind: kind.__match_args__,
        lambda kind: len(dataclasses.fields(kind)),
        lambda kind: kind.__dataclass_params__.frozen,
        lambda kind: str(inspect.signature(kind.__init__)),
    ]

    for act in asked:
        assert act(made(dataclasses, {"frozen": True})) == act(made(late_dataclass, {"frozen": True}))


def test_values_of_the_engine_can_be_copied_and_sent():
    function = engine.Function("f", handler="app.handler", tags={"a": "b"})

    assert function == copy.deepcopy(function)
    assert function == pickle.loads(pickle.dumps(function))


def test_only_modules_that_are_compiled_have_data_classes_of_the_standard_library():
    """mypyc knows those alone; everywhere else they take ten times as long to import."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
    compiled = {path.lstrip("/") for path in hook["include"]}
    standard, late = set(), set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and "dataclass" in [alias.name for alias in node.names]:
                {"dataclasses": standard}.get(node.module, late).add(str(path.relative_to(ROOT.parent)))

    assert set() == standard - compiled - OF_NO_LAYER - INHERITING
    assert set() == late & compiled
