"""A filter pattern of any kind to a function of a message."""

from __future__ import annotations

from collections.abc import Callable

from engine.services.logs.filter_patterns.columns import column_pattern
from engine.services.logs.filter_patterns.json_fields import json_pattern
from engine.services.logs.filter_patterns.phrases import term_pattern
from engine.services.logs.filter_patterns.scanner import BadPattern, Scanner

__all__ = ["BadPattern", "compiled"]


def compiled(pattern: str) -> Callable[[str], bool]:
    """Whether a message matches `pattern`; an empty one matches every message.

    Raises:
        BadPattern: It follows no syntax; the text is AWS's.
    """
    scanner = Scanner(pattern)
    if scanner.take("{"):
        return json_pattern(scanner)
    if scanner.take("["):
        return column_pattern(scanner)
    return term_pattern(scanner)
