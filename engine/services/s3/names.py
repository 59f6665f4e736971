"""Where in a request the names of buckets and keys are, and which keys are valid.

Source: Amazon S3 User Guide, "Naming Amazon S3 objects", "Virtual hosting of buckets".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from engine.protocols.http.request_gate import OWN_HOSTS
from engine.services.s3.errors import S3Error

LONGEST_KEY: Final = 1024
"""Bytes of UTF-8."""

_AWS_HOST: Final = re.compile(r"(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")


def decoded_key(raw: bytes) -> str:
    """A key as it stands in a path or a copy source: percent-encoded UTF-8.

    Raises:
        S3Error: It is not UTF-8, or too long.
    """
    data = unquote_to_bytes(raw) if b"%" in raw else raw
    if len(data) > LONGEST_KEY:
        raise S3Error("KeyTooLongError", details={"Size": str(len(data)), "MaxSizeAllowed": str(LONGEST_KEY)})
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI") from None


def checked_key(key: str) -> str:
    """A key that came as text. Raises S3Error if it is too long or not valid text."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise S3Error("InvalidURI") from None
    if size > LONGEST_KEY:
        raise S3Error("KeyTooLongError", details={"Size": str(size), "MaxSizeAllowed": str(LONGEST_KEY)})
    return key


class Hosts:
    """Finds the bucket in the host that a request names."""

    def __init__(self, own: Iterable[str] = OWN_HOSTS) -> None:
        self._own = tuple(sorted((host.lower() for host in own), key=len, reverse=True))
        self._path_style = frozenset(self._own)

    def bucket(self, host: bytes) -> str | None:
        """The bucket of a virtual host; None for a path-style request."""
        name = host.decode("latin-1").lower()
        if not name.startswith("["):
            name = name.partition(":")[0]
        name = name.rstrip(".")
        if name in self._path_style or not name or name[-1].isdigit() or name.endswith("]"):
            return None
        for own in self._own:
            if name.endswith(f".{own}"):
                return name[: -len(own) - 1]
        found = _AWS_HOST.fullmatch(name)
        return found[1] if found else None
