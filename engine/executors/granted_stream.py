"""The engine's end of a streamed response whose handler runs elsewhere than on the engine's loop.

The handler's end sends what it was granted (`CreditedWriter`), and more when that was passed on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.executors.streamed_pieces import PIECE_COST_BYTES, WINDOW_BYTES
from engine.ports import Facts

_GRANT_BYTES: Final = WINDOW_BYTES // 4
"""Granted at once: many small pieces are not worth a message each."""


class GrantedStream:
    """Passes the pieces of one stream on, and grants as much as was taken."""

    __slots__ = ("_grant", "_invocation", "_owed", "_pass_on")

    def __init__(
        self, facts: Facts, invocation: Invocation, content_type: str, grant: Callable[[int], object]
    ) -> None:
        """Begin it. `grant` lets the handler's end send so many bytes more."""
        self._invocation = invocation
        self._pass_on = facts.piece
        self._grant = grant
        self._owed = 0
        facts.began(invocation, content_type, self._grant_owed)

    def piece(self, data: bytes) -> None:
        """Pass on a piece."""
        self._owed += len(data) + PIECE_COST_BYTES
        if self._pass_on(self._invocation, data) and self._owed >= _GRANT_BYTES:
            self._grant_owed()

    def _grant_owed(self) -> None:
        owed, self._owed = self._owed, 0
        if owed:
            self._grant(owed)


def ends_by_ended(facts: Facts) -> Callable[[Invocation, bytes, bool], None]:
    """What is told in place of `Facts.succeeded` of functions that stream: their responses end by `ended`."""

    def succeeded(invocation: Invocation, body: bytes, raw: bool = False, /) -> None:  # noqa: FBT001, FBT002
        facts.ended(invocation, Result(Status.SUCCESS, body, raw))

    return succeeded
