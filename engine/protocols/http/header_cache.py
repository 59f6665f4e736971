"""A cache of what was read from heads of requests: a client sends the same head with most of them."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_HEADS: Final = 1024
_MAX_HEAD_BYTES: Final = 1024
_NEVER_SENT_AGAIN: Final = b"Signature="  # signed for this very request and second


class HeaderCache(Generic[T]):
    """Values by `Request.head`, bounded in number and size. A value must depend on the head alone.

    `get(head)` returns the value that was kept, or None.
    """

    __slots__ = ("_known", "_max_heads", "get")

    def __init__(self, max_heads: int = MAX_HEADS) -> None:
        self._max_heads = max_heads
        self._known: dict[bytes, T] = {}
        self.get = self._known.get

    def keep(self, head: bytes, value: T) -> None:
        """Keep `value`, unless `head` is too long or signed, and so will not come again."""
        if not head or len(head) > _MAX_HEAD_BYTES or _NEVER_SENT_AGAIN in head:
            return
        if len(self._known) >= self._max_heads:
            self._known.clear()
        self._known[head] = value
