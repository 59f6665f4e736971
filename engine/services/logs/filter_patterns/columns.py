"""Patterns of columns: `[ip, user, ..., status = 4* || status = 5*, bytes > 1000]`.

A line's columns are separated by spaces; what stands in double quotes or brackets is one. The guide's own
examples have lines longer than their pattern (`[w1=ERROR, w2]`): a last column without a condition stands for
all that follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from engine.services.logs.filter_patterns.conditions import Scalar, condition
from engine.services.logs.filter_patterns.scanner import BadPattern, Scanner, expression

_NAME: Final = re.compile(r"[\w$-]+")
_COLUMN: Final = re.compile(r'"(?P<quoted>[^"]*)"|\[(?P<bracketed>[^\]]*)\]|(?P<plain>\S+)')

Test = Callable[[Scalar], bool]


def column_pattern(scanner: Scanner) -> Callable[[str], bool]:
    """Whether the columns of a message match; read from behind the opening bracket."""
    before: list[Test | None] = []
    after: list[Test | None] | None = None
    if not scanner.take("]"):
        while True:
            if scanner.take("..."):
                if after is not None:
                    raise BadPattern("Invalid filter pattern")
                after = []
            else:
                (before if after is None else after).append(_column(scanner))
            if not scanner.take(","):
                break
        scanner.expect("]")
    if not scanner.at_end():
        raise scanner.unexpected()
    if after is None and (not before or before[-1] is None):
        before, after = before[:-1], []
        return _test(before, after, at_least=len(before) + bool(before))
    return _test(before, after or [], at_least=0, is_exact=after is None)


def _column(scanner: Scanner) -> Test | None:
    """The conditions on one column; None if it has only a name, or nothing."""
    has_condition = False

    def leaf() -> Test:
        nonlocal has_condition
        name = scanner.match(_NAME)
        holds = condition(scanner)
        if holds is None:
            if name is None:
                raise scanner.unexpected()
            return lambda _value: True
        has_condition = True
        return holds

    if scanner.is_next(",", "]"):
        return None
    test = expression(scanner, leaf)
    return test if has_condition else None


def _test(
    before: Sequence[Test | None], after: Sequence[Test | None], *, at_least: int, is_exact: bool = False
) -> Callable[[str], bool]:
    needed = max(len(before) + len(after), at_least)

    def test(message: str) -> bool:
        columns = _columns(message)
        if len(columns) < needed or (is_exact and len(columns) != needed):
            return False
        last = columns[len(columns) - len(after) :]
        pairs = [*zip(before, columns, strict=False), *zip(after, last, strict=True)]
        return all(holds is None or holds(column) for holds, column in pairs)

    return test


def _columns(message: str) -> list[str]:
    return [found[found.lastgroup or 0] for found in _COLUMN.finditer(message)]
