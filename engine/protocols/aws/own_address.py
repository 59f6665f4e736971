"""The address of this endpoint, as a client reached it: for URLs in answers."""

from __future__ import annotations

import re
from typing import Final

from engine.protocols.http.message import Request

_HOST: Final = re.compile(rb"[A-Za-z0-9.:\[\]_-]{1,255}")


def own_url(request: Request) -> str:
    """`http://HOST:PORT` without a slash at its end, with the host that the client used."""
    host = request.header(b"host") or b""
    return f"http://{host.decode() if _HOST.fullmatch(host) else 'localhost'}"
