"""Names of the engine say what a thing is: one class for a name, and none of the words that were given up."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine

ROOT = Path(engine.__file__).parent

TWICE: dict[str, str] = {}
"""Class names that may stand in several modules, each with the reason. 12 public ones at most."""

GIVEN_UP = frozenset(
    re.findall(
        r"\w+",
        """
        advice alarm answering attachments bench birth born bring buried bury conduct courier
        cradle crew deaf desk dismiss drafts dress employ errand express fate feeds foresee
        fronts furnish guardian handover happening happenings hire holding house inbound intake
        keeper landlord lane lanes laws linger mail memo nest nestling nursery office orders
        outlet pace packed parcel rehearsal rouse rubbish scaler scratch settle shelf shop stamp
        stamps stock strike surroundings switch terms timekeeper timepiece told unborn vanish
        verdicts works
        """,
    )
)
"""Words by which parts were once called; docs/decisions/0026-plain-words.md says what they are called now."""


def definitions(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Kind and name of each class and function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", node.name


def words(name: str) -> set[str]:
    """The words of a name in any spelling: `FunctionQueue`, `_function_queue`, `function_queue.py`."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def classes(sources: dict[str, str]) -> dict[str, list[str]]:
    """In which files each class name stands."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file, source in sources.items():
        for kind, name in definitions(ast.parse(source)):
            if kind == "class":
                found[name].append(file)
    return found


def metaphors(sources: dict[str, str]) -> list[str]:
    """Files, classes and functions that have a word that was given up."""
    found = [f"{file}" for file in sources if words(file) & GIVEN_UP]
    for file, source in sources.items():
        found += [
            f"{file}: {kind} {name}"
            for kind, name in definitions(ast.parse(source))
            if words(name) & GIVEN_UP
        ]
    return found


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """The text of each file of the engine, by its path; without the copy of loadtests/ that a wheel has."""
    paths = (
        path for path in sorted(ROOT.rglob("*.py")) if not path.is_relative_to(ROOT / "resources/loadtests")
    )
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def test_a_class_name_stands_once(sources):
    """Who searches for a class finds one."""
    twice = {name: files for name, files in classes(sources).items() if len(files) > 1 and name not in TWICE}

    assert {} == twice


def test_the_names_that_may_stand_twice_do_and_are_few(sources):
    """An exception that is not needed any more is removed."""
    found = classes(sources)

    assert [] == [name for name in TWICE if len(found[name]) < 2]
    assert 12 >= sum(not name.startswith("_") for name in TWICE)


def test_no_name_has_a_word_that_was_given_up(sources):
    """In the name of a file, a class or a function."""
    assert [] == metaphors(sources)


def test_the_checks_see_what_is_wrong():
    """Each can fail, however the name is spelt."""
    sources = {
        "core/line.py": "class Queue:\n    def hire_all(self): ...",
        "runtime/desk.py": "class Queue: ...\nclass FrontDesk: ...\ndef shopping(): ...",
    }

    assert ["core/line.py", "runtime/desk.py"] == classes(sources)["Queue"]
    assert [
        "runtime/desk.py",
        "core/line.py: function hire_all",
        "runtime/desk.py: class FrontDesk",
    ] == metaphors(sources)
