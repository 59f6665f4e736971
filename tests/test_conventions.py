"""What every test file keeps to: the expected value stands first, and the engine is seen from outside."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ALLOWED = {
    "_replace": "public, of named tuples",
    "_exit": "public, of os",
    "_getframe": "public, of sys",
    "_epoch_deadline_time_in_ms": "AWS's name, which handlers read",
    "_get_handler": "of AWS's client, which is compared with",
    "_run": "of asyncio's handles, which a bench measures",
}


def compared(claim: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What an assertion compares for equality, for itself or for all of some items: left, right."""
    match claim:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            yield left, right
        case ast.Call(func=ast.Name("all"), args=[ast.GeneratorExp(elt=ast.expr() as each)]):
            yield from compared(each)


def literal(value: ast.expr) -> bool:
    """Written out, so that it can only be what is expected."""
    match value:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=part):
            return literal(part)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return all(map(literal, parts))
        case ast.Dict(keys=keys, values=values):
            return all(key is not None and literal(key) for key in keys) and all(map(literal, values))
        case ast.BinOp(left=left, right=right):
            return literal(left) and literal(right)
        case ast.Call(func=ast.Attribute(attr="approx") | ast.Name("set" | "range"), args=parts):
            return all(map(literal, parts))
    return False


def actual_first(source: str) -> list[int]:
    """The lines whose assertion has its literal on the right."""
    claims = [
        (node.lineno, node.test) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)
    ]
    return [
        line
        for line, claim in claims
        for left, right in compared(claim)
        if literal(right) and not literal(left)
    ]


def private(tree: ast.AST) -> list[int]:
    """The lines that use a private attribute of something else than `self`, `cls` or `super()`."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and node.attr not in ALLOWED
        and ast.unparse(node.value) not in ("self", "cls", "super()")
    ]


def patched(tree: ast.AST) -> list[int]:
    """The lines that put something of a test's in the place of a name of the engine's."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and re.match(r"monkeypatch\.setattr\(['\"]engine\.|(mock\.)?patch(\.object)?\(", ast.unparse(node))
    ]


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.AST]:
    """Every file of the tests, parsed."""
    return {
        str(path.relative_to(TESTS)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(TESTS.rglob("*.py"))
    }


@pytest.mark.parametrize("rule", [actual_first, private, patched])
def test_every_file_keeps_to(rule: Callable[[ast.AST], list[int]], trees: dict[str, ast.AST]) -> None:
    found = {name: lines for name, tree in trees.items() if (lines := rule(tree))}

    assert {} == found


def test_what_does_not_is_found() -> None:
    orders = ast.parse(
        "assert f() == [1, -2]\nassert all(x.n == 3 for x in y)\nassert 3 == f()\nassert a == b"
    )
    uses = ast.parse("one._size\nself._size\none.two._three\npoint._replace(x=1)\none.__dict__")

    assert [1, 2] == actual_first(orders)
    assert [1, 3] == private(uses)
    assert [1] == patched(
        ast.parse("monkeypatch.setattr('engine.x.LIMIT', 1)\nmonkeypatch.setattr(sys, 'path', [])")
    )
