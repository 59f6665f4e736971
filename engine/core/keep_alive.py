"""The keep-alive: how long an idle environment lives.

Its time begins anew whenever it falls idle. A provisioned environment does not expire.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from engine.core.environment import Environment, State

KEEP_ALIVE_S: Final = 300.0
"""Seconds, unless a function says otherwise. AWS states no figure for Lambda."""


def next_expiry_s(idle: deque[Environment], keep_alive_s: float) -> float | None:
    """When the first of `idle` expires; None if there is none. Drops those at its left end that are gone.

    `idle` is in the order in which they fell idle.
    """
    while idle and idle[0].state is State.GONE:
        idle.popleft()
    return idle[0].since_s + keep_alive_s if idle else None


def take_expired(idle: deque[Environment], keep_alive_s: float, now_s: float) -> list[Environment]:
    """Remove from `idle` what has expired by `now_s`, and return it. Drops what is not idle any more."""
    expired = []
    while idle:
        environment = idle[0]
        if environment.state is State.IDLE:
            if environment.since_s + keep_alive_s > now_s:
                break
            expired.append(environment)
        idle.popleft()
    return expired
