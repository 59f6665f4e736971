"""The request target taken apart: path, query string, and the query's pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

_ASCII: Final = "".join(map(chr, range(128)))

Pairs = list[tuple[str, str]]


def split_target(target: bytes) -> tuple[str, str]:
    """Percent-encoded path and query of an origin-form or absolute-form target.

    Bytes beyond ASCII, which no target should have, are percent-encoded here.

    `*` and the authority form (CONNECT) come back as they are: no route starts like them.
    """
    text = target.decode() if target.isascii() else quote(target, safe=_ASCII)
    if not text.startswith("/") and "://" in text:
        _, _, rest = text.partition("://")
        text = rest[_end_of_authority(rest) :]
        if not text.startswith("/"):
            text = "/" + text
    path, _, query = text.partition("#")[0].partition("?")
    return path, query


def _end_of_authority(text: str) -> int:
    found = [place for mark in "/?#" if (place := text.find(mark)) >= 0]
    return min(found, default=len(text))


def sent_pairs(query: str) -> Pairs:
    """Names and values exactly as sent, in order; a name without `=` has the value ''."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value))
    return pairs


def decoded_pairs(query: str) -> Pairs:
    """The same, URL-decoded: `+` and `%20` are spaces; bytes that are not UTF-8 become U+FFFD."""
    pairs = sent_pairs(query)
    if "%" not in query and "+" not in query:
        return pairs
    return [(unquote_plus(name), unquote_plus(value)) for name, value in pairs]


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name: repeated ones joined by a comma."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each name, in order."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def shown_path(path: str) -> str:
    """`path` as events of an HTTP API have it: decoded, and cut at a `?` that was encoded.

    Source: public captures of events, hotsock/voker#8 (2026).
    """
    return decoded_path(path).partition("?")[0]


def decoded_path(path: str) -> str:
    """`path` URL-decoded; a `+` stays, bytes that are not UTF-8 become U+FFFD."""
    return unquote(path) if "%" in path else path
