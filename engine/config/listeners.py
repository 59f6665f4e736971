"""`HOST:PORT`: where the engine listens, and whether others can reach it there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from engine.config.problems import show

EXPOSES: Final[Mapping[str, str]] = {
    "http": "every function with an HTTP event",
    "aws": "the API that invokes every function, without any authentication",
    "admin": "metrics and status",
}
"""What whoever reaches a listener can use."""
FULL_CONSOLE_EXPOSES: Final = (
    "metrics, logs and a page that invokes every function, without any authentication"
)
"""The same of the admin listener with `console = "full"`."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Listener(NamedTuple):
    """An address to listen at. Port 0 picks a free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listener(value: Any) -> Listener:
    """`127.0.0.1:3000`, `localhost:0` or `[::1]:3000` as a `Listener`.

    Raises:
        ValueError: It is none of these; the message is the end of a sentence about the key.
    """
    if isinstance(value, Listener):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not of the form 'HOST:PORT'")
    host, colon, port = value.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{show(value)} is not of the form 'HOST:PORT', such as '127.0.0.1:3000'")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{show(port)} in {show(value)} is not a port (0 to 65535)")
    return Listener(_host(host, value), int(port))


def _host(host: str, value: str) -> str:
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        numeric = re.fullmatch(r"[0-9.]+", bare)  # no host name: a mistyped IPv4 address
        if bracketed or numeric or not _HOST_NAME.fullmatch(bare):
            raise ValueError(f"{show(host)} in {show(value)} is not a host name or address") from None
        return bare
    if (address.version == 6) != bracketed:
        raise ValueError(f"{show(value)}: an IPv6 address, and only that, stands in brackets: '[::1]:3000'")
    return bare
