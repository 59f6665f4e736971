"""docs/architecture.md is true: the files and methods that it names are there."""

import ast
import re

from tests.docs.pages import FENCE, ROOT

FILE = re.compile(r"`([\w/]+\.py)`")
METHOD = re.compile(r"`([A-Z]\w+)\.(\w+)`")


def prose():
    """The page without its fenced blocks."""
    return FENCE.sub("", (ROOT / "docs" / "architecture.md").read_text())


def classes():
    """Class name to the names in its body, and those in the bodies of its bases."""
    own, bases = {}, {}
    for path in ROOT.glob("engine/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                named = {one.name for one in node.body if hasattr(one, "name")}
                named |= {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}
                own.setdefault(node.name, set()).update(named)
                bases.setdefault(node.name, []).extend(ast.unparse(base) for base in node.bases)
    return {name: own[name].union(*(own.get(base, ()) for base in bases[name])) for name in own}


def test_every_file_that_is_named_is_there():
    """Below the engine's folder, one of its folders, or the root."""
    there = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/**/*.py")}
    missing = {
        name
        for name in FILE.findall(prose())
        if not any(path == name or path.endswith(f"/{name}") for path in there)
    }

    assert set() == missing


def test_every_method_that_is_named_is_there():
    """Whoever follows a walk finds each step."""
    known = classes()

    assert set() == {
        (name, method) for name, method in METHOD.findall(prose()) if method not in known.get(name, ())
    }
