"""Remembers what was read from the heads of requests: clients send the same head again and again."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_HEADS: Final = 1024
_LONGEST_HEAD: Final = 1024
_NEVER_SENT_AGAIN: Final = b"Signature="  # signed for this very request and second


class HeaderCache(Generic[T]):
    """Values by `Request.head`, bounded in number and size. What is kept must follow from the head alone.

    `get(head)` gives what was kept, or None.
    """

    __slots__ = ("_known", "_most", "get")

    def __init__(self, most: int = MAX_HEADS) -> None:
        self._most = most
        self._known: dict[bytes, T] = {}
        self.get = self._known.get

    def keep(self, head: bytes, value: T) -> None:
        """Remember `value`, if `head` is one that may come again."""
        if not head or len(head) > _LONGEST_HEAD or _NEVER_SENT_AGAIN in head:
            return
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[head] = value
