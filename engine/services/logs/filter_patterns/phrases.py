"""Patterns of terms: `ERROR "not found" -retry`, `?this ?that`, `%regular expression%`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from engine.services.logs.filter_patterns.scanner import BadPattern, Scanner

_WORD: Final = re.compile(r"\w+")

Test = Callable[[str], bool]


def term_pattern(scanner: Scanner) -> Test:
    """Whether a message has all terms, none with `-`; terms with `?` count only if there are no others."""
    terms: dict[str, list[Test]] = {"": [], "-": [], "?": []}
    while not scanner.at_end():
        sign = next((sign for sign in "-?" if scanner.take(sign)), "")
        terms[sign].append(_term(scanner))
    required, excluded, optional = terms.values()
    if optional and not required and not excluded:
        return lambda message: any(term(message) for term in optional)
    return lambda message: (
        all(term(message) for term in required) and not any(term(message) for term in excluded)
    )


def _term(scanner: Scanner) -> Test:
    if (regex := scanner.regex()) is not None:
        return regex
    phrase = scanner.quoted()
    if phrase == "":
        raise BadPattern("Invalid character(s) in term '\"\"'")
    if phrase is None:
        phrase = scanner.match(_WORD)
    if phrase is None:
        raise scanner.unexpected()
    if not phrase.strip():
        return lambda _message: True  # `" "` stands for everything
    text = phrase
    return lambda message: text in message
