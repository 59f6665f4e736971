"""Rare things worth telling an operator, as values: observers log and count them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """An environment finished its init; `error_type` is None when it can serve.

    `provisioned`: it was started ahead of any event.
    """

    function: str
    init_s: float
    provisioned: bool = False
    error_type: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopBlocked:
    """A handler holds the event loop: nothing else runs meanwhile. Sent while it still blocks.

    `blocked_s` is how long it had blocked when seen; `stack` is where it was, innermost last.
    """

    function: str
    request_id: str
    blocked_s: float
    stack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReleased:
    """The handler named by an earlier `LoopBlocked` let go after `blocked_s` in all."""

    function: str
    request_id: str
    blocked_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadAbandoned:
    """A thread ignored its deadline (it is stuck in C code): it lives on, uncounted by any limit."""

    function: str
    request_id: str


Notice = Initialised | LoopBlocked | LoopReleased | ThreadAbandoned
