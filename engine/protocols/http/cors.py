"""Cross-origin resource sharing: what a bucket, a function URL or an HTTP API says to browsers.

Source: Fetch Standard, "CORS protocol"; Amazon S3 User Guide, "Elements of a CORS configuration"; API Gateway
Developer Guide, "Configure CORS for HTTP APIs"; Lambda API reference, Cors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.protocols.http.message import Request, header_block

ANY: Final = "*"
VARY: Final = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, kw_only=True)
class Cors:
    """One rule. Lists may hold `*`; an origin may have one in the place of any text, as in `https://*.example.com`.

    Attributes:
        origins: As browsers send them.
        methods: In capitals.
        headers: Which a page may send, besides those it always may.
        expose: Which of the answer it may read, besides those it always may.
        max_age_s: How long a browser may remember the answer to a preflight; None says nothing.
        credentials: Whether a page may send cookies, and `Authorization` of the browser's own.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...] = (ANY,)
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age_s: int | None = None
    credentials: bool = False

    def names(self, origin: str) -> bool:
        """Whether it is for `origin` in particular, and not for every page there is."""
        return any(is_named(pattern) and _matches(pattern, origin) for pattern in self.origins)

    def takes(self, origin: str, method: str, headers: tuple[str, ...] = ()) -> bool:
        """Whether pages of `origin` may send this."""
        return (
            any(_matches(pattern, origin) for pattern in self.origins)
            and (method in self.methods or ANY in self.methods)
            and all(any(_matches(one, header) for one in self.headers) for header in headers)
        )

    def shown_origin(self, origin: str) -> str:
        """What `Access-Control-Allow-Origin` says."""
        return ANY if ANY in self.origins and not self.credentials else origin

    def head(self, origin: str) -> bytes:
        """The header lines of any answer to a page of `origin`."""
        pairs = [("access-control-allow-origin", self.shown_origin(origin)), ("vary", "Origin")]
        if self.credentials:
            pairs.append(("access-control-allow-credentials", "true"))
        if self.expose:
            pairs.append(("access-control-expose-headers", ", ".join(self.expose)))
        return header_block(pairs)

    def preflight_head(self, preflight: Preflight) -> bytes:
        """The header lines that let the page send what it asks for."""
        pairs = [
            ("access-control-allow-origin", self.shown_origin(preflight.origin)),
            (
                "access-control-allow-methods",
                preflight.method if ANY in self.methods else ", ".join(self.methods),
            ),
            ("vary", VARY),
        ]
        if preflight.headers:
            pairs.append(("access-control-allow-headers", ", ".join(preflight.headers)))
        if self.credentials:
            pairs.append(("access-control-allow-credentials", "true"))
        if self.expose:
            pairs.append(("access-control-expose-headers", ", ".join(self.expose)))
        if self.max_age_s is not None:
            pairs.append(("access-control-max-age", str(self.max_age_s)))
        return header_block(pairs)


@dataclass(frozen=True)
class Preflight:
    """What a browser asks before it sends a page's request."""

    origin: str
    method: str
    headers: tuple[str, ...]


def preflight_of(request: Request) -> Preflight | None:
    """The preflight that `request` is, or None."""
    if request.method != "OPTIONS":
        return None
    origin, method = request.header(b"origin"), request.header(b"access-control-request-method")
    if origin is None or method is None:
        return None
    asked = (request.header(b"access-control-request-headers") or b"").decode("latin-1")
    headers = tuple(name.strip().lower() for name in asked.split(",") if name.strip())
    return Preflight(origin.decode("latin-1"), method.decode("latin-1"), headers)


def is_named(pattern: str) -> bool:
    """Whether an origin of a configuration stands for chosen sites: `*` and `https://*.com` do not."""
    before, star, after = pattern.partition("*")
    if not star:
        return pattern.lower() != "null"  # what any page can be
    return before.endswith("://") and after.startswith(".") and "." in after[1:] and "*" not in after


def _matches(pattern: str, text: str) -> bool:
    """Each asterisk stands for any text. Parts are looked for from the left, once: that is enough."""
    text = text.lower()
    begin, *parts = pattern.lower().split("*")
    if not parts:
        return begin == text
    *parts, end = parts
    at, stop = len(begin), len(text) - len(end)
    if at > stop or not text.startswith(begin) or not text.endswith(end):
        return False
    for part in parts:
        found = text.find(part, at, stop)
        if found < 0:
            return False
        at = found + len(part)
    return True
