"""Objects are complete when they are made: no attribute appears later."""

import ast
from pathlib import Path

ENGINE = Path(__file__).parent.parent / "engine"
BEGINS = ("__init__", "__new__", "__enter__", "__aenter__")
"""A context manager may make at its beginning what it has to end."""


def set_on_self(node):
    """Names of the attributes of `self` that are set below `node`."""
    return {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute)
        and isinstance(inner.ctx, ast.Store)
        and isinstance(inner.value, ast.Name)
        and inner.value.id == "self"
    }


def declared(statement):
    """Names that a statement of a class's body declares: fields, class attributes, slots."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
            return set(ast.literal_eval(value))
        case ast.Assign(targets=[ast.Name(id=name)]):
            return {name}
    return set()


def late_attributes(tree):
    """Class and attribute, of those that another method is the first to set."""
    for kind in ast.walk(tree):
        if isinstance(kind, ast.ClassDef) and not kind.bases:  # what a base class sets is not looked for
            methods = [one for one in kind.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
            known = set().union(*map(declared, kind.body))
            known |= set().union(*(set_on_self(method) for method in methods if method.name in BEGINS))
            for name in sorted(set().union(*map(set_on_self, methods)) - known):
                yield f"{kind.name}.{name}"


def test_attributes_are_made_by_the_constructor():
    """Or where a context manager begins; else nobody could tell what an object has."""
    late = {
        (str(file.relative_to(ENGINE)), attribute)
        for file in ENGINE.rglob("*.py")
        for attribute in late_attributes(ast.parse(file.read_text()))
    }

    assert set() == late
