"""Patterns of fields in JSON: `{ $.level = "ERROR" && ($.latency > 100 || $.user.id NOT EXISTS) }`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson

from engine.services.logs.filter_patterns.conditions import condition
from engine.services.logs.filter_patterns.scanner import BadPattern, Scanner, expression

_NAME: Final = re.compile(r"[\w-]+|\*")
_INDEX: Final = re.compile(r"\d+|\*", re.ASCII)
_KEY: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_IS: Final = re.compile(r"IS\b")
_NOT_EXISTS: Final = re.compile(r"NOT\s+EXISTS\b")
_CONSTANT: Final = re.compile(r"(?:NULL|TRUE|FALSE)\b")
_CONSTANTS: Final = {"NULL": None, "TRUE": True, "FALSE": False}

Step = str | int | None
"""A name, the number of an element, or None for all of them."""


def json_pattern(scanner: Scanner) -> Callable[[str], bool]:
    """Whether a message is a JSON document that matches; read from behind the opening brace."""
    matches = expression(scanner, lambda: _leaf(scanner))
    scanner.expect("}")
    if not scanner.at_end():
        raise scanner.unexpected()

    def test(message: str) -> bool:
        if message.lstrip()[:1] not in ("{", "["):
            return False
        try:
            document = orjson.loads(message)
        except ValueError:
            return False
        return matches(document)

    return test


def _leaf(scanner: Scanner) -> Callable[[Any], bool]:
    steps = _selector(scanner)
    if scanner.match(_NOT_EXISTS):
        return lambda document: not any(True for _ in _selected(document, steps))
    if scanner.match(_IS):
        word = scanner.match(_CONSTANT)
        if word is None:
            raise scanner.unexpected()
        constant = _CONSTANTS[word]
        return lambda document: any(value is constant for value in _selected(document, steps))
    holds = condition(scanner)
    if holds is None:
        raise scanner.unexpected()
    return lambda document: any(
        isinstance(value, str | int | float) and holds(value) for value in _selected(document, steps)
    )


def _selector(scanner: Scanner) -> Sequence[Step]:
    """`$.user.emails[0]`, `$.*`, `$.['a.b']`."""
    start = scanner.position()
    scanner.expect("$")
    steps: list[Step] = []
    while True:
        dotted = scanner.take(".")
        if scanner.take("["):
            steps.append(_bracketed(scanner))
        elif dotted:
            name = scanner.match(_NAME, adjacent=True)
            if name is None:
                raise scanner.unexpected(start)
            steps.append(None if name == "*" else name)
        else:
            break
    if not steps:
        raise scanner.unexpected()
    if steps.count(None) > 1:
        raise BadPattern("Invalid filter pattern")
    return steps


def _bracketed(scanner: Scanner) -> Step:
    key, index = scanner.match(_KEY), None
    if key is None and (index := scanner.match(_INDEX)) is None:
        raise scanner.unexpected()
    scanner.expect("]")
    if key is not None:
        return key[1:-1]
    return None if index == "*" else int(index or 0)


def _selected(document: Any, steps: Sequence[Step]) -> Iterator[Any]:
    """The values that the steps lead to; none if they lead nowhere."""
    for number, step in enumerate(steps):
        if isinstance(document, dict):
            if step is None:
                for value in document.values():
                    yield from _selected(value, steps[number + 1 :])
                return
            if step not in document:
                return
            document = document[step]
        elif isinstance(document, list) and not isinstance(step, str):
            if step is None:
                for value in document:
                    yield from _selected(value, steps[number + 1 :])
                return
            if step >= len(document):
                return
            document = document[step]
        else:
            return
    yield document
