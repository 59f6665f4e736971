"""How an invocation ended, as a value."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from engine.core.rate import Rate


class Status(str, Enum):
    """The eight ways an invocation can end; also the metric label `outcome`. An `enum.StrEnum`."""

    SUCCESS = "success"
    ERROR = "error"  # the handler raised, or its result cannot become JSON
    TIMEOUT = "timeout"
    CRASH = "crash"  # the environment died: sys.exit, a signal, any BaseException
    OOM = "oom"
    INIT_ERROR = "init_error"
    THROTTLED = "throttled"  # refused, never ran, costs nothing
    CANCELLED = "cancelled"  # the engine stopped before it could end

    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]  # as `enum.StrEnum` has it


class Outcome:
    """One invocation's end, never changed. `body` is what an AWS client would get as payload, byte for byte.

    Attributes:
        status: How it ended.
        body: JSON text of the result, or of AWS's error object; raw bytes if the handler returned bytes.
        request_id: UUID text.
        rate: What the function's requests and milliseconds cost.
        cold_start: It waited for an environment to initialise.
        queue_wait_s: Seconds from received to handed to an environment, init included.
        init_s: Seconds of the environment's initialisation if this was its first invocation, else None.
        duration_s: Seconds in the handler, init excluded; exactly the timeout when that struck.
        billed_ms: ceil(init + duration) in ms; 0 if it never ran.
        max_memory_mb: Peak resident memory in MB where the executor can measure it, else None.
        raw: The handler returned bytes: `body` is not JSON.
        reason: AWS's throttle reason if status is THROTTLED, else None.
        log_tail: Last 4096 bytes of its log if the event asked for it, else None.
    """

    __slots__ = (
        "billed_ms",
        "body",
        "cold_start",
        "duration_s",
        "init_s",
        "log_tail",
        "max_memory_mb",
        "queue_wait_s",
        "rate",
        "raw",
        "reason",
        "request_id",
        "status",
    )

    def __init__(
        self,
        status: Status,
        body: bytes,
        request_id: str,
        rate: Rate,
        cold_start: bool = False,  # noqa: FBT001, FBT002  # positional, all of it: made once an invocation
        queue_wait_s: float = 0.0,
        init_s: float | None = None,
        duration_s: float = 0.0,
        billed_ms: int = 0,
        max_memory_mb: int | None = None,
        raw: bool = False,  # noqa: FBT001, FBT002
        reason: str | None = None,
        log_tail: bytes | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.request_id = request_id
        self.rate = rate
        self.cold_start = cold_start
        self.queue_wait_s = queue_wait_s
        self.init_s = init_s
        self.duration_s = duration_s
        self.billed_ms = billed_ms
        self.max_memory_mb = max_memory_mb
        self.raw = raw
        self.reason = reason
        self.log_tail = log_tail

    def replace(self, **changes: Any) -> Outcome:
        """One that differs in the attributes given by name."""
        return Outcome(**{name: getattr(self, name) for name in _ATTRIBUTES} | changes)

    def trimmed(self, *, keeps_body: bool) -> Outcome:
        """For whoever keeps many: without the log tail and, unless `keeps_body`, the body."""
        return Outcome(
            self.status,
            self.body if keeps_body else b"",
            self.request_id,
            self.rate,
            self.cold_start,
            self.queue_wait_s,
            self.init_s,
            self.duration_s,
            self.billed_ms,
            self.max_memory_mb,
            self.raw,
            self.reason,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _ATTRIBUTES)

    @property
    def content_type(self) -> str | None:
        """What the handler called the body of a response that it streamed; None of any other."""
        return None

    @property
    def produced_bytes(self) -> int:
        """Bytes of the response, or of the error."""
        return len(self.body)

    @property
    def ok(self) -> bool:
        """Whether the handler returned a result."""
        return self.status is Status.SUCCESS

    @property
    def ran(self) -> bool:
        """Whether code ran, and so whether AWS counts and bills it as an invocation."""
        return self.status not in (Status.THROTTLED, Status.CANCELLED)

    @property
    def payload(self) -> Any:
        """The handler's result as a parsed JSON value (bytes as they are); None if it failed."""
        if not self.ok:
            return None
        return self.body if self.raw else json.loads(self.body)

    @property
    def error(self) -> dict[str, Any] | None:
        """AWS's error object (`errorType`, `errorMessage`, ...), or None after a success."""
        return None if self.ok else json.loads(self.body)

    @property
    def cost_usd(self) -> Decimal:
        """Exact US dollars for the request and its billed time, at tier-1 prices, no free tier."""
        return self.rate.cost_usd(self.billed_ms) if self.ran else Decimal(0)

    def __repr__(self) -> str:
        return f"Outcome({self.status.value} {self.request_id} {self.duration_s * 1000:.2f} ms)"


class StreamedOutcome(Outcome):
    """The end of a streamed response. `body` is the whole of it if its source wanted that, and else empty.

    Attributes:
        streamed_type: Its content type.
        streamed_bytes: What the handler wrote, in bytes.
        first_byte_s: Seconds from the handler's start to its first byte.
    """

    __slots__ = ("first_byte_s", "streamed_bytes", "streamed_type")

    streamed_type: str
    streamed_bytes: int
    first_byte_s: float

    @property
    def content_type(self) -> str | None:
        """What the handler called the body."""
        return self.streamed_type

    @property
    def produced_bytes(self) -> int:
        """Bytes of the response."""
        return self.streamed_bytes


def streamed(outcome: Outcome, content_type: str, count: int, first_byte_s: float) -> StreamedOutcome:
    """`outcome`, as that of a response that was streamed."""
    ended = StreamedOutcome(**{name: getattr(outcome, name) for name in _ATTRIBUTES})
    ended.streamed_type = content_type
    ended.streamed_bytes = count
    ended.first_byte_s = first_byte_s
    return ended


_ATTRIBUTES: Final = (
    *("status", "body", "request_id", "rate", "cold_start", "queue_wait_s", "init_s", "duration_s"),
    *("billed_ms", "max_memory_mb", "raw", "reason", "log_tail"),
)
