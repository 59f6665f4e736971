"""What all samples share: the account, a clock that stands still, and ids that are the same on every run."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, Final, NamedTuple

from engine.core.function import Account

EPOCH_S: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z, in seconds since the Unix epoch."""

ACCOUNT: Final = Account()
MOST_RECORDS: Final = 10_000
"""Of one event."""
PEER: Final = "127.0.0.1"


class StillClock(NamedTuple):
    """A clock that stands still."""

    wall_s: float

    def now(self) -> float:
        """As `wall`."""
        return self.wall_s

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return self.wall_s


class SampleIds:
    """Ids that are made of what they are for: the same on every run, and others for another `salt`."""

    def __init__(self, salt: str = "") -> None:
        self._salt = (salt,) if salt else ()

    def __call__(self, *parts: object) -> str:
        """Text of a UUID."""
        return str(uuid.UUID(bytes=self.digest(*parts)[:16], version=4))

    def digest(self, *parts: object) -> bytes:
        """32 bytes."""
        return hashlib.sha256(repr((*self._salt, *parts)).encode()).digest()


def text_of(value: Any) -> str:
    """Text as it is, any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
