"""Events of buckets, of which notifications are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

_SHIFT: Final = 16


class RestoredCopy(NamedTuple):
    """Of an archived object: where it is archived, and until when its copy can be read, since the epoch."""

    storage_class: str
    until_s: float


class ObjectEvent(NamedTuple):
    """One change of one object.

    Attributes:
        event: `ObjectCreated:Put`, ...: without `s3:`.
        bucket, key: As stored, not encoded.
        region: The bucket's.
        version_id: None where the bucket is not versioned.
        size: Bytes; None where AWS leaves it out.
        etag: Without quotes; None where AWS leaves it out.
        peer: The client's address.
        request_id, host_id: As answered.
        restored: Of events of a restore.
    """

    event: str
    bucket: str
    region: str
    key: str
    version_id: str | None
    size: int | None
    etag: str | None
    peer: str
    request_id: str
    host_id: str
    restored: RestoredCopy | None = None


class Sequencers:
    """Hands out sequencers: 18 hex digits that only grow, over restarts too if the wall clock does."""

    __slots__ = ("_last", "_wall_s")

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._last = 0

    def next(self) -> str:
        """A sequencer larger than all before."""
        self._last = max(self._last + 1, int(self._wall_s() * 1_000_000) << _SHIFT)
        return f"{self._last:018X}"
