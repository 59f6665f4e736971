"""Signs a request of the engine's own, as AWS asks of its clients: Signature Version 4.

Source: AWS General Reference, "Signature Version 4 signing process".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """A key pair, and the token of a session if it is one's."""

    access_key: str
    secret_key: str
    token: str | None = None


MADE_UP: Final = Credentials("test", "test")
"""For servers that check no signature."""


def signed(
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    host: str,
    service: str,
    region: str,
    credentials: Credentials,
    wall_s: float,
    path: str = "/",
) -> list[tuple[str, str]]:
    """The headers of a POST without a query, with those that sign it.

    Args:
        headers: What is sent besides.
        body: What is sent.
        host: Value of the header `Host`.
        service: Of the credential scope, such as `kinesis`.
        region: Of the credential scope.
        credentials: Whose request it is.
        wall_s: Seconds since the Unix epoch; AWS takes it if it is right to a few minutes.
        path: Of the target.
    """
    moment = datetime.fromtimestamp(wall_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = [("Host", host), *headers, ("X-Amz-Date", moment)]
    if credentials.token:
        sent.append(("X-Amz-Security-Token", credentials.token))
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    canonical = sorted((name.lower(), " ".join(value.split())) for name, value in sent)
    names = ";".join(name for name, _ in canonical)
    lines = "".join(f"{name}:{value}\n" for name, value in canonical)
    request = f"POST\n{quote(path, safe='/-_.~')}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (moment[:8], region, service, "aws4_request"):
        key = _hmac(key, part)
    signature = _hmac(key, f"{_ALGORITHM}\n{moment}\n{scope}\n{hashed}").hex()
    credential = f"Credential={credentials.access_key}/{scope}"
    authorization = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    return [*sent, ("Authorization", authorization)]


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
