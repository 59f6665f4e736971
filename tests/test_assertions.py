"""What every test file keeps to: in a comparison the expected value stands first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


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


def test_the_expected_value_stands_first() -> None:
    found = {
        str(path.relative_to(TESTS)): lines
        for path in sorted(TESTS.rglob("*.py"))
        if (lines := actual_first(path.read_text(encoding="utf-8")))
    }

    assert {} == found


def test_an_assertion_the_other_way_round_is_found() -> None:
    source = "assert f() == [1, -2]\nassert all(one.size == 3 for one in x)\nassert 3 == f()\nassert a == b"

    assert [1, 2] == actual_first(source)
