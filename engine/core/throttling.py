"""What stops a fleet from growing: the account's pool, the scaling rate, the request rate.

Sources: Lambda Developer Guide, "Understanding Lambda function scaling" and "Lambda quotas";
Invoke API reference, `TooManyRequestsException.Reason`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from enum import Enum
from typing import Final

SCALING_PERIOD_S: Final = 10.0
"""Lambda states its scaling rate per 10 s; it is refilled continuously."""


class ThrottleReason(Enum):
    """Why an event is not run. The value is the metric label; `aws_reason` what an AWS client reads."""

    FUNCTION_LIMIT = "function_limit"
    ACCOUNT_LIMIT = "account_limit"
    SCALE_RATE = "scale_rate"
    REQUEST_RATE = "request_rate"
    RESERVED_REQUEST_RATE = "reserved_request_rate"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"
    CLOSING = "closing"

    @property
    def aws_reason(self) -> str:
        """`Reason` of the 429. Which one AWS gives for the scaling rate is unverified; the queue is ours."""
        return _AWS_REASONS.get(self, "ConcurrentInvocationLimitExceeded")


_AWS_REASONS: Final = {
    ThrottleReason.FUNCTION_LIMIT: "ReservedFunctionConcurrentInvocationLimitExceeded",
    ThrottleReason.REQUEST_RATE: "FunctionInvocationRateLimitExceeded",
    ThrottleReason.RESERVED_REQUEST_RATE: "ReservedFunctionInvocationRateLimitExceeded",
}


class TokenBucket:
    """`capacity` tokens at first, refilled at `per_s`, never more than `capacity`. Time is given.

    Tokens are whole and each has its moment, so that `take` at `next_s` always succeeds: a fraction
    kept as a float would lose its last bits to a clock that reads in the millions.
    """

    __slots__ = ("_capacity", "_next_s", "_period_s", "_tokens")

    def __init__(self, capacity: int, per_s: float) -> None:
        self._capacity = capacity
        self._period_s = 1.0 / per_s if per_s else math.inf
        self._tokens = capacity
        self._next_s = math.inf  # a full bucket awaits none

    def take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        self._refill(now_s)
        if not self._tokens:
            return False
        if self._tokens == self._capacity:
            self._next_s = now_s + self._period_s
        self._tokens -= 1
        return True

    def next_s(self, now_s: float) -> float:
        """When the next token will be there: `now_s` if one is, infinity if none ever comes."""
        self._refill(now_s)
        return now_s if self._tokens else self._next_s

    def _refill(self, now_s: float) -> None:
        if now_s < self._next_s:
            return
        came = 1 + int((now_s - self._next_s) / self._period_s)
        self._tokens += came
        self._next_s += came * self._period_s
        if self._tokens >= self._capacity:
            self._tokens = self._capacity
            self._next_s = math.inf


def request_bucket(per_s: int) -> TokenBucket | None:
    """Synchronous requests of one function: so many at once, and as many each second; 0 = no limit."""
    return TokenBucket(per_s, per_s) if per_s else None


def scaling_bucket(rate_per_period: int) -> TokenBucket | None:
    """The scaling rate of one function: 1,000 environments at once, then 100 a second; 0 = no limit."""
    return TokenBucket(rate_per_period, rate_per_period / SCALING_PERIOD_S) if rate_per_period else None


class Pool:
    """The account's unreserved concurrency, shared by all functions without a reservation.

    `limit` is what is left after every reservation and every provisioned environment of a function
    without one. Fleets that wait for it (`contended`: some do) are woken in turn: see `next_blocked`.
    The versions of one function with a reservation share a pool of their own instead: `refusal` is what
    an event is told for which no unit is left.
    """

    __slots__ = ("_blocked", "contended", "limit", "refusal", "used")

    def __init__(self, limit: int, refusal: ThrottleReason = ThrottleReason.ACCOUNT_LIMIT) -> None:
        self.limit = limit
        self.refusal = refusal
        self.used = 0
        self.contended = False
        self._blocked: deque[Hashable] = deque()

    def acquire(self) -> bool:
        """Claim one unit if there is one."""
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def release(self) -> None:
        """Return one unit."""
        self.used -= 1

    def block(self, fleet: Hashable) -> None:
        """Remember that `fleet` has events waiting for a unit. The fleet sees to it that it asks once."""
        self._blocked.append(fleet)
        self.contended = True

    def next_blocked(self) -> Hashable | None:
        """A fleet that waits, if there is a unit for it: its driver now calls `Fleet.unblock`."""
        if not self._blocked or self.used >= self.limit:
            return None
        fleet = self._blocked.popleft()
        self.contended = bool(self._blocked)
        return fleet
