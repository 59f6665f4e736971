"""The files of the console's page, as they lie in the package: no build step, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Final

from engine.protocols.http.message import Request, header_block

FOLDER: Final = Path(__file__).parent / "static"

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
SAFE: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)
"""Headers of every answer: scripts and styles come from files of this listener alone, nothing is framed."""


def static_pages() -> Iterator[tuple[bytes, Callable[[Request], None]]]:
    """Each file by its path below `/console/`; the page itself at `/`."""
    read = cache(Path.read_bytes)  # when it is first asked for
    for path in sorted(FOLDER.iterdir()):
        if path.suffix not in _TYPES:
            continue
        head = header_block([("content-type", _TYPES[path.suffix]), ("cache-control", "no-cache"), *SAFE])
        where = b"/" if path.name == "index.html" else b"/console/" + path.name.encode()
        yield where, partial(_answer, head, partial(read, path))


def _answer(head: bytes, read: Callable[[], bytes], request: Request) -> None:
    request.respond(200, head, read())
